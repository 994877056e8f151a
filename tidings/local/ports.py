"""Ports on this machine: which are free, and which answer."""

import socket
from collections.abc import Callable

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on. Somebody else may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: lingering connections do not count
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
        return True


def next_free(port: int, tries: int = 50) -> int:
    """The first free port from this one on; any free one when the next `tries` are all taken."""
    return next((candidate for candidate in range(port, port + tries) if is_free(candidate)), 0) or free_port()


def answers(port: int) -> Callable[[str], bool]:
    """A question for `Part.is_ready`: does something accept connections there?"""

    def asked(_written: str) -> bool:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            return False
        return True

    return asked
