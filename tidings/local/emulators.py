"""Google's own Pub/Sub and Firestore emulators, started through gcloud and stopped with everything they spawned.

Source: https://cloud.google.com/pubsub/docs/emulator and https://cloud.google.com/firestore/docs/emulator
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tidings.errors import TidingsError

COMPONENTS = {"pubsub": "pubsub-emulator", "firestore": "cloud-firestore-emulator"}
"""The name in `gcloud emulators <name> start`, and the gcloud component behind it."""

READY_SECONDS = 60.0
STOP_SECONDS = 10.0


class EmulatorError(TidingsError):
    """The emulator did not start. The message ends with the last lines of its log."""


def available(*names: str) -> str | None:
    """Whether the named emulators (`pubsub`, `firestore`; both when none is named) can be started here.

    Returns None when they can, and otherwise the reason as a sentence.
    """
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return "Google's emulators need gcloud, and it is not on the PATH."
    if shutil.which("java") is None:
        return "Google's emulators need Java, and it is not on the PATH."
    query = [gcloud, "info", "--format=value(installation.sdk_root)"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
    if answer.returncode != 0:
        return "Google's emulators need gcloud, and `gcloud info` fails."
    for name in names or COMPONENTS:
        if not (Path(answer.stdout.strip()) / "platform" / COMPONENTS[name]).is_dir():
            return f"The gcloud component {COMPONENTS[name]} is not installed."
    return None


@contextmanager
def google_pubsub_emulator() -> Iterator[str]:
    """Google's Pub/Sub emulator on a free port; yields `host:port`, the value of PUBSUB_EMULATOR_HOST.

    Raises:
        EmulatorError: it did not answer within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="tidings-pubsub-") as folder:
        yield from _running("pubsub", Path(folder), "--project=tidings-local", f"--data-dir={folder}")


@contextmanager
def google_firestore_emulator() -> Iterator[str]:
    """Google's Firestore emulator, in memory, on a free port; yields `host:port` for FIRESTORE_EMULATOR_HOST.

    Raises:
        EmulatorError: it did not answer within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="tidings-firestore-") as folder:
        yield from _running("firestore", Path(folder))


def _running(name: str, folder: Path, *arguments: str) -> Iterator[str]:
    address = f"127.0.0.1:{_free_port()}"
    command = ["gcloud", "beta", "emulators", name, "start", f"--host-port={address}", "--quiet", *arguments]
    # A configuration folder of its own: the user's accounts stay untouched, and two starts share no lock.
    environment = os.environ | {"CLOUDSDK_CONFIG": str(folder / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    log = folder / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # gcloud leaves its Java child behind when it ends; the group does not
        )
    try:
        _wait_until_ready(name, address, process, log)
        yield address
    finally:
        _stop_group(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(name: str, address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(address):
            return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise EmulatorError(f"Google's {name} emulator did not start:\n{tail}")


def _answers(address: str) -> bool:
    """Both emulators answer a plain GET with `Ok` once they serve gRPC."""
    connection = HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop_group(process: "subprocess.Popen[bytes]") -> None:
    """End the whole process group: politely at first, and by force when it has not gone in time."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_SECONDS
        try:
            os.killpg(process.pid, sign)
            while time.monotonic() < deadline:
                process.poll()  # reaps the leader, so that it does not count as alive
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            break
    process.wait()
