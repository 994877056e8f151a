"""As much of Google Cloud as a Flex Template's launch touches: the machine's credentials, and a bucket.

Dataflow's launcher runs the pipeline's program once, on a machine of its own. The program leaves a description of the
job in the bucket, and Dataflow starts the job from it. Here the program runs on this machine, and the bucket is a
dictionary.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_crc32c


class _Handler(BaseHTTPRequestHandler):
    server: "LaunchSite"

    def do_GET(self) -> None:
        """Credentials of the machine; every bucket is there, and no object."""
        path = urlsplit(self.path).path
        if path.endswith("/token"):
            self._answer({"access_token": "a token", "expires_in": 3600, "token_type": "Bearer"})
        elif path.endswith("/universe-domain"):
            self._answer("googleapis.com")
        elif path.startswith("/computeMetadata/") or path == "/":
            self._answer({"email": "pipeline@example.com", "scopes": [], "aliases": []})
        elif path.count("/") == 4:  # /storage/v1/b/BUCKET
            self._answer({"name": path.rpartition("/")[2]})
        else:
            self._answer({"error": {"code": 404, "message": "no such object"}}, 404)

    def do_POST(self) -> None:
        """An upload begins: where to put the object."""
        name = json.loads(self._body())["name"]
        self._answer({}, location=f"{self.server.address}/put?name={name}")

    def do_PUT(self) -> None:
        """An upload ends."""
        data = self._body()
        [name] = parse_qs(urlsplit(self.path).query)["name"]
        self.server.objects[name] = data
        checksum = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        self._answer({"name": name, "size": str(len(data)), "crc32c": checksum})

    def log_message(self, *_: Any) -> None:
        """Not on the terminal."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, content: object, status: int = 200, location: str = "") -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)


class LaunchSite(ThreadingHTTPServer):
    """`objects` holds what was uploaded, by name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What sends Google's libraries here."""
        host = self.address.removeprefix("http://")
        return {"STORAGE_EMULATOR_HOST": self.address, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}


@contextmanager
def launch_site() -> Iterator[LaunchSite]:
    """A site that is closed again."""
    with LaunchSite() as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield site
        finally:
            site.shutdown()
