"""The front door: Segment's HTTP tracking API, so that unmodified SDKs work when their host is changed.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
An answer of 200 says that Pub/Sub has every event; SDKs retry on 503, and give up for good on 4xx.
"""

import hmac
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import flask
import msgspec

from functions import answers, origins, request_body, sdk_settings
from functions.answers import HttpError
from tidings.adapters.pubsub import Message
from tidings.errors import InvalidEventError, PublishError
from tidings.ingest import tracking, tracking_body
from tidings.ingest.clock_skew import read_time
from tidings.settings import Settings
from tidings.wire import dead_letter, events, topics

log = logging.getLogger(__name__)

CALLS = {f"/v1/{name}": call for call in events.EVENT_TYPES for name in (call, call[0])}
"""Path to the type that it implies; browsers post to the one-letter forms. A batch implies none."""
CALLS |= dict.fromkeys(("/v1/batch", "/v1/b", "/beacon/v1/batch"), "")

RETRY_AFTER_SECONDS = "5"

_SETTINGS = re.compile(r"/v1/projects/(?P<key>[^/]+)/settings")
_STATUS = {"too_large": 413, "too_many_events": 413}


class Publisher(Protocol):
    """What the front door needs of Pub/Sub."""

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when the topic has every message; raise PublishError when that is not sure."""


class Refused(msgspec.Struct, frozen=True):
    """An item of a body that is no event: where it stood, what it was, and why."""

    index: int
    data: bytes
    fault: InvalidEventError


class Collector:
    """Answers the requests of one function instance; any number of threads may call it."""

    def __init__(
        self, settings: Settings, publisher: Publisher, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        self._keys = [key.encode() for key in settings.write_keys]
        if not self._keys:
            log.error("TIDINGS_WRITE_KEYS is empty: every request will be answered with 401")

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        path = request.path.rstrip("/") or "/"
        try:
            # Read even where no body is wanted: the framework would read what is left, without a limit.
            body = request_body.read(request, tracking_body.limit(CALLS.get(path, "")))
            return self._route(request, path, body)
        except InvalidEventError as fault:
            return answers.failure(HttpError(_STATUS.get(fault.reason, 400), fault.reason, fault.detail))
        except HttpError as error:
            return answers.failure(error)

    def _route(self, request: flask.Request, path: str, body: bytes) -> flask.Response:
        settings_path = _SETTINGS.fullmatch(path)
        if path in CALLS:
            allow = "POST, OPTIONS"
        elif path in ("/", "/sourceConfig") or settings_path:
            allow = "GET, HEAD, OPTIONS"
        else:
            raise HttpError(404, "not_found", "There is nothing at this path.")
        if request.method not in allow.split(", "):
            raise HttpError(405, "method_not_allowed", f"This path takes {allow}.", {"Allow": allow})
        if request.method == "OPTIONS":
            return answers.preflight(allow)
        if path in CALLS:
            self._collect(request, path, body)
            return answers.success({"success": True})
        if settings_path:
            self._authenticate(settings_path["key"])
            return answers.success(sdk_settings.segment(settings_path["key"], request))
        if path == "/sourceConfig":
            key = _basic_user(request) or request.args.get("writeKey", "")
            self._authenticate(key)
            return answers.success(sdk_settings.rudder(key))
        return answers.success({"status": "ok"})

    def _collect(self, request: flask.Request, path: str, data: bytes) -> None:
        """Take the events of one request; return when each of them is published or dead-lettered."""
        body = self._authenticated_body(request, path, data)
        arrival = _arrival(request, self._clock())
        accepted, refused = _sort(body, arrival)
        if refused and request.headers.get("X-Strict-Mode") == "1":
            raise _strict(refused)
        try:
            self._publish(self._settings.events_topic, [topics.of_event(event) for event in accepted])
            self._publish(self._settings.dead_letters_topic, [_letter(item, body, arrival) for item in refused])
        except PublishError as error:
            counts = {"events": len(accepted), "dead_letters": len(refused)}
            log.error("Pub/Sub did not take the events; the client is asked again: %s", error, extra={"counts": counts})
            sentence = "The events could not be stored. Send them again."
            raise HttpError(503, "not_published", sentence, {"Retry-After": RETRY_AFTER_SECONDS}) from None
        if refused:
            reasons = Counter(item.fault.reason for item in refused)
            log.warning("Events were dead-lettered", extra={"counts": reasons, "labels": {"step": "collect"}})

    def _authenticated_body(self, request: flask.Request, path: str, data: bytes) -> tracking_body.Body:
        """Open the body, if its sender may post: the header names the key, else the body, else a beacon's query."""
        user = _basic_user(request)
        if user is not None:
            self._authenticate(user)
        body = tracking_body.open_body(data, CALLS[path])
        if user is None:
            beacon_key = request.args.get("writeKey", "") if path.startswith("/beacon/") else ""
            self._authenticate(body.write_key or beacon_key)
        return body

    def _publish(self, topic: str, messages: list[Message]) -> None:
        if messages:
            self._publisher.publish(topic, messages)

    def _authenticate(self, key: str) -> None:
        """Compare with every key, in constant time, so that how long it takes tells nothing."""
        given = key.encode(errors="replace")
        if not sum(hmac.compare_digest(given, known) for known in self._keys):
            # The challenge is never Basic: a browser would ask the visitor of a shop for a password.
            challenge = {"WWW-Authenticate": "WriteKey"}
            raise HttpError(401, "unknown_write_key", "The write key is missing or unknown.", challenge)


def _sort(body: tracking_body.Body, arrival: tracking.Arrival) -> tuple[list[events.Event], list[Refused]]:
    """Part the items into events and refused ones; each item ends up in exactly one of the lists."""
    accepted: list[events.Event] = []
    refused: list[Refused] = []
    repeats: Counter[str] = Counter()
    for index, data in enumerate(body.items):
        try:
            accepted.append(tracking.track(data, body, arrival, repeats))
        except InvalidEventError as fault:
            refused.append(Refused(index, data, fault))
    return accepted, refused


def _arrival(request: flask.Request, now: datetime) -> tracking.Arrival:
    origin = origins.read(request)
    return tracking.Arrival(
        received_at=now,
        sent_at=read_time(request.headers.get("SentAt")),
        ip=origin.ip,
        user_agent=origin.user_agent,
        global_privacy_control=request.headers.get("Sec-GPC") == "1",
    )


def _basic_user(request: flask.Request) -> str | None:
    """The user name of Basic authentication, which is where SDKs put the write key; None when there is none."""
    try:
        given = request.authorization
    except ValueError:  # Werkzeug 3.1 lets this through when the header is not ASCII
        return None
    return given.username if given and given.type == "basic" else None


def _letter(item: Refused, body: tracking_body.Body, arrival: tracking.Arrival) -> Message:
    """The item without its write key; and what a replay needs besides of path, headers and body, but for addresses."""
    said = {"type": body.call} if body.call else {}
    if arrival.global_privacy_control:
        said["globalPrivacyControl"] = "true"
    if sent_at := body.sent_at or arrival.sent_at:
        said["sentAt"] = sent_at.isoformat()
    payload = dead_letter.without_write_key(item.data)
    data, about = dead_letter.build("collect", item.fault.reason, item.fault.detail, payload, said, arrival.received_at)
    return Message(data=data, attributes=about)


def _strict(refused: list[Refused]) -> HttpError:
    faults = [
        {
            "index": item.index,
            "messageId": tracking.message_id(item.data),
            "reason": item.fault.reason,
            "detail": item.fault.detail,
        }
        for item in refused
    ]
    sentence = "In strict mode one bad event refuses the request: nothing was stored, and nothing was dead-lettered."
    return HttpError(400, "invalid_events", sentence, fields={"errors": faults})
