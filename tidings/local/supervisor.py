"""Starts the parts as child processes, starts a dead one again, and stops them all."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import msgspec

from tidings.errors import TidingsError

LOOK_SECONDS = 0.05
STOP_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 10.0
STABLE_SECONDS = 10.0
"""A child that lived this long is started again at once; one that did not waits longer each time."""


class PartError(TidingsError):
    """A part did not start, or one that cannot be started again has ended. The message ends with its log's tail."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One process to run.

    Attributes:
        name: what the terminal calls it, and its log file.
        command: a module and its arguments, as after `python -m`.
        is_ready: asked again and again, with what this life of the process has written, until it says yes.
        patience: seconds until a part that is not ready is an error.
        restart: whether it may be started again when it dies.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[str], bool]
    patience: float = 60.0
    restart: bool = True


class Child(threading.Thread):
    """One part that is kept running, watched by a thread of its own."""

    def __init__(
        self, part: Part, logs: Path, notice: Callable[[str], None], echo: Callable[[str], None] | None
    ) -> None:
        super().__init__(name=f"child {part.name}", daemon=True)
        self.part = part
        self.log = logs / f"{re.sub('[^a-z]+', '-', part.name.lower())}.log"
        self._notice = notice
        self._echo = echo
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        logs.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")

    @property
    def pid(self) -> int:
        """The process as of now."""
        assert self._process is not None
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait for the first time that it is ready.

        Raises:
            PartError: it died, or it took too long.
        """
        deadline = time.monotonic() + self.part.patience
        while not self._ready.wait(LOOK_SECONDS):
            if self._over.is_set():
                raise PartError(f"{self.part.name} ended before it was ready.{self.tail()}")
            if time.monotonic() > deadline:
                raise PartError(f"{self.part.name} was not ready after {self.part.patience:.0f} s.{self.tail()}")

    def check(self) -> None:
        """Raise PartError when it has ended for good."""
        if self._over.is_set() and not self._stopping.is_set():
            raise PartError(f"{self.part.name} has ended.{self.tail()}")

    def tail(self) -> str:
        """The last lines of the log, for an error message."""
        lines = "\n".join(f"    {line}" for line in self.log.read_text(errors="replace").splitlines()[-20:])
        return f"\n  The end of {self.log}:\n{lines or '    (nothing)'}"

    def stop(self) -> None:
        """End the process and all that it started: politely, and by force when it does not go in time."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Keep it running until `stop`."""
        pause = 0.0
        try:
            while not self._stopping.wait(pause):
                began = time.monotonic()
                ended = self._live_once()
                if self._stopping.is_set() or not (self._ready.is_set() and self.part.restart):
                    break
                stable = time.monotonic() - began > STABLE_SECONDS
                pause = 0.0 if stable else min(max(1.0, pause * 2), LONGEST_PAUSE_SECONDS)
                self._notice(f"{self.part.name} ended ({ended}); starting it again")
        finally:
            self._over.set()

    def _live_once(self) -> str:
        """One life of the process, from start to end; returns how it ended."""
        began = time.monotonic()
        is_first_life = not self._ready.is_set()
        with self.log.open("ab") as log, self.log.open(errors="replace") as reader:
            reader.seek(0, os.SEEK_END)
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "tidings.local.leash", *self.part.command],
                stdin=subprocess.PIPE,  # the leash
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C in the terminal is for us alone; its children are in its group
            )
            written: str | None = ""
            while process.poll() is None and not self._stopping.wait(LOOK_SECONDS):
                news = self._read(reader)
                if written is not None:
                    written += news
                    if self.part.is_ready(written):
                        written = None
                        self._ready.set()
                        if not is_first_life:
                            took = time.monotonic() - began
                            self._notice(f"{self.part.name} is back after {took:.1f} s, as process {process.pid}")
            _end(process)
            self._read(reader)
        code = process.returncode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _read(self, reader: TextIO) -> str:
        news = reader.read()
        if self._echo:
            for line in news.splitlines():
                self._echo(f"[{self.part.name}] {line}")
        return news


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process, if it has not ended, and whatever it leaves behind in its group."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def _signal_group(process: "subprocess.Popen[bytes]", sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: not permitted on a group of zombies
        os.killpg(process.pid, sign)


class Supervisor:
    """All children; a context manager that leaves none behind."""

    def __init__(self, logs: Path, notice: Callable[[str], None], echo: Callable[[str], None] | None = None) -> None:
        self._logs = logs
        self._notice = notice
        self._echo = echo
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for child in reversed(self.children):
            child.stop()

    def start(self, part: Part) -> Child:
        """Start one part and return at once; `Child.wait_until_ready` waits."""
        child = Child(part, self._logs, self._notice, self._echo)
        self.children.append(child)
        child.start()
        return child

    def check(self) -> None:
        """Raise PartError when a part has ended for good."""
        for child in self.children:
            child.check()
