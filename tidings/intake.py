"""What becomes of a message's bytes on their way into the pipeline and into a replay: the event, or why it is none."""

from collections.abc import Callable, Mapping

from tidings import consent, events, identity, profiles
from tidings.errors import InvalidEventError
from tidings.events import Event

_READERS: dict[str | None, Callable[[bytes], Event]] = {
    events.SCHEMA: events.decode,
    identity.SCHEMA: identity.decode,
}


def read_message(data: bytes, attributes: Mapping[str, str]) -> Event:
    """What a message of the events topic holds: an event, or a `tidings.identity.Handover`.

    Raises:
        InvalidEventError: `not_ours`; `not_a_handover`; or as `read`.
    """
    reader = _READERS.get(attributes.get("schema"))
    if reader is None:
        raise InvalidEventError("not_ours", "the attribute schema is missing or of another kind")
    event = reader(data)
    check(event)
    return event


def read(data: bytes) -> Event:
    """An event that everybody behind this door can work with.

    Raises:
        InvalidEventError: it is no event (see `events.decode`), or its consent or its traits cannot be used.
    """
    event = events.decode(data)
    check(event)
    return event


def check(event: Event) -> None:
    """See `read`."""
    consent.from_event(event)
    profiles.from_event(event)
