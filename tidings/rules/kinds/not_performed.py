"""`not_performed`: an event, and then none of some others for `within`.

When exactly: when the watermark passes the deadline, which is the time of the anchor (or of the latest `reset_on`
event) plus `within`. An ending event up to and including the deadline stops it. Nothing here is decided before the
watermark says that everything received up to the deadline has been seen, so a backlog delays the decision and never
falsifies it. An episode whose deadline had passed before anybody heard of it (an app that was offline) waits a minute
more, because what ends it often comes in the same batch.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from tidings.durations import Duration
from tidings.rules.kinds.base import (
    COMPANY,
    LATENESS,
    MOST_SHOWN,
    NEVER,
    RESET,
    START,
    STOP,
    Firing,
    Mark,
    ReEntry,
    Tracker,
    tidy_at,
)
from tidings.rules.selectors import Selector

_MOST_MARKS = 100
"""An episode that is reset for ever must not grow for ever: past this many, what is over is forgotten, and then the
oldest resets."""


class NotPerformedDocument(BaseModel):
    """An event, and then none of some others for a while."""

    model_config = ConfigDict(extra="forbid")

    after: Selector = Field(description="The event that starts the clock.")
    none_of: list[Selector] = Field(min_length=1, description="The events that must not follow.")
    within: Duration
    reset_on: list[Selector] = Field(default=[], description="Events that start the clock again.")


class NotPerformed:
    """The compiled form."""

    keeps = START | RESET
    stateless = False
    ended_by = STOP

    def __init__(
        self, document: NotPerformedDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float
    ) -> None:
        self._document = document
        self._exits = exits
        self._within = max(1, int(document.within / scale))
        self._company = max(1, int(COMPANY / scale))
        self._re_entry = re_entry

    def watches(self) -> list[tuple[Selector, int]]:
        """See `Kind`."""
        return [
            (self._document.after, START),
            *((one, RESET) for one in self._document.reset_on),
            *((one, STOP) for one in (*self._document.none_of, *self._exits)),
        ]

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> Sequence[Firing]:
        """See `Kind`. A deadline that lies before `now` waits for company only if it was over before it was heard of.

        One that was heard of in time, and is still undecided because the watermark lags, waits for nothing else.
        """
        if not tracker.insert(mark):
            return ()
        waiting = tracker.wake_at if tracker.running else -NEVER
        self._read(tracker, watermark=-NEVER)
        if tracker.running and tracker.wake_at <= now:
            heard_of_too_late = mark.flags & (START | RESET) and mark.at + self._within <= now
            tracker.wake_at = now + self._company if heard_of_too_late else max(tracker.wake_at, waiting)
        return ()

    def wake(self, tracker: Tracker, watermark: int) -> Sequence[Firing]:
        """See `Kind`."""
        return self._read(tracker, watermark)

    def _read(self, tracker: Tracker, watermark: int) -> list[Firing]:
        """Read the timeline from its start; announce the episodes whose deadline the watermark has passed."""
        firings: list[Firing] = []
        episode: list[Mark] = []
        deadline = NEVER
        over = 0  # so many marks, from the oldest, belong to nothing that still runs
        for place, mark in enumerate(tracker.marks):
            if episode and mark.at > deadline:
                if watermark <= deadline:
                    break
                firings += self._fire(tracker, episode, deadline)
                episode = []
            if mark.flags & STOP:
                episode = []
            if episode:
                episode.append(mark)
                if mark.flags & RESET:
                    deadline = mark.at + self._within
            elif mark.flags & START and self._may_enter(tracker, mark.at):
                episode, deadline, over = [mark], mark.at + self._within, place
            if not episode:
                over = place + 1
        if episode and watermark > deadline:
            firings += self._fire(tracker, episode, deadline)
            episode, over = [], len(tracker.marks)
        for mark in episode[:-MOST_SHOWN]:  # of the others a template is shown nothing
            if mark.kept is not None:
                tracker.marks[tracker.marks.index(mark)] = replace(mark, kept=None)
        self._forget(tracker, over, watermark - LATENESS - 1)
        tracker.running = bool(episode)
        tracker.wake_at = deadline + 1 if episode else self._forget_at(tracker)
        return firings

    def _fire(self, tracker: Tracker, episode: list[Mark], deadline: int) -> list[Firing]:
        tracker.fired_at = tracker.settled = deadline
        if not any(mark.kept for mark in episode):  # the rule was of another kind then: nobody has waited
            return []
        return [Firing(deadline, episode)]

    def _may_enter(self, tracker: Tracker, at: int) -> bool:
        if tracker.fired_at is None:
            return True
        return not self._re_entry.once and at >= tracker.fired_at + self._re_entry.pause

    def _forget(self, tracker: Tracker, over: int, horizon: int) -> None:
        """Let go of marks that are over and that no event in time can touch: up to `horizon`, or before a firing.

        The others stay: a cart event that arrives after its order, but happened before it, must find the order here.
        """
        limit = max(horizon, tracker.settled)
        forgotten = sum(mark.at <= limit for mark in tracker.marks[:over])
        tracker.forget(max(forgotten, min(over, len(tracker.marks) - _MOST_MARKS)))
        while len(tracker.marks) > _MOST_MARKS:
            del tracker.marks[1]
        if not tracker.marks and not self._must_remember_firing(tracker, horizon):
            tracker.fired_at, tracker.settled = None, -1

    def _must_remember_firing(self, tracker: Tracker, horizon: int) -> bool:
        if tracker.fired_at is None:
            return False
        return self._re_entry.once or tracker.fired_at + self._re_entry.pause > horizon

    def _forget_at(self, tracker: Tracker) -> int:
        if tracker.marks:
            return tidy_at(tracker.marks[0].at)
        if tracker.fired_at is not None and not self._re_entry.once:
            return tidy_at(tracker.fired_at + self._re_entry.pause)
        return NEVER


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> NotPerformed:
    """Compile a document."""
    return NotPerformed(document, exits, re_entry, scale)
