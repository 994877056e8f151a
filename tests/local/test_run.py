"""The one command: it plays its story to the right end, comes back from a kill, and leaves nothing behind."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import require
from tidings.adapters.sqlite_store import SqliteStore
from tidings.local.emulators import available
from tidings.local.folder import DataFolder
from tidings.local.seeding import seed_rules
from tidings.local.stack import WRITE_KEY

COMMAND = [sys.executable, "-m", "tidings.local"]
MINUTES = 4 * 60


def environment(**extra: str) -> dict[str, str]:
    """Ours, without what would make the command use somebody else's emulators."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_EMULATOR_HOST")} | extra


def once(*options: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, "--once", "--time-scale", "180", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=MINUTES, check=False, env=environment(**extra)
    )


class Output:
    """What a running command prints, read until an expected line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.text = ""

    def wait_for(self, pattern: str) -> str:
        """Read on until a line matches; returns what matched."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.text += line
            if found := re.search(pattern, line):
                return found.group()
        raise AssertionError(f"ended without {pattern!r}:\n{self.text}")


@contextmanager
def running(
    data: Path, *options: str, until: str = "Ctrl-C ends it"
) -> Iterator[tuple["subprocess.Popen[str]", Output]]:
    """The command, up to an expected line."""
    command = [*COMMAND, "--data", str(data), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    watchdog = threading.Timer(MINUTES, process.kill)  # a command that hangs ends, and so does the wait for its lines
    watchdog.start()
    output = Output(process)
    try:
        output.wait_for(until)
        yield process, output
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def processes(output: Output) -> dict[str, int]:
    """The parts and their process ids, as the terminal names them."""
    line = next(line for line in output.text.splitlines() if line.startswith("  Processes"))
    return {part.rpartition(" ")[0]: int(part.rpartition(" ")[2]) for part in line[18:].strip().split(", ")}


def alive(pids: list[int]) -> list[int]:
    table = subprocess.run(["ps", "-axo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    running = {int(line.split()[0]) for line in table.splitlines() if not line.split()[1].startswith("Z")}
    return [pid for pid in pids if pid in running]


def check_story(result: "subprocess.CompletedProcess[str]") -> None:
    assert result.returncode == 0, result.stdout + result.stderr
    rows = [
        re.split(r" {2,}", line.strip())[1:] for line in result.stdout.splitlines() if re.match(r" +\d.* s  ", line)
    ]
    endings = {(row[0], row[1]): row[2:] for row in rows if len(row) >= 3}
    assert endings["Ada", "cart-abandoned"][0] == "sent"
    assert endings["Bo", "cart-abandoned"] == ["no mail", "ordered in time"]
    assert endings["Cem", "cart-abandoned"] == ["suppressed", "no_consent"]
    assert endings["Dee", "login-trouble"][0] == "sent"
    assert result.stderr == ""


def test_the_story_ends_as_it_must_on_the_embedded_server() -> None:
    check_story(once())


def test_the_story_ends_as_it_must_on_googles_emulators() -> None:
    require(available())
    check_story(once("--emulators", "google"))


def test_a_story_that_ends_otherwise_is_a_failure_that_shows_what_was_otherwise(tmp_path: Path) -> None:
    store = SqliteStore(str(DataFolder(tmp_path).store))
    seed_rules(store)
    welcome = next(record.document for record in store.rules() if record.rule_id == "welcome")
    store.put_rule("welcome", {**welcome, "status": "paused"})
    store.put_rule("greeting", {**welcome, "id": "greeting"})
    store.close()
    result = once("--data", str(tmp_path))
    assert result.returncode == 1
    assert re.search("Ada +welcome +suppressed +rule_paused", result.stdout)
    assert re.search("Ada +greeting +sent +nobody expected it", result.stdout)
    assert "Not as it must be." in result.stdout
    assert "The end of" in result.stdout, "and the logs' last lines"


def test_a_killed_pipeline_comes_back_and_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    with running(tmp_path, "--no-story") as (process, output):
        parts = processes(output)
        assert set(parts) == {"Mail catcher", "Pub/Sub", "Functions", "Pipeline"}
        os.kill(parts["Pipeline"], signal.SIGKILL)
        output.wait_for("Pipeline ended .SIGKILL.; starting it again")
        successor = output.wait_for("Pipeline is back after .* as process [0-9]+").rpartition(" ")[2]
        process.send_signal(signal.SIGINT)
        output.wait_for("Everything is stopped")
        assert process.wait(60) == 0
        assert alive([*parts.values(), int(successor)]) == []


def test_the_story_ends_as_it_must_though_mailer_and_mail_server_are_killed_in_between(tmp_path: Path) -> None:
    with running(tmp_path, until="Bo orders") as (_, output):
        for _ in range(5):
            output.wait_for(r" sent ")  # the mails that come at once are through; those of the carts are not due yet
        for part in ("Functions", "Mail catcher"):
            os.kill(processes(output)[part], signal.SIGKILL)
        output.wait_for("All as it must be")
    for part in ("Functions", "Mail catcher"):
        assert f"{part} ended (SIGKILL); starting it again" in output.text


def test_the_parts_end_when_the_command_itself_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "--no-story") as (process, output):
        parts = list(processes(output).values())
        process.kill()
        deadline = time.monotonic() + 60
        while left := alive(parts):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


def test_two_runs_cannot_share_a_data_folder(tmp_path: Path) -> None:
    with running(tmp_path, "--no-story"):
        second = once("--data", str(tmp_path))
    assert second.returncode == 1
    assert f"Another run uses {tmp_path}. Stop it, or give another folder with --data." in second.stdout


def test_the_commands_find_the_pubsub_of_a_run_beside_its_store(tmp_path: Path) -> None:
    """And nothing of it is left behind for them to find when the run is over."""
    looking = [sys.executable, "-m", "tidings", "dead-letters", "list", "--json"]
    looking += ["--store", f"sqlite:{DataFolder(tmp_path).store}"]
    with running(tmp_path, "--no-story") as (process, output):
        home = re.search(r"Start here +(\S+)/", output.text)
        assert home
        key = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()
        bad = urllib.request.Request(f"{home[1]}/v1/track", b"{}", {"Authorization": f"Basic {key}"})
        assert urllib.request.urlopen(bad).status == 200
        told = subprocess.run(looking, capture_output=True, text=True, check=True, env=environment())
        assert [one["reason"] for one in json.loads(told.stdout)["newest"]] == ["no_person"]
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert not DataFolder(tmp_path).pubsub_host.exists()


def test_a_taken_port_is_an_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = once("--port", str(port))
    assert result.returncode == 1
    assert f"Port {port} is taken. Give another with --port" in result.stdout


def test_without_gcloud_googles_emulators_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    result = once("--emulators", "google", PATH=str(tmp_path))
    assert result.returncode == 1
    assert "need gcloud, and it is not on the PATH. Leave out --emulators google" in result.stdout


def test_an_emulator_of_the_users_that_does_not_answer_is_an_error_that_names_its_variable() -> None:
    result = once(PUBSUB_EMULATOR_HOST="127.0.0.1:1")
    assert result.returncode == 1
    assert "PUBSUB_EMULATOR_HOST is 127.0.0.1:1, and nothing answers there" in result.stdout


def test_reset_forgets_what_is_kept_and_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "20260101T000000.000000-00000000.eml").write_text("Subject: old\r\n\r\n")
    with socket.create_server(("127.0.0.1", 0)) as server:  # so that it ends right after the reset
        once("--reset", "--data", str(tmp_path), "--port", str(server.getsockname()[1]))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert list((tmp_path / "mail").glob("*")) == []
