"""The supervisor keeps the parts running, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tidings.local.ports import answers, free_port
from tidings.local.supervisor import Part, PartError, Supervisor

SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # a part may start helpers of its own
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def group_of(leader: int) -> list[int]:
    """All processes of a process group, zombies left out."""
    table = subprocess.run(["ps", "-axo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in table.splitlines())
    return [int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module that children can run; returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code: str) -> str:
        (tmp_path / "a_part.py").write_text(code)
        return "a_part"

    return write


def serving(module: Callable[[str], str], port: int) -> Part:
    return Part(name="the server", command=(module(SERVER), str(port)), is_ready=answers(port))


def test_a_killed_part_comes_back_on_its_port_and_says_so(module: Callable[[str], str], tmp_path: Path) -> None:
    notices: list[str] = []
    port = free_port()
    with Supervisor(tmp_path / "logs", notices.append) as supervisor:
        child = supervisor.start(serving(module, port))
        child.wait_until_ready()
        for deaths in (1, 2):
            first = child.pid
            os.kill(first, signal.SIGKILL)
            wait_until(lambda so_far=deaths: len(notices) == 2 * so_far, "back again")  # type: ignore[misc]
            assert child.pid != first
            assert not group_of(first), "its helper did not outlive it"
            assert answers(port)("")
    assert notices[0] == "the server ended (SIGKILL); starting it again"
    assert notices[1].startswith("the server is back after ")


def test_nothing_runs_on_when_the_supervisor_stops(module: Callable[[str], str], tmp_path: Path) -> None:
    with Supervisor(tmp_path / "logs", pytest.fail) as supervisor:
        child = supervisor.start(serving(module, free_port()))
        child.wait_until_ready()
        leader = child.pid
        assert len(group_of(leader)) == 2, "the part and its helper"
    assert not group_of(leader)


def test_nothing_runs_on_when_the_supervisor_itself_is_killed(module: Callable[[str], str], tmp_path: Path) -> None:
    port = free_port()
    script = f"""
import sys, time
from pathlib import Path
from tidings.local.ports import answers
from tidings.local.supervisor import Part, Supervisor
with Supervisor(Path({str(tmp_path / "logs")!r}), print) as supervisor:
    child = supervisor.start(Part(name="x", command=({module(SERVER)!r}, "{port}"), is_ready=answers({port})))
    child.wait_until_ready()
    print(child.pid, flush=True)
    time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        leader = int(parent.stdout.readline())
        assert len(group_of(leader)) == 2
        parent.kill()
        wait_until(lambda: not group_of(leader), "all have ended")
    finally:
        parent.kill()
        parent.communicate()


def test_a_part_that_cannot_start_is_an_error_that_shows_its_last_words(
    module: Callable[[str], str], tmp_path: Path
) -> None:
    part = Part(name="broken", command=(module("raise SystemExit('no such thing')"),), is_ready=lambda _: False)
    with Supervisor(tmp_path / "logs", pytest.fail) as supervisor:
        child = supervisor.start(part)
        with pytest.raises(PartError, match=r"(?s)broken ended before it was ready.*no such thing"):
            child.wait_until_ready()


def test_a_part_that_never_gets_ready_is_an_error(module: Callable[[str], str], tmp_path: Path) -> None:
    code = "import threading\nprint('still thinking', flush=True)\nthreading.Event().wait()"
    part = Part(name="slow", command=(module(code),), is_ready=lambda _: False, patience=0.5)
    with Supervisor(tmp_path / "logs", pytest.fail) as supervisor, pytest.raises(PartError, match="slow was not ready"):
        supervisor.start(part).wait_until_ready()


def test_a_part_is_ready_when_it_says_so_in_its_log(module: Callable[[str], str], tmp_path: Path) -> None:
    code = "import sys, threading\nprint('it is running', file=sys.stderr)\nthreading.Event().wait()"
    heard: list[str] = []
    part = Part(name="a part", command=(module(code),), is_ready=lambda written: "it is running" in written)
    with Supervisor(tmp_path / "logs", pytest.fail, heard.append) as supervisor:
        supervisor.start(part).wait_until_ready()
    assert heard == ["[a part] it is running"]
    assert (tmp_path / "logs" / "a-part.log").read_text() == "it is running\n"


def test_a_part_that_must_not_be_started_again_is_an_error_when_it_dies(
    module: Callable[[str], str], tmp_path: Path
) -> None:
    port = free_port()
    part = Part(name="vital", command=(module(SERVER), str(port)), is_ready=answers(port), restart=False)
    with Supervisor(tmp_path / "logs", pytest.fail) as supervisor:
        child = supervisor.start(part)
        child.wait_until_ready()
        supervisor.check()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        with pytest.raises(PartError, match="vital has ended"):
            supervisor.check()
