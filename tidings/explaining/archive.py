"""What the archive holds of one person: the units are streamed twice, and only what is theirs is kept in memory."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from tidings.deciding import identity
from tidings.history.gather import BrokenLine, Window
from tidings.history.sources import Unit
from tidings.history.stream import stream
from tidings.wire.events import Event


class Archived(msgspec.Struct):
    """What was found.

    Attributes:
        heard: everything addressed to the person, and to the anonymous ids that have joined them.
        newest: the latest receipt of anything at all; None when there is nothing.
        events: how many there are of anybody.
        broken: how many lines are no events.
    """

    heard: list[Event] = []
    newest: datetime | None = None
    events: int = 0
    broken: int = 0


def of_person(person: str, units: Sequence[Unit], window: Window) -> Archived:
    """Find out who has joined a person, then keep what is theirs.

    Args:
        person: as `Event.person`.
        units: the archive, or pieces of it, in any order.
        window: what of it counts, by the time of receipt.

    Raises:
        HistoryError: it cannot be read.
        TemporaryError: not now.
    """
    found = Archived()
    theirs = {person}

    def count(_line: BrokenLine) -> None:
        found.broken += 1

    for event in stream(units, count, window):
        found.events += 1
        if found.newest is None or event.received_at > found.newest:
            found.newest = event.received_at
        anonymous = identity.joins(event)
        if anonymous is not None and event.person == person:
            theirs.add(anonymous)
    names = [key[2:].encode(errors="surrogatepass") for key in theirs]
    again = stream(units, lambda _: None, window, lambda line: _may_name(line, names))
    found.heard = [event for event in again if not theirs.isdisjoint(identity.addressees(event))]
    return found


def history_of(person: str, heard: Iterable[Event]) -> list[Event]:
    """What `replay` needs to decide for a person again, or for an anonymous id until it joined one.

    Args:
        person: as `Event.person`.
        heard: at least what `of_person` keeps.
    """
    if person.startswith("a:"):
        return [event for event in heard if person in identity.addressees(event)]
    return identity.resolve(heard).get(person, [])


def _may_name(line: bytes, names: Sequence[bytes]) -> bool:
    """Whether it is worth decoding: one of these ids stands in it, or may, where characters are escaped."""
    return b"\\" in line or any(name in line for name in names)
