"""People on a website, who tell the front door what they do as SDKs would: again and again, until it has listened."""

import base64
import gzip
import http.client
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.support import eventually
from tidings.local.stack import WRITE_KEY


class FrontDoor:
    """The address that SDKs are pointed at."""

    def __init__(self, url: str, key: str = WRITE_KEY) -> None:
        self.url = url
        self._host = urlsplit(url).netloc
        self._headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int | None, bytes]:
        """One request: its status and answer, or None when there is none."""
        connection = http.client.HTTPConnection(self._host, timeout=30)
        try:
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()

    def post(self, path: str, body: bytes, **headers: str) -> int | None:
        """POST once, and return the status."""
        return self.request("POST", path, body, {"Content-Type": "application/json", **headers})[0]

    def post_batch(self, *items: Mapping[str, Any], sent_at: datetime) -> bytes:
        """POST a batch, packed, until it is taken, and return the body."""
        body = gzip.compress(json.dumps({"batch": items, "sentAt": sent_at.isoformat()}).encode())
        self.repeat_batch(body)
        return body

    def repeat_batch(self, body: bytes) -> None:
        """POST the same bytes once more, again and again while the answer is 5xx or missing, as SDKs do."""

        def taken() -> bool:
            status = self.post("/v1/batch", body, **{"Content-Encoding": "gzip"})
            assert status is None or status == 200 or status >= 500, status
            return status == 200

        eventually(taken)


class Visitor:
    """Somebody whose id and address are new. Their computer's clock may be wrong, which must not matter."""

    def __init__(self, door: FrontDoor, name: str, clock_is_wrong_by: timedelta = timedelta(0)) -> None:
        self.user_id = f"{name}-{secrets.token_hex(4)}"
        self.person = f"u:{self.user_id}"
        self.email = f"{self.user_id}@visitors.example"
        self._door = door
        self._wrong_by = clock_is_wrong_by

    def item(self, event: str, seconds_ago: float = 0.0, **properties: Any) -> dict[str, Any]:
        """A track call that this visitor's SDK has made."""
        return self._call("track", seconds_ago, event=event, properties=properties)

    def introduction(self, agrees: bool = True) -> list[dict[str, Any]]:
        """Who they are, and that they agree to be written to."""
        who = self._call("identify", traits={"email": self.email, "first_name": "Ada"})
        agreement = self.item("Consent Given", category="marketing", words="Write to me")
        return [who, agreement] if agrees else [who]

    def sends(self, *items: Mapping[str, Any]) -> bytes:
        """Post these calls in one batch, and return its body."""
        return self._door.post_batch(*items, sent_at=self._now)

    def introduces_themself(self, agrees: bool = True) -> "Visitor":
        """Post the introduction."""
        self.sends(*self.introduction(agrees))
        return self

    def does(self, event: str, seconds_ago: float = 0.0, **properties: Any) -> None:
        """Post one track call."""
        self.sends(self.item(event, seconds_ago, **properties))

    @property
    def _now(self) -> datetime:
        return datetime.now(UTC) + self._wrong_by

    def _call(self, call: str, seconds_ago: float = 0.0, **fields: Any) -> dict[str, Any]:
        return {
            "type": call,
            "userId": self.user_id,
            "messageId": secrets.token_hex(16),
            "originalTimestamp": (self._now - timedelta(seconds=seconds_ago)).isoformat(),
            **fields,
        }
