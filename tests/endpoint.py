"""A real HTTP server for push deliveries, that answers as it is told and keeps what it got."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Endpoint:
    """`bodies` are the requests so far, oldest first. `answers` are given in order; the last one stays."""

    def __init__(self, *answers: int) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.url = ""
        self._answers = list(answers)
        self._lock = threading.Lock()

    def take(self, body: bytes, headers: Any) -> int:
        """Keep one request and say what to answer."""
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def endpoint(*answers: int) -> Iterator[Endpoint]:
    """Serve on a free port for as long as the block runs."""
    taken = Endpoint(*answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(taken.take(body, self.headers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.url = f"http://127.0.0.1:{server.server_port}/push?from=pubsub"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
