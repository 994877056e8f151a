"""What time it is for the functions: what the machine says, unless a local run tells them otherwise."""

from collections.abc import Callable
from datetime import UTC, datetime


def _of_the_machine() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _of_the_machine


def now() -> datetime:
    """The time, in UTC."""
    return _read()


def follow(read: Callable[[], datetime]) -> None:
    """From now on ask this one. It is for a simulation, before the first request comes; nothing deployed calls it."""
    global _read  # noqa: PLW0603 - a process has one clock
    _read = read
