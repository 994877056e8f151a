"""What is known of events by their messageIds: from the activity feed, or from the events themselves."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from tidings.explaining.explanation import Counted
from tidings.records.store import Activity, Store
from tidings.wire.events import Event, receipt

Feed = Mapping[str, tuple[str, datetime]]
"""messageId -> name and time."""

MOST_LINES = 1000
"""So many lines of an id's feed are read, the newest ones."""


def of_store(store: Store, person: str) -> dict[str, tuple[str, datetime]]:
    """What the feeds of a person, and of the anonymous ids that have joined them, still hold."""
    lines = store.activity(person, MOST_LINES)
    return of_lines([*lines, *(line for one in joined(lines) for line in store.activity(one, MOST_LINES))])


def joined(lines: Iterable[Activity]) -> list[str]:
    """The anonymous ids that have joined the person of this feed."""
    return sorted({one for line in lines if (one := line.detail.get("joined_by"))})


def of_lines(lines: Iterable[Activity]) -> dict[str, tuple[str, datetime]]:
    """Of lines of the feed; of what is there twice the first counts."""
    found: dict[str, tuple[str, datetime]] = {}
    for line in lines:
        if line.kind == "event":
            found.setdefault(line.activity_id.removeprefix("e-"), (line.label, line.at.astimezone(UTC)))
    return found


def of_events(events: Iterable[Event]) -> dict[str, tuple[str, datetime]]:
    """Of events; of what was received twice the first counts, as in the feed."""
    found: dict[str, tuple[str, datetime]] = {}
    for event in sorted(events, key=receipt):
        found.setdefault(event.message_id, (event.label, event.timestamp.astimezone(UTC)))
    return found


def counted(evidence: Sequence[str], feed: Feed) -> tuple[Counted, ...]:
    """The evidence of a decision, as far as it is known."""
    return tuple(
        Counted(message_id=one, name=feed[one][0], at=feed[one][1]) if one in feed else Counted(message_id=one)
        for one in evidence
    )
