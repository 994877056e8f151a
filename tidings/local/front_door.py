"""Posts events to the front door of this machine, as an SDK does."""

import base64
import http.client
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tidings.errors import TidingsError
from tidings.local.ports import HOST

PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.2


class ClosedDoorError(TidingsError):
    """The front door does not take an event, or does not answer. The message quotes nothing of it."""


class FrontDoor:
    """The function `collect`, on a port of this machine.

    Args:
        port: where it is.
        write_key: what opens it.
    """

    def __init__(self, port: int, write_key: str) -> None:
        self._port = port
        self._authorization = "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()

    def send(self, call: str, fields: Mapping[str, Any]) -> None:
        """Post one event: again after a 5xx or a lost connection, with the same messageId.

        Args:
            call: `track`, `identify`, ...
            fields: as on the wire, with `messageId`.

        Raises:
            ClosedDoorError: it is refused, with the reason; or there is no answer for half a minute.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, answer = self._post(f"/v1/{call}", json.dumps(fields))
            if status == HTTPStatus.OK:
                return
            if status is not None and status < 500:
                raise ClosedDoorError(f"the front door answers {status} to /v1/{call}{_why(answer)}")
            if time.monotonic() > deadline:
                raise ClosedDoorError(f"the front door does not take /v1/{call}: {status or 'no answer'}")
            time.sleep(LOOK_SECONDS)

    def _post(self, path: str, body: str) -> tuple[int | None, bytes]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=15)
        headers = {
            "Content-Type": "application/json",
            "Authorization": self._authorization,
            "X-Strict-Mode": "1",  # whoever wrote the event is watching, and wants to hear what is wrong with it
        }
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()


def _why(answer: bytes) -> str:
    """The reasons of strict mode, if the answer has any."""
    try:
        errors = json.loads(answer)["errors"]
        return ": " + "; ".join(f"{one['reason']}, {one['detail']}" for one in errors)
    except (ValueError, KeyError, TypeError):
        return ""
