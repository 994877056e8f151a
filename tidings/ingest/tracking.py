"""From one item that an SDK posted to one event, or to the reason why there is none.

Pure: what the connection knows (time of receipt, IP address, user agent) is an argument.
Source: https://segment.com/docs/connections/spec/common/
"""

import hashlib
from collections import Counter
from datetime import datetime
from typing import Any, cast

import msgspec

from tidings.errors import InvalidEventError
from tidings.ingest import lenient_json
from tidings.ingest.clock_skew import happened_at, read_time
from tidings.ingest.tracking_body import EVENT_BYTES, Body, as_object, as_optional_object
from tidings.wire.events import EVENT_TYPES, Event, EventType

ID_BYTES = 400
"""How long an id may be: it becomes a key in every store, and Firestore takes 1,500 bytes, escapes included."""

MESSAGE_ID_CHARACTERS = 100
USER_AGENT_CHARACTERS = 512

NOBODY = frozenset({"null", "undefined", "None", "NaN", "[object Object]"})
"""Ids that are a slip of a program. Taken for a person, they would make one person of many strangers."""

OUR_OWN = frozenset({"Consent Confirmed"})
"""Events that only our own pages may bring: write keys stand in web pages, and who has one could confirm for others."""

_NOT_CONTENT = ("messageId", "sentAt", "receivedAt", "writeKey")
"""Fields that a retry may change; they stay out of a derived messageId."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What the connection says about every event that came over it.

    Attributes:
        received_at: the server's clock.
        sent_at: what the client's clock said when it sent the request, from a header.
        ip / user_agent: used where an event does not name its own, unless its `context.direct` is false.
        global_privacy_control: the browser sent `Sec-GPC: 1`.
    """

    received_at: datetime
    sent_at: datetime | None = None
    ip: str = ""
    user_agent: str = ""
    global_privacy_control: bool = False


def track(data: bytes, body: Body, arrival: Arrival, repeats: Counter[str]) -> Event:
    """Make an event of one item of a body.

    Args:
        data: the item, encoded.
        body: where it came in, with what it says for all of its items.
        arrival: what the connection says.
        repeats: counts the items of this body that have no messageId and equal content; start with an empty one.

    Raises:
        InvalidEventError: `too_large`, `unreadable`, `too_deep`, `not_an_object`, `unknown_type`, `not_text`,
            `id_too_long`, `no_person`, `no_event_name`, `reserved_event`. Dead-letter the item.
    """
    if len(data) > EVENT_BYTES:
        raise InvalidEventError("too_large", "an event may take 32 KB")
    item = as_object(lenient_json.read(data), "an event")
    kind = body.call or item.get("type")
    if kind not in EVENT_TYPES:
        raise InvalidEventError("unknown_type", f"type must be one of {', '.join(EVENT_TYPES)}")
    user_id, anonymous_id = _identity(item, "userId"), _identity(item, "anonymousId")
    if not (user_id or anonymous_id):
        raise InvalidEventError("no_person", "neither userId nor anonymousId is there")
    event_name = item.get("event") if kind == "track" else None
    if kind == "track" and not (isinstance(event_name, str) and event_name.strip()):
        raise InvalidEventError("no_event_name", "a track call needs event, a text that is not empty")
    if event_name in OUR_OWN:
        raise InvalidEventError("reserved_event", f"{event_name} comes from the confirmation page alone")
    is_view = kind in ("page", "screen")
    sent_at = read_time(item.get("sentAt")) or body.sent_at or arrival.sent_at
    claims = (item.get("originalTimestamp"), item.get("timestamp"))
    timestamp, original, fault = happened_at(claims, sent_at, arrival.received_at)
    return Event(
        message_id=_message_id(item, kind, repeats),
        type=cast(EventType, kind),
        timestamp=timestamp,
        received_at=arrival.received_at,
        user_id=user_id,
        anonymous_id=anonymous_id,
        previous_id=_identity(item, "previousId"),
        group_id=_identity(item, "groupId"),
        event=event_name,
        name=_text(item, "name") if is_view else None,
        category=_text(item, "category") if is_view else None,
        properties=_encoded(as_optional_object(item.get("properties"), "properties")),
        traits=_encoded(as_optional_object(item.get("traits"), "traits")),
        context=_encoded(_context(item, body, arrival, fault)),
        integrations=_encoded(body.integrations | as_optional_object(item.get("integrations"), "integrations")),
        original_timestamp=original,
        sent_at=sent_at,
        channel=_text(item, "channel"),
        version=_text(item, "version"),
    )


def message_id(data: bytes) -> str | None:
    """The messageId that the sender gave to an item, even to one that is no event, if there is one to be found."""
    try:
        item = lenient_json.read(data)
    except InvalidEventError:
        return None
    given = item.get("messageId") if isinstance(item, dict) else None
    return given[:MESSAGE_ID_CHARACTERS] if isinstance(given, str) else None


def _message_id(item: dict[str, Any], kind: str, repeats: Counter[str]) -> str:
    """The sender's id. One of more than 100 characters is replaced by its digest, so that it still dedupes.

    A missing one is a digest of the content: a retry of the same body has the same ids again. Equal items of one body
    are different events (three failed logins), and are told apart by how many came before.
    """
    given = _text(item, "messageId")
    if given:
        return given if len(given) <= MESSAGE_ID_CHARACTERS else f"long-{_digest(given.encode())}"
    content = {name: value for name, value in item.items() if name not in _NOT_CONTENT} | {"type": kind}
    derived = f"content-{_digest(msgspec.json.encode(content, order='deterministic'))}"
    repeats[derived] += 1
    return derived if repeats[derived] == 1 else f"{derived}-{repeats[derived]}"


def _context(item: dict[str, Any], body: Body, arrival: Arrival, fault: str | None) -> dict[str, Any]:
    """The item's own context over the batch's; `direct: false` says that the connection is not the person's."""
    context = body.context | as_optional_object(item.get("context"), "context")
    if context.get("direct") is not False:
        for field, value in (("ip", arrival.ip), ("userAgent", arrival.user_agent[:USER_AGENT_CHARACTERS])):
            if value and not context.get(field):
                context[field] = value
    if arrival.global_privacy_control:
        context["globalPrivacyControl"] = True
    if fault:
        context["timestampFault"] = fault
    return context


def _identity(item: dict[str, Any], field: str) -> str | None:
    """An id of somebody or of a group; absent when it says only that a program had none."""
    value = _text(item, field)
    if value is None or value in NOBODY:
        return None
    if len(value.encode()) > ID_BYTES:
        raise InvalidEventError("id_too_long", f"{field} may take {ID_BYTES} bytes")
    return value


def _text(item: dict[str, Any], field: str) -> str | None:
    """A text field. An integer becomes text, because ids often are numbers; a blank text is an absent one."""
    value = item.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise InvalidEventError("not_text", f"{field} must be a text")
    return value if value and value.strip() else None


def _encoded(value: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
