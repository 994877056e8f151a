"""`performed`: fires at once, on the event that completes the count.

When exactly: on arrival of the event that makes N matching events lie inside a half-open window (t - within, t] of
event time, counted exactly, from timestamps, not from buckets. A firing uses its events up: the next one needs N new
events. Late events (up to the lateness bound) count in their own place; whatever the order of arrival, the number of
firings is the largest number of such windows that fit one after another, and that number only grows.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from tidings.durations import Duration
from tidings.rules.conditions import Path
from tidings.rules.kinds.base import LATENESS, NEVER, START, STOP, Firing, Mark, ReEntry, Tracker, Watchable, tidy_at
from tidings.rules.selectors import Selector


class PerformedDocument(Selector):
    """An event happened, once or `times` times within `within`."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1, le=1000, description="How many such events; 1 when left out.")] = 1
    within: Duration | None = None
    by: Path | None = Field(default=None, description='Count per value of this, for "the same product".')

    @model_validator(mode="after")
    def _a_count_needs_a_window(self) -> "PerformedDocument":
        if self.times > 1 and self.within is None:
            raise ValueError("times above 1 needs within, such as 1h")
        return self


_MANY = 100
"""More marks than this, beside those that are counted, can only be there because of events that end a count."""


class Performed:
    """The compiled form. Without `exit_on` a tracker that has not fired holds 2 (times - 1) marks at most."""

    keeps = 0
    ended_by = STOP

    def __init__(self, document: PerformedDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> None:
        self._document = document
        self._exits = exits
        self._times = document.times
        self._within = max(1, int((document.within or 0) / scale)) if document.within else NEVER
        self._re_entry = re_entry
        self._span = self._within if document.within else 0
        self._most_marks = _MANY + 4 * self._times
        self.stateless = document.times == 1 and re_entry == ReEntry()

    def watches(self) -> list[tuple[Watchable, int]]:
        """See `Kind`."""
        return [(self._document, START), *((one, STOP) for one in self._exits)]

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> Sequence[Firing]:
        """See `Kind`."""
        if not tracker.insert(mark):
            return ()
        if self._re_entry.once and tracker.fired_at is not None:
            tracker.marks.clear()
            return ()
        if len(tracker.marks) < self._times:
            if tracker.marks[0] is mark or tracker.wake_at == NEVER:
                tracker.wake_at = tidy_at(tracker.marks[0].at + self._span)
            return ()
        if len(tracker.marks) > self._most_marks:
            self._forget_ended(tracker)
        groups = self._groups(tracker)
        tracker.wake_at = tidy_at(tracker.marks[0].at + self._span)
        if len(groups) <= tracker.emitted:
            return ()
        group = next((one for one in groups if mark in one), None)
        if group is None:  # it was the rule that changed: nobody has done anything
            tracker.emitted = len(groups)
            return ()
        if not self._re_entry.once:
            tracker.emitted = len(groups)
            return (Firing(group[-1].at, group, tracker.name(group)),)
        tracker.fired_at, tracker.wake_at = group[-1].at, NEVER
        tracker.marks.clear()
        return (Firing(group[-1].at, group),)

    def wake(self, tracker: Tracker, watermark: int) -> Sequence[Firing]:
        """See `Kind`."""
        horizon = watermark - LATENESS - 1
        if len(tracker.marks) >= self._times:
            self._settle(tracker, horizon)
        else:
            tracker.emitted = 0
        tracker.forget(sum(mark.at <= horizon - self._span for mark in tracker.marks))
        if tracker.emitted:
            tracker.emitted = min(tracker.emitted, len(self._groups(tracker)))
        if tracker.marks:
            tracker.wake_at = tidy_at(tracker.marks[0].at + self._span)
        elif self._re_entry.once and tracker.fired_at is not None:
            tracker.wake_at = NEVER
        elif tracker.fired_at is not None and tracker.fired_at + self._re_entry.pause > horizon:
            tracker.wake_at = tidy_at(tracker.fired_at + self._re_entry.pause)
        else:
            tracker.settled, tracker.fired_at, tracker.wake_at = -1, None, NEVER
        return ()

    def _settle(self, tracker: Tracker, horizon: int) -> None:
        """Nothing new will come at or before `horizon`: forget what has fired by then."""
        for group in self._groups(tracker):
            if group[-1].at > horizon:
                break
            tracker.fired_at = group[-1].at
            tracker.emitted = max(0, tracker.emitted - 1)
            tracker.forget(tracker.marks.index(group[-1]) + 1)

    def _forget_ended(self, tracker: Tracker) -> None:
        """Of the older half, forget what an ending event has made meaningless: who ends things all the time."""
        half = tracker.marks[: len(tracker.marks) // 2]
        last_stop = max((place for place, mark in enumerate(half) if mark.flags & STOP), default=-1)
        if last_stop >= 0:
            self._settle(tracker, half[last_stop].at)
            tracker.forget(sum(mark.at <= half[last_stop].at for mark in tracker.marks))

    def _groups(self, tracker: Tracker) -> list[list[Mark]]:
        """The firings that lie in the timeline: the earliest window that is full, then the next after it, ..."""
        groups: list[list[Mark]] = []
        window: list[Mark] = []
        ready_at = -NEVER if tracker.fired_at is None else tracker.fired_at + self._re_entry.pause
        for mark in tracker.marks:
            if mark.flags & STOP:
                window.clear()
                continue
            window.append(mark)
            while window[0].at <= mark.at - self._within:
                del window[0]
            if len(window) >= self._times and mark.at >= ready_at:
                groups.append(window[-self._times :])
                window = []
                ready_at = mark.at + self._re_entry.pause
        return groups


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> Performed:
    """Compile a document."""
    return Performed(document, exits, re_entry, scale)
