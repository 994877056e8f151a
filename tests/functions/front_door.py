"""The `collect` function as the Functions Framework serves it, for tests that want to see what was published."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import functions_framework
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from tests.functions.recording_main import RecordingPublisher
from tidings.wire import dead_letter, events
from tidings.wire.dead_letter import DeadLetter
from tidings.wire.events import Event

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SOURCE = Path(__file__).parent / "recording_main.py"


class FrontDoor:
    """One function instance and the publisher behind it; `requests` are those it got, as `POST /v1/t`."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.app: flask.Flask = functions_framework.create_app("collect", source=str(SOURCE))
        self.publisher: RecordingPublisher = sys.modules[SOURCE.stem].publisher
        self.app.before_request(lambda: self.requests.append(f"{flask.request.method} {flask.request.path}"))
        self._client = self.app.test_client()

    def post(self, path: str, **request: Any) -> TestResponse:
        """POST with the write key, unless the test brings its own `auth`."""
        return self._client.post(path, **{"auth": ("key", ""), **request})

    def open(self, path: str, **request: Any) -> TestResponse:
        """Any request, as it is."""
        return self._client.open(path, **request)

    @property
    def events(self) -> list[Event]:
        """What was published, read as the pipeline reads it."""
        return [events.decode(message.data) for message in self.publisher.topics["events"]]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What was set aside, read as a replay reads it."""
        return [dead_letter.read(*message) for message in self.publisher.topics["dead-letters"]]

    def forget(self) -> None:
        """Begin again with empty topics."""
        self.publisher.topics.clear()


def error(response: TestResponse) -> tuple[int, str]:
    """Status and code of an error answer, whose form is the same for all of them."""
    answer = response.get_json()
    assert answer["success"] is False
    assert answer["message"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return response.status_code, answer["error"]


@contextmanager
def served(app: "WSGIApplication") -> Iterator[str]:
    """The application on a free port of this machine; gives its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""
