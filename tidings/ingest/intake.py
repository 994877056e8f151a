"""What becomes of bytes on their way into the pipeline and into a replay: the event, or why it is none; and back."""

from collections.abc import Callable, Mapping

from tidings.deciding import erasure, identity
from tidings.deciding.erasure import Erased
from tidings.deciding.identity import Handover
from tidings.errors import InvalidEventError
from tidings.permission import consent
from tidings.records import profiles
from tidings.wire import events
from tidings.wire.events import Event

_READERS: dict[str | None, Callable[[bytes], Event]] = {
    events.SCHEMA: events.decode,
    identity.SCHEMA: identity.decode,
    erasure.SCHEMA: erasure.decode,
}


def read_message(data: bytes, attributes: Mapping[str, str]) -> Event:
    """What a message of the events topic holds: an event, a handover (`Handover`), or an erasure (`Erased`).

    Raises:
        InvalidEventError: `not_ours`; `not_a_handover`; `not_an_erasure`; or as `read`.
    """
    reader = _READERS.get(attributes.get("schema"))
    if reader is None:
        raise InvalidEventError("not_ours", "the attribute schema is missing or of another kind")
    event = reader(data)
    check(event)
    return event


def to_message(event: Event) -> tuple[bytes, str]:
    """The inverse of `read_message`: data, and the attribute `schema`."""
    if isinstance(event, Erased):
        return erasure.encode(event), erasure.SCHEMA
    return events.encode(event), identity.SCHEMA if isinstance(event, Handover) else events.SCHEMA


def read(line: bytes) -> Event:
    """What everybody behind this door can work with, of a line of a file or archive: an event, or an erasure.

    Raises:
        InvalidEventError: it is no event (see `events.decode`), or its consent or its traits cannot be used.
    """
    event = from_line(line)
    check(event)
    return event


def from_line(line: bytes) -> Event:
    """As `read`, of what has been read before."""
    return _READERS[schema_of_line(line)](line)


def to_line(event: Event) -> bytes:
    """The inverse of `from_line`."""
    return to_message(event)[0]


def schema_of_line(line: bytes) -> str:
    """What a message would say of itself in its attributes, a line of a file cannot; so its shape has to tell."""
    if b'"messageId"' in line:
        return events.SCHEMA
    try:
        erasure.decode(line)
    except InvalidEventError:
        return events.SCHEMA
    return erasure.SCHEMA


def check(event: Event) -> None:
    """See `read`."""
    consent.from_event(event)
    profiles.from_event(event)
