"""The first two steps: every event to the parts of those it is addressed to, and then to the person it belongs to."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from tidings.deciding import identity
from tidings.errors import InvalidEventError
from tidings.history.parts import Parts, PartsWriter
from tidings.history.sources import Unit
from tidings.ingest import intake
from tidings.wire.events import millis

MOST_FAULTS = 1000
"""So many broken lines of a piece are told one by one; all of them are counted."""

MOST_NAMES = 1000
"""So many names of events are counted; who makes a name of an id has more than anybody would look at."""


class Window(msgspec.Struct, frozen=True):
    """What of the past is looked at, by the time of receipt: [since, until). None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it was received inside."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


class BrokenLine(msgspec.Struct, frozen=True):
    """A line that is no event; which one (the first is 1), and why. Never what stands in it."""

    source: str
    number: int
    reason: str
    detail: str

    def __str__(self) -> str:
        """As compilers say it, so that editors lead there."""
        return f"{self.source}:{self.number}: {self.reason}: {self.detail}"


class Gathered(msgspec.Struct):
    """What was found in a piece of the past, or in all of it.

    Attributes:
        lines: how many there were; empty ones count, so that numbers fit what an editor shows.
        events: how many of them are events inside the window.
        outside: how many lie outside it.
        broken / faults: how many lines are no events, and the first of those.
        newest: the latest receipt inside the window.
        oldest: the earliest.
        names: how often each name occurs, as (type, name).
    """

    lines: int = 0
    events: int = 0
    outside: int = 0
    broken: int = 0
    faults: list[BrokenLine] = []
    newest: datetime | None = None
    oldest: datetime | None = None
    names: dict[tuple[str, str], int] = {}

    def add(self, other: "Gathered") -> None:
        """Take in what was found in another piece, whose lines come after these where it is of the same source."""
        self.lines += other.lines
        self.events += other.events
        self.outside += other.outside
        self.broken += other.broken
        self.faults = [*self.faults, *other.faults][:MOST_FAULTS]
        self.newest = max((one for one in (self.newest, other.newest) if one), default=None)
        self.oldest = min((one for one in (self.oldest, other.oldest) if one), default=None)
        self.names = dict((Counter(self.names) + Counter(other.names)).most_common(MOST_NAMES))


def scatter(unit: Unit, window: Window, people: Parts, anonymous: Parts) -> Gathered:
    """Put each event of a unit into the parts of the ids that it is addressed to."""
    found = Gathered()
    names: Counter[tuple[str, str]] = Counter()
    writers = {"u": PartsWriter(people, str(os.getpid())), "a": PartsWriter(anonymous, str(os.getpid()))}
    for line in unit.lines():
        found.lines += 1
        if not line or line.isspace():
            continue
        try:
            event = intake.read(line)
        except InvalidEventError as error:
            found.broken += 1
            if len(found.faults) < MOST_FAULTS:
                found.faults.append(BrokenLine(unit.source, found.lines, error.reason, error.detail))
            continue
        received = event.received_at
        if not window.holds(received):
            found.outside += 1
            continue
        found.events += 1
        names[event.type, event.label] += 1
        if found.newest is None or received > found.newest:
            found.newest = received
        if found.oldest is None or received < found.oldest:
            found.oldest = received
        for key in identity.addressees(event):
            writers[key[0]].add(key, line)
    for writer in writers.values():
        writer.flush()
    found.names = dict(names.most_common(MOST_NAMES))
    return found


def follow(anonymous: Parts, number: int, people: Parts) -> None:
    """Put what the anonymous ids of one part did into the parts of those whose it is."""
    writer = PartsWriter(people, f"{os.getpid()}-followed")
    for key, lines in anonymous.grouped(number).items():
        for person, event in identity.follow(key, map(intake.from_line, lines)):
            writer.add(person, intake.to_line(event))
    writer.flush()


def number_lines(units: Sequence[Unit], found: Sequence[Gathered]) -> Gathered:
    """All of it together, with lines numbered as they stand in their sources and not in their pieces."""
    everything = Gathered()
    begun: Counter[str] = Counter()
    for unit, piece in zip(units, found, strict=True):
        before = begun[unit.source]
        piece.faults = [msgspec.structs.replace(one, number=one.number + before) for one in piece.faults]
        begun[unit.source] += piece.lines
        everything.add(piece)
    return everything


def end_of(found: Gathered, window: Window) -> int:
    """How far the past reaches, in milliseconds: as asked for, or as far as anything is known."""
    until = window.until or found.newest
    return millis(until) if until else 0


def clear(folder: Path) -> None:
    """Remove the files of a step that is over, so that the disk holds the past no more often than needed."""
    for path in folder.iterdir():
        path.unlink()
