"""The process that templates run in: it answers one request after another, under limits, until nobody asks any more.

`tidings.adapters.renderer` starts it, with the number of its end of a socket as the only argument. Whatever a template
does, it does here: to a process that knows facts of one mail at a time, has no secret in its environment, and can be
killed. Its limits are the operating system's:

- processor time, by a timer of the process's own time (`setitimer(2)`, ITIMER_PROF), set anew for each request: when it
  runs out, the system ends the process, in the middle of C code if need be, as Python's own signals could not;
- memory, by RLIMIT_AS (`setrlimit(2)`): beyond it an allocation fails. Linux alone holds to it; on macOS memory is
  limited only by what can be filled in that time.

On the wire is a length of four bytes, then JSON: the facts may hold integers of any size, which MessagePack cannot.
"""

import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from tidings.errors import TemplateError
from tidings.rendering import Rendered, render

LENGTH = struct.Struct(">I")
LARGEST = 16_000_000
"""Bytes of a message; more is no answer that a worker in its right mind gives."""


class Request(msgspec.Struct):
    """What to render, and how many seconds of processor time it may take."""

    template: str
    facts: dict[str, Any]
    seconds: float


class Answer(msgspec.Struct):
    """What came of it: a mail, or the words of a `TemplateError`. Neither says that the worker has begun."""

    rendered: Rendered | None = None
    fault: str = ""


def read(connection: socket.socket) -> bytes | None:
    """One message; None when the other side has gone.

    Raises:
        OSError: no whole message in time, or none that can be one.
    """
    head = _exactly(connection, LENGTH.size)
    if head is None:
        return None
    (length,) = LENGTH.unpack(head)
    if length > LARGEST:
        raise OSError("a message that is too long")
    return _exactly(connection, length)


def write(connection: socket.socket, message: bytes) -> None:
    """One message.

    Raises:
        OSError: the other side does not take it.
    """
    connection.sendall(LENGTH.pack(len(message)) + message)


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        chunk = connection.recv(min(length - len(data), 1 << 16))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def main() -> None:
    """Answer until the other side goes away, which it also does when it is killed."""
    end, folder, memory = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sys.excepthook = _report
    connection = socket.socket(fileno=end)
    decoder = msgspec.json.Decoder(Request)
    _limit_memory(memory)
    write(connection, msgspec.json.encode(Answer()))
    while (message := read(connection)) is not None:
        request, is_full = decoder.decode(message), False
        signal.setitimer(signal.ITIMER_PROF, request.seconds)
        try:
            answer = Answer(render(request.template, request.facts, folder))
        except TemplateError as fault:
            answer = Answer(fault=str(fault))
            is_full = isinstance(fault.__context__, MemoryError)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write(connection, msgspec.json.encode(answer))
        if is_full:  # who knows what could not be finished; the next mail gets a new process
            break
    os._exit(0)  # there is nothing to tidy up, and a pool that is being closed waits for it


def _limit_memory(more: int) -> None:
    """Allow this many bytes on top of what the process has now, most of which are libraries."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        most = int(statm.read_text().split()[0]) * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _report(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """Where it happened and not what: the words of an exception may be somebody's name."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    print(f"A renderer ends: {kind.__name__} at {where}", file=sys.stderr)  # noqa: T201 - it has no log


if __name__ == "__main__":
    main()
