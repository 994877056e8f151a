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
    """Whether a server could listen there now, and `localhost` in a browser would lead to it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: lingering connections do not count
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return not _answers("::1", port)  # somebody may listen on IPv6 alone, and browsers ask there first


def next_free(port: int, tries: int = 50) -> int:
    """The first free port from this one on; any free one when the next `tries` are all taken."""
    return next((candidate for candidate in range(port, port + tries) if is_free(candidate)), 0) or free_port()


def answers(port: int) -> Callable[[str], bool]:
    """A question for `Part.is_ready`: does something accept connections there?"""
    return lambda _written: _answers(HOST, port)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
