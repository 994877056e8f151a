"""The event: one thing that one person did, as it travels over the events topic.

The wire form is one JSON object with Segment's field names in camelCase. `properties`, `traits` and `context`
stay undecoded bytes until a rule asks for them, because most rules look at the name alone.
Source of the fields: https://segment.com/docs/connections/spec/common/
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from tidings.errors import InvalidEventError
from tidings.wire.message_ids import pack

EventType = Literal["track", "identify", "page", "screen", "group", "alias"]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
SCHEMA = "tidings.event.v1"
"""The Pub/Sub attribute `schema` of every event; another value is not ours."""

ObjectName = Literal["properties", "traits", "context"]
OBJECTS: tuple[ObjectName, ...] = get_args(ObjectName)

_object_decoder = msgspec.json.Decoder(dict[str, Any])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_AWAY = datetime(3000, 1, 1, tzinfo=UTC)
_NOTHING = msgspec.Raw(b"{}")
_BRACE = ord("{")


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, dict=True):
    """One event, after the front door has checked it and corrected its clock.

    Attributes:
        message_id: the sender's dedupe key, at most 100 characters.
        type: Segment's call.
        user_id / anonymous_id: at least one is there and not empty.
        previous_id: for `alias`, the id that joins `user_id`.
        event: the name of a `track`; `name`: that of a `page` or `screen`.
        properties / traits / context: JSON objects, still encoded.
        timestamp: when it happened, by the server's clock (skew corrected, never after `received_at`).
        received_at: when the front door took it.
    """

    message_id: str
    type: EventType
    timestamp: datetime
    received_at: datetime
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    properties: msgspec.Raw = _NOTHING
    traits: msgspec.Raw = _NOTHING
    context: msgspec.Raw = _NOTHING
    integrations: msgspec.Raw = _NOTHING
    original_timestamp: datetime | None = None
    sent_at: datetime | None = None
    channel: str | None = None
    version: str | None = None

    @property
    def person(self) -> str:
        """The key of the person: `u:<userId>`, or `a:<anonymousId>` before they are known."""
        return person_key(self.user_id, self.anonymous_id)

    @property
    def label(self) -> str:
        """What the event is called: the name of a track, page or screen, and otherwise its type."""
        return self.event or self.name or self.type

    @property
    def packed_id(self) -> bytes:
        """The messageId in few bytes, to be remembered; packed when somebody first asks."""
        packed: bytes | None = self.__dict__.get("packed_id_")
        if packed is None:
            packed = self.__dict__["packed_id_"] = pack(self.message_id)
        return packed

    @property
    def at(self) -> int:
        """`timestamp` in milliseconds since 1970 UTC, the unit of time inside the engine."""
        return millis(self.timestamp)

    def read(self, root: ObjectName) -> dict[str, Any]:
        """`properties`, `traits` or `context`, decoded when somebody first asks, and then remembered.

        Raises:
            msgspec.ValidationError: a number in it is larger than any that Python knows, such as 1e999.
        """
        decoded: dict[str, Any] | None = self.__dict__.get(root)
        if decoded is None:
            decoded = _object_decoder.decode(getattr(self, root))
            if root == "traits" and self.type == "identify":
                # RudderStack's SDKs put the traits of an identify into its context, and nowhere else.
                of_context = self.read("context").get("traits")
                decoded = {**of_context, **decoded} if isinstance(of_context, dict) else decoded
            self.__dict__[root] = decoded
        return decoded

    def is_in(self, segment: str) -> bool:
        """An event is in no segment: people are."""
        return False

    @property
    def objects(self) -> dict[str, dict[str, Any]]:
        """All three of them."""
        return {root: self.read(root) for root in OBJECTS}


def person_key(user_id: str | None, anonymous_id: str | None) -> str:
    """See `Event.person`."""
    return f"u:{user_id}" if user_id else f"a:{anonymous_id}"


def track(
    message_id: str,
    name: str,
    person: str,
    properties: Mapping[str, Any],
    at: datetime,
    received_at: datetime | None = None,
) -> Event:
    """A track event that we tell ourselves; properties that are empty are left out.

    Args:
        message_id: derived from what it tells, so that telling it again counts once.
        name: what happened.
        person: as `Event.person`.
        properties: None and empty text are left out.
        at: when it happened.
        received_at: when we heard of it, if that was later.
    """
    kind, _, identity = person.partition(":")
    said = {name: value for name, value in properties.items() if value not in (None, "")}
    return Event(
        message_id=message_id,
        type="track",
        event=name,
        user_id=identity if kind == "u" else None,
        anonymous_id=identity if kind == "a" else None,
        timestamp=at,
        received_at=max(at, received_at or at),
        properties=msgspec.Raw(msgspec.json.encode(said)),
    )


def millis(instant: datetime) -> int:
    """Whole milliseconds since 1970 UTC, rounded down. Exact: no floating point is involved."""
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def instant(ms: int) -> datetime:
    """The inverse of `millis`."""
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def receipt(event: Event) -> tuple[datetime, str]:
    """The order of receipt, to sort by."""
    return event.received_at, event.message_id


_decoder = msgspec.json.Decoder(Event)


def decode(data: bytes) -> Event:
    """Read one event from the wire.

    Raises:
        InvalidEventError: `unreadable` (not JSON), `not_an_event` (JSON of another shape), `no_person` (neither
            userId nor anonymousId), `no_timezone`, `bad_time` (before 1970, or after its receipt),
            `not_an_object` (properties, traits or context).
    """
    try:
        data.decode()  # the decoder does not look into what stays raw
        event = _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidEventError("not_an_event", _explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("unreadable", f"not JSON: {type(error).__name__}") from None
    if not (event.user_id or event.anonymous_id):
        raise InvalidEventError("no_person", "neither userId nor anonymousId is there")
    if event.timestamp.tzinfo is None or event.received_at.tzinfo is None:
        raise InvalidEventError("no_timezone", "timestamp and receivedAt need an offset")
    if not _EPOCH <= event.timestamp <= event.received_at < _FAR_AWAY:
        raise InvalidEventError("bad_time", "timestamp lies before 1970 or after receivedAt, or that after 2999")
    for raw in (event.properties, event.traits, event.context):
        if raw is not _NOTHING and memoryview(raw)[0] != _BRACE:
            raise InvalidEventError("not_an_object", "properties, traits and context must be JSON objects")
    return event


def _explain(error: msgspec.ValidationError) -> str:
    """Where, and what was expected. Where only some values will do, msgspec quotes the one at fault: not here."""
    what, at, path = str(error).rpartition(" - at ")
    if what.startswith("Invalid enum value"):
        return f"Expected one of {', '.join(EVENT_TYPES)}{at}{path}"
    return str(error)


def encode(event: Event) -> bytes:
    """The wire form of an event, one line of JSON."""
    return msgspec.json.encode(event)
