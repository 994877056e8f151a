"""`score`: fires when a model's score for the person crosses a threshold upwards.

When exactly: at once, on the event that lifts the score above the threshold; or when the watermark passes the instant
at which an event that weighs against the person leaves its window and the score rises by itself. It fires again only
after the score has been at or below the threshold. Counts are exact: a feature counts its events in (t - within, t],
where t is the "now" of the step, and `at_most` of them.

That the score has sunk because time has passed is said by the watermark alone, like every absence: a backlog delays it,
and never makes it up.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tidings.durations import Duration
from tidings.rules.conditions import Path
from tidings.rules.counting import signature
from tidings.rules.kinds.base import (
    LATENESS,
    MOST_OWN,
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
from tidings.rules.models import MODELS
from tidings.rules.selectors import Selector

_Times = dict[bytes, list[int]]
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class Feature(Selector):
    """Events that say something about the person, for or against."""

    model_config = ConfigDict(extra="forbid")

    weight: Number = Field(description="What each of them adds; below zero when it speaks against.")
    within: Duration
    at_most: Annotated[int, Field(ge=1, le=100, description="More of them than this add nothing.")] = 10


class ScoreDocument(BaseModel):
    """A score rises above a threshold."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(default="linear", json_schema_extra={"enum": [*sorted(MODELS)]})
    features: Annotated[list[Feature], Field(min_length=1, max_length=MOST_OWN)]
    bias: Number = Field(default=0, description="The score of somebody who has done nothing.")
    above: Number = Field(description="Fires when the score becomes greater than this.")
    by: Path | None = Field(default=None, description="One score for each value of this.")

    @field_validator("model", mode="after")
    @classmethod
    def _is_known(cls, model: str) -> str:
        if model not in MODELS:
            raise ValueError("there is no such model; there are: " + ", ".join(sorted(MODELS)))
        return model


class _Counted(NamedTuple):
    """A feature, ready to count: the name of its events, how far back in milliseconds, and how many."""

    name: bytes
    within: int
    at_most: int


class Score:
    """The compiled form.

    A tracker holds, of each sort of events, the latest few times: marks whose messageId is the name of the sort, so
    that an edited rule finds again what it still counts. `emitted` says that the score is not on the side of the
    threshold on which it began: that of somebody who has done nothing.
    """

    keeps = 0
    stateless = False
    ended_by = STOP

    def __init__(self, document: ScoreDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> None:
        self._features = document.features
        self._exits = exits
        self._re_entry = re_entry
        weights = [Decimal(repr(one.weight)) for one in document.features]
        self._model = MODELS[document.model](weights, Decimal(repr(document.bias)))
        self._above = Decimal(repr(document.above))
        self._counted = [
            _Counted(signature(one).encode(), max(1, int(one.within / scale)), one.at_most) for one in document.features
        ]
        self._most: dict[bytes, int] = {}
        self._span: dict[bytes, int] = {}
        for name, within, at_most in self._counted:
            self._most[name] = max(at_most, self._most.get(name, 0))
            self._span[name] = max(within, self._span.get(name, 0))
        self._longest = max(self._span.values())
        self._begins_above = self._is_above({}, 0)

    def watches(self) -> list[tuple[Watchable, int]]:
        """See `Kind`."""
        features = [(feature, OWN << place) for place, feature in enumerate(self._features)]
        return [*features, *((one, STOP) for one in self._exits)]

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> Sequence[Firing]:
        """See `Kind`."""
        if mark.at <= tracker.settled or (self._re_entry.once and tracker.fired_at is not None):
            return ()
        before = tracker.marks
        now = max(now, mark.at, before[-1].at if before else mark.at)
        tracker.marks = before.copy()
        for one in self._as_kept(mark):
            tracker.insert(one)
        times = self._tidy(tracker, now)
        is_overdue = tracker.wake_at <= now
        rises = self._turns(tracker, self._is_above(times, now), may_sink=not is_overdue)
        if not is_overdue:
            tracker.wake_at = self._wake_at(tracker, times, now)
        if not rises or mark.flags & STOP:
            return ()
        if not is_overdue and self._is_above(_times(before), now - 1):
            return ()  # it was the rule that changed: nobody has done anything
        return self._fire(tracker, Mark(mark.at, b"" if mark.flags & START else mark.message_id, START))

    def wake(self, tracker: Tracker, watermark: int) -> Sequence[Firing]:
        """See `Kind`."""
        firings: list[Firing] = []
        times = _times(tracker.marks)
        turns = {at for at in self._ends(times) if tracker.wake_at - 1 <= at < watermark}
        for at in sorted({*turns, watermark - 1}):
            if self._turns(tracker, self._is_above(times, at)) and not self._is_above(times, at - 1):
                shown = msgspec.json.encode({"score": float(self._score(times, at))})
                firings += self._fire(tracker, Mark(at, b"", START, ("Score Risen", shown)))
        times = self._tidy(tracker, watermark - 1)
        horizon = watermark - LATENESS - 1
        if tracker.fired_at is not None and not self._re_entry.once:
            tracker.fired_at = tracker.fired_at if tracker.fired_at + self._re_entry.pause > horizon else None
        tracker.wake_at = self._wake_at(tracker, times, watermark - 1)
        return firings

    def _as_kept(self, mark: Mark) -> list[Mark]:
        """What is remembered of an event: one mark for each sort of events that it is counted as."""
        if mark.flags & STOP:
            return [replace(mark, message_id=b"", kept=None)]
        if mark.flags & START:  # it was counted under another id of the same person
            return [mark]
        names = {one.name for place, one in enumerate(self._counted) if mark.flags & (OWN << place)}
        return [Mark(mark.at, name, START, mark.kept) for name in sorted(names)]

    def _turns(self, tracker: Tracker, is_above: bool, *, may_sink: bool = True) -> bool:
        """Note on which side of the threshold the score is now. Returns whether it has risen above it."""
        was_above = self._begins_above != bool(tracker.emitted)
        if is_above == was_above or not (is_above or may_sink):
            return False
        tracker.emitted = int(is_above != self._begins_above)
        return is_above

    def _fire(self, tracker: Tracker, mark: Mark) -> Sequence[Firing]:
        """The score has risen at this mark. A rise that comes too soon for `re_entry` is passed over."""
        fired_at = tracker.fired_at
        if fired_at is not None and (self._re_entry.once or mark.at < fired_at + self._re_entry.pause):
            return ()
        if self._re_entry.once:
            tracker.marks, tracker.emitted, tracker.wake_at = [], 0, NEVER
        if self._re_entry != ReEntry():
            tracker.fired_at = mark.at
        return (Firing(mark.at, [mark]),)

    def _score(self, times: _Times, at: int) -> Decimal:
        counts = []
        for name, within, at_most in self._counted:
            since = at - within
            count = 0
            for time in times.get(name, ()):
                if time <= since or count == at_most:
                    break
                count += 1
            counts.append(count)
        return self._model.score(counts)

    def _is_above(self, times: _Times, at: int) -> bool:
        return self._score(times, at) > self._above

    def _ends(self, times: _Times) -> set[int]:
        """The instants at which an event leaves a window."""
        return {at + one.within for one in self._counted for at in times.get(one.name, ())}

    def _wake_at(self, tracker: Tracker, times: _Times, now: int) -> int:
        """The next instant at which the score crosses the threshold by itself, or everything is over."""
        tidy = NEVER
        if tracker.marks:
            tidy = tidy_at(tracker.marks[-1].at + self._longest)
        elif tracker.fired_at is not None and not self._re_entry.once:
            tidy = tidy_at(tracker.fired_at + self._re_entry.pause)
        is_above = self._begins_above != bool(tracker.emitted)
        if not is_above and not self._model.can_rise:
            return tidy
        ends = (at for at in sorted(self._ends(times)) if at > now)
        return min(tidy, next((at for at in ends if self._is_above(times, at) != is_above), NEVER) + 1)

    def _tidy(self, tracker: Tracker, now: int) -> _Times:
        """Keep what can still count: after the last ending event, inside the window, and no more than is counted.

        Returns what is left.
        """
        last_stop = max((one.at for one in tracker.marks if one.flags & STOP), default=-NEVER)
        room = dict(self._most)
        kept: list[Mark] = []
        for mark in reversed(tracker.marks):
            if mark.flags & STOP:
                if mark.at == last_stop > now - self._longest:
                    kept.append(mark)
            elif mark.at > last_stop and room.get(mark.message_id) and mark.at > now - self._span[mark.message_id]:
                room[mark.message_id] -= 1
                kept.append(mark)
        tracker.marks = kept[::-1]
        return _times(tracker.marks)


def _times(marks: Sequence[Mark]) -> _Times:
    """By sort of events: their times, newest first."""
    times: _Times = {}
    for mark in reversed(marks):
        if not mark.flags & STOP:
            times.setdefault(mark.message_id, []).append(mark.at)
    return times


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> Score:
    """Compile a document."""
    return Score(document, exits, re_entry, scale)
