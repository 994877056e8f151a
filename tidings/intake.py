"""What becomes of a message's bytes on their way into the pipeline and into a replay: the event, or why it is none."""

from tidings import consent, events, profiles
from tidings.events import Event


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
