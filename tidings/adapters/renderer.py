"""Renders in processes that have limits, so that no template can stop or slow down what else goes on here.

What `tidings.rendering.render` does, for templates that other people may have written: a few workers
(`tidings.adapters.rendering_worker`), each with one mail at a time.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from tidings.adapters.rendering_worker import Answer, Request, read, write
from tidings.errors import TemplateError, TemporaryError
from tidings.rendering import Rendered

_START = 30.0
"""Seconds that a worker may take to begin; its libraries take a quarter of one."""


class Limits(msgspec.Struct, frozen=True):
    """What one mail may cost. An ordinary one takes 2 ms and next to no memory.

    Attributes:
        seconds: of processor time.
        memory: bytes, beside what a worker has anyway. Linux alone holds to it.
        patience: seconds by the clock, of waiting for a free worker, and then again for its answer. A busy machine
            can use them up, so that they say nothing about the template.
    """

    seconds: float = 2.0
    memory: int = 128_000_000
    patience: float = 20.0


class Renderer:
    """A few processes that render. Any number of threads may use it; a context manager, or `close` it.

    Nothing is started before the first mail, and a second worker not before two mails are rendered at a time. Workers
    end with this process, however it ends.

    Args:
        folder: where the templates are; empty means those that ship with the package.
        workers: how many mails may be rendered at a time; others wait. None for one a core, but two at least, so that
            one bad template does not keep all others waiting.
        limits: for each mail.
    """

    def __init__(self, folder: str = "", workers: int | None = None, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        self._size = workers or max(2, os.cpu_count() or 1)
        self._places: queue.LifoQueue[_Worker | None] = queue.LifoQueue()  # the one that is warm is taken first
        for _ in range(self._size):
            self._places.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, template: str, facts: Mapping[str, Any]) -> Rendered:
        """Render one message; see `tidings.rendering.render`.

        Raises:
            TemplateError: as `tidings.rendering.render` does, or the template takes more than it may.
            TypeError: the facts are not plain data.
            TemporaryError: no worker was free, or had the processor, in time; or none can be started.
        """
        try:
            request = msgspec.json.encode(Request(template, dict(facts), self._limits.seconds))
        except UnicodeEncodeError:
            raise TemplateError(f"{template}: the facts hold half a character") from None
        except RecursionError:  # whoever read them stood less deep in the stack
            raise TemplateError(f"{template}: the facts go too deep") from None
        answer = self._ask(template, request)
        if answer.rendered is None:
            raise TemplateError(answer.fault)
        return answer.rendered

    def close(self) -> None:
        """End the workers; those at work finish first. Nothing can be rendered after that."""
        for _ in range(self._size):
            worker = self._places.get()
            if worker is not None:
                worker.end()
        self._size = 0

    def _ask(self, template: str, request: bytes) -> Answer:
        """Ask a worker, and when it dies another, that is new: the first may have died of something else."""
        assert self._size, "the renderer is closed"
        try:
            worker = self._places.get(timeout=self._limits.patience)
        except queue.Empty:
            raise TemporaryError("every renderer is busy") from None
        try:
            for _ in range(2):
                worker = worker or _Worker(self._folder, self._limits)
                answer = worker.ask(template, request)
                if answer is not None:
                    return answer
                worker = None
        except BaseException:
            if worker is not None:
                worker.end()
                worker = None
            raise
        finally:
            self._places.put(worker)
        raise TemplateError(f"{template}: it takes too much memory, or breaks the renderer")


class _Worker:
    """One process, from the first request on."""

    def __init__(self, folder: str, limits: Limits) -> None:
        self._patience = limits.patience
        self._connection, its_end = socket.socketpair()
        try:
            with its_end:
                self._process = _start(folder, limits, its_end.fileno())
        except OSError:  # no memory, no process to be had
            self._connection.close()
            raise TemporaryError("a renderer cannot be started") from None
        self.end = weakref.finalize(self, _end, self._process, self._connection)
        self._connection.settimeout(_START)
        try:
            begun = read(self._connection) is not None
        except OSError:
            begun = False
        if not begun:
            self.end()
            raise TemporaryError("a renderer cannot be started")

    def ask(self, template: str, request: bytes) -> Answer | None:
        """Its answer; None when it has died, and not of taking too long.

        Raises:
            TemplateError: the template took more processor time than it may.
            TemporaryError: it has not answered in time.
        """
        self._connection.settimeout(self._patience)
        try:
            write(self._connection, request)
            answer = read(self._connection)
        except TimeoutError:
            self.end()
            raise TemporaryError("a renderer does not get to its work") from None
        except OSError:
            answer = None
        if answer is not None:
            return msgspec.json.decode(answer, type=Answer)
        self.end()
        if self._process.returncode == -signal.SIGPROF:
            raise TemplateError(f"{template}: it takes too long")
        return None


def _start(folder: str, limits: Limits, connection: int) -> "subprocess.Popen[bytes]":
    worker = [sys.executable, "-P", "-m", "tidings.adapters.rendering_worker"]
    return subprocess.Popen(  # noqa: S603 - our own module
        [*worker, str(connection), folder, str(limits.memory)],
        pass_fds=[connection],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},  # and nothing else: no secret
        start_new_session=True,  # Ctrl-C is for us; it ends when we do
    )


def _end(process: "subprocess.Popen[bytes]", connection: socket.socket) -> None:
    """Hang up, which ends it; kill it when it is in the middle of something."""
    connection.close()
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
