"""`sequence`: steps in order, each with its own count and conditions, all of them inside `within`.

When exactly: at once, on arrival of the event that completes the last step. Other events may lie in between. Of several
attempts that overlap, the one with the latest start goes on, because it has the most time left; and so a sequence is
found whenever there is one. A firing uses its events up: the next one consists of events that happened after it.

Why the order of arrival does not matter: call a set of events that fulfils the steps an attempt; it spans the time
from its first event to its last. `_read` goes through the timeline from the oldest event to the newest, and takes the
attempt that ends first, then the one that ends first among those that begin after it, and so on. That is the largest
number of attempts that can follow one another (with the pause between them, if there is one): whatever another choice
takes as its k-th attempt, ours has ended by then. One more event on the timeline leaves every choice that was possible
possible, so this number never falls. And it rises by one at most: without the attempt that holds the new event, the old
events alone would do. What has been announced is therefore never more than what is found, and in the end, when
everything has arrived, equal to it. (An ending event that arrives late is the exception: what is announced stays so.)

For an event in order it is enough to know, for each number of events that an attempt may have, the latest start of one
that has come so far: `progress`. The timeline is read again only when an event is late, or something is complete.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tidings.durations import Duration
from tidings.rules.conditions import Path
from tidings.rules.kinds.base import (
    LATENESS,
    NEVER,
    OWN,
    START,
    STOP,
    Firing,
    Mark,
    ReEntry,
    Tracker,
    Watchable,
    tidy_at,
)
from tidings.rules.selectors import Selector

_MOST_EVENTS = 50
_FEW = 8
"""So few marks are not worth a visit of their own."""

_MANY = 100
"""More marks than this, beside those of attempts, are kept by nobody: the oldest count as settled."""


class SequenceStep(Selector):
    """One step: an event, once or `times` times."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1, le=_MOST_EVENTS, description="How many such events; 1 when left out.")] = 1

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A name alone is enough."""
        schema = super().__get_pydantic_json_schema__(core, handler)
        return {"anyOf": [{"type": "string", "minLength": 1}, schema]}


class SequenceDocument(BaseModel):
    """Several events in order, other events in between or not."""

    model_config = ConfigDict(extra="forbid")

    steps: list[SequenceStep] = Field(min_length=2, max_length=10, description="What must happen, in this order.")
    within: Duration
    by: Path | None = Field(default=None, description='One attempt per value of this, for "the same product".')

    @model_validator(mode="after")
    def _is_not_too_long(self) -> "SequenceDocument":
        if sum(step.times for step in self.steps) > _MOST_EVENTS:
            raise ValueError(f"steps may ask for {_MOST_EVENTS} events altogether")
        return self


Chain = tuple[Mark, "Chain"] | None
"""An attempt as far as it has come: its latest event, and the chain before that."""


class _Reading(NamedTuple):
    """What a timeline comes to.

    Attributes:
        complete: the attempts that are complete, oldest first, each with its events in order.
        chains: for a number of events, the attempt of that many with the latest start, where `progress` knows of one.
        progress: as in the tracker.
    """

    complete: list[list[Mark]]
    chains: list[Chain]
    progress: list[int | None]


class Sequence:
    """The compiled form.

    `progress`, in a tracker, holds first the instant before which nothing may be completed because of `re_entry`; then,
    at index n, the latest start of an attempt that has n events; and last a stamp of the rule that wrote it.
    """

    keeps = 0
    stateless = False
    ended_by = STOP

    def __init__(self, document: SequenceDocument, exits: Iterable[Selector], re_entry: ReEntry, scale: float) -> None:
        self._document = document
        self._exits = exits
        self._within = max(1, int(document.within / scale))
        self._re_entry = re_entry
        self._length = sum(step.times for step in document.steps)
        self._most_marks = _MANY + self._length**2 // 2
        self._places: dict[int, tuple[int, ...]] = {}
        told = f"{document.model_dump_json()} {self._within} {re_entry}"
        self._stamp = int.from_bytes(hashlib.blake2b(told.encode(), digest_size=4).digest(), "big")

    def watches(self) -> list[tuple[Watchable, int]]:
        """See `Kind`."""
        return [
            *((step, START | OWN << number) for number, step in enumerate(self._document.steps)),
            *((one, STOP) for one in self._exits),
        ]

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> list[Firing]:
        """See `Kind`."""
        if not tracker.insert(mark):
            return []
        marks = tracker.marks
        if self._re_entry.once and tracker.fired_at is not None:
            marks.clear()
            return []
        progress = tracker.progress
        in_order = marks[-1] is mark and progress and progress[-1] == self._stamp
        firings = []
        if not in_order or self._completes(self._advance(progress, mark)):
            firings = self._announce(tracker, mark)
        if len(marks) > self._most_marks:
            self._settle(tracker, marks[len(marks) // 2].at)
        tracker.wake_at = self._tidy_at(tracker.marks) if tracker.marks else NEVER
        return firings

    def wake(self, tracker: Tracker, watermark: int) -> list[Firing]:
        """See `Kind`."""
        horizon = watermark - LATENESS - 1
        self._settle(tracker, horizon)
        if tracker.marks:
            tracker.wake_at = self._tidy_at(tracker.marks, horizon)
            return []
        tracker.progress.clear()
        ready_at = NEVER if tracker.fired_at is None else tracker.fired_at + self._re_entry.pause
        if tracker.fired_at is not None and self._re_entry.once:
            tracker.wake_at = NEVER
        elif tracker.fired_at is not None and ready_at > horizon:
            tracker.wake_at = tidy_at(ready_at)
        else:
            tracker.settled, tracker.fired_at, tracker.wake_at = -1, None, NEVER
        return []

    def _announce(self, tracker: Tracker, mark: Mark) -> list[Firing]:
        """Read the timeline again. If it comes to more than was announced, then because of an attempt with `mark`."""
        reading = self._read(tracker)
        tracker.progress = reading.progress
        if len(reading.complete) <= tracker.emitted:
            return []
        attempt = next((one for one in reading.complete if any(its is mark for its in one)), None)
        if attempt is None:  # it was the rule that changed: nobody has done anything
            tracker.emitted = len(reading.complete)
            return []
        if not self._re_entry.once:
            tracker.emitted = len(reading.complete)
            return [Firing(attempt[-1].at, attempt, tracker.name(attempt))]
        tracker.fired_at = attempt[-1].at
        tracker.marks.clear()
        tracker.progress.clear()
        return [Firing(attempt[-1].at, attempt)]

    def _read(self, tracker: Tracker, until: int = NEVER) -> _Reading:
        """Go through the timeline, from the oldest event to the newest that is not after `until`."""
        ready_at = None if tracker.fired_at is None else tracker.fired_at + self._re_entry.pause
        reading = _Reading([], [None] * self._length, [ready_at, *[None] * (self._length - 1), self._stamp])
        for mark in tracker.marks:
            if mark.at > until:
                break
            filled = self._advance(reading.progress, mark)
            if self._completes(filled):
                reading.complete.append([*_marks_of((mark, reading.chains[-1]))][::-1])
                continue
            for place in filled:
                reading.chains[place + 1] = (mark, reading.chains[place])
        return reading

    def _advance(self, progress: list[int | None], mark: Mark) -> list[int]:
        """Move the attempts on by one event. Returns the places that it takes in them, from 0, the last one first."""
        if mark.flags & STOP:
            progress[1:-1] = [None] * (self._length - 1)
            return []
        at, filled = mark.at, []
        for place in self._places_of(mark.flags):
            start = progress[place] if place else at
            if start is None or at - start >= self._within:
                continue
            if place == self._length - 1:
                if progress[0] is not None and at < progress[0]:
                    continue
                progress[:-1] = [at + self._re_entry.pause, *[None] * place]
                return [place]
            progress[place + 1] = start
            filled.append(place)
        return filled

    def _completes(self, filled: list[int]) -> bool:
        return bool(filled) and filled[0] == self._length - 1

    def _places_of(self, flags: int) -> tuple[int, ...]:
        """The places that an event with these flags can take; from the last down, so that it moves none on twice."""
        places = self._places.get(flags)
        if places is None:
            steps = [number for number, step in enumerate(self._document.steps) for _ in range(step.times)]
            found = [place for place, step in enumerate(steps) if flags & OWN << step]
            places = self._places[flags] = tuple(reversed(found))
        return places

    def _settle(self, tracker: Tracker, horizon: int) -> None:
        """Nothing new will come at or before `horizon`: keep of it what an attempt may still build on.

        The attempts with the latest start, one for each number of events, lead to the same as all the events did.
        """
        complete = self._read(tracker).complete
        settled = [one for one in complete if one[-1].at <= horizon]
        tracker.emitted = len(complete) - len(settled)
        if settled:
            tracker.fired_at = settled[-1][-1].at
            tracker.forget(tracker.marks.index(settled[-1][-1]) + 1)
        reading = self._read(tracker, until=horizon)
        needed: set[Mark] = set()
        for start, chain in zip(reading.progress[1:-1], reading.chains[1:], strict=True):
            if start is not None and horizon + 1 - start < self._within:
                needed.update(_marks_of(chain))
        old = sum(one.at <= horizon for one in tracker.marks)
        if old:
            tracker.settled = max(tracker.settled, tracker.marks[old - 1].at)
            tracker.marks = [one for one in tracker.marks[:old] if one in needed] + tracker.marks[old:]

    def _tidy_at(self, marks: list[Mark], horizon: int = -NEVER) -> int:
        """When everything is over; or, when there is much to forget, when that may be done."""
        over = tidy_at(marks[0].at + self._within)
        if len(marks) > _FEW and marks[-1].at > horizon:
            return min(over, tidy_at(marks[-1].at))
        return over


def _marks_of(chain: Chain) -> Iterator[Mark]:
    while chain is not None:
        yield chain[0]
        chain = chain[1]


def build(document: Any, exits: Iterable[Selector], re_entry: ReEntry, scale: float) -> Sequence:
    """Compile a document."""
    return Sequence(document, exits, re_entry, scale)
