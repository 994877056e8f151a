"""A TCP relay that can lose an answer: the server did what it was asked, and the client never hears of it."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class LossyWire:
    """Relays between clients and `target` (`host:port`) until it is told to lose an answer.

    Attributes:
        address: where clients connect, `host:port`.
        lost: how many answers have been lost.
    """

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.lost = 0
        self._marker = b""
        self._done: Callable[[], bool] = lambda: True
        self._sockets = [self._server]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            _hang_up(each)
        for thread in self._threads:
            thread.join(timeout=10)

    def lose_answer(self, marker: bytes, done: Callable[[], bool]) -> None:
        """Cut the client off after its next request that holds `marker`, once `done()` says that it took effect."""
        self._marker, self._done = marker, done

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return  # hung up
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            muted = threading.Event()
            for relay in (self._ask, self._answer):
                thread = threading.Thread(target=relay, args=(client, server, muted))
                self._threads.append(thread)
                thread.start()

    def _ask(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):  # one side hung up, and so does the other
            while data := client.recv(65536):
                lose = bool(self._marker) and self._marker in data
                if lose:
                    self._marker = b""
                    muted.set()
                server.sendall(data)
                if lose:
                    self._wait()
                    self.lost += 1
                    break
        _hang_up(client)
        _hang_up(server)

    def _answer(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if not muted.is_set():
                    client.sendall(data)
        _hang_up(client)
        _hang_up(server)

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while not self._done() and time.monotonic() < deadline:
            time.sleep(0.01)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):  # it was not connected any more
        end.shutdown(socket.SHUT_RDWR)
    end.close()
