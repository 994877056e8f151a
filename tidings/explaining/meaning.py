"""What one step of the engine meant to one rule: the difference between what was remembered before it and after it.

Nothing inside the engine tells; only what can be seen from the outside is said.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from tidings.deciding.engine import Outcome
from tidings.deciding.rulebook import CompiledRule
from tidings.deciding.state import PersonState
from tidings.rules.kinds.base import NEVER, STOP, Tracker
from tidings.wire.events import Event, instant

Word = Literal["fired", "outside", "run", "run ended", "started", "moved", "ended", "counted", "unreadable", "aside"]

_CLOCKS = frozenset({"not_performed", "session_ended", "inactive"})
"""The kinds that wait for something not to happen: a tracker wants to be asked a millisecond after their deadline."""


_OUTCOMES = {"send": "a mail is to go out", "shadow": "a rehearsal", "suppressed": "suppressed"}


class Said(msgspec.Struct, frozen=True):
    """One thing that a step meant: a word for it, the same in words, and the entry key that it is about."""

    word: Word
    text: str
    key: str = ""


class Run(NamedTuple):
    """What is seen of a run: which send comes next, when, and whether it is held in the night."""

    step: int
    next_at: int
    held: bool


class Remembered(NamedTuple):
    """What is seen of one entry key.

    Attributes:
        due: when its clock is over; NEVER where none runs.
        counted: how many events it counts.
        ended_at: the latest event that ends something.
        stopped: what runs has been ended already, and will come to nothing.
    """

    due: int = NEVER
    counted: int = 0
    ended_at: int = -1
    stopped: bool = False


class Look(NamedTuple):
    """All that is remembered of one id for one rule: by entry key, and the runs by entry key and episode."""

    keys: Mapping[str, Remembered]
    runs: Mapping[tuple[str, str], Run]


class Watcher:
    """Looks at what is remembered for one rule.

    Args:
        compiled: the rule.
        scale: what its durations were divided by.
    """

    def __init__(self, compiled: CompiledRule, scale: float) -> None:
        self._id = compiled.id
        self._kind, self._document = compiled.rule.trigger.chosen  # type: ignore[attr-defined]
        self._scale = scale

    def look(self, state: PersonState) -> Look:
        """What is remembered now."""
        return Look(
            {key: self._seen(tracker) for key, tracker in state.trackers.get(self._id, {}).items()},
            {(one.key, one.episode): Run(one.step, one.next_at, one.held) for one in state.runs.get(self._id, ())},
        )

    def _seen(self, tracker: Tracker) -> Remembered:
        ended_at = max((mark.at for mark in tracker.marks if mark.flags & STOP), default=-1)
        if self._kind in _CLOCKS:
            runs = tracker.running or tracker.sessions
            stopped = any(session.stopped for session in tracker.sessions)
            return Remembered(tracker.wake_at - 1 if runs else NEVER, 0, ended_at, stopped)
        return Remembered(counted=sum(not mark.flags & STOP for mark in tracker.marks), ended_at=ended_at)

    def said(self, before: Look, state: PersonState, outcome: Outcome, event: Event | None) -> Iterator[Said]:
        """What a step meant. `event` is None where only time has passed."""
        after = self.look(state)
        for fault in outcome.faults:
            if fault.rule_id in (self._id, "*"):
                yield Said("unreadable", f"could not be read: {fault.detail}")
        if outcome.duplicates:
            yield Said("aside", "had come before, and counts once")
        fired = [*self._fired(outcome)]
        yield from fired
        begun = {one.key for one in fired}
        yield from _of_runs(before.runs, after.runs, begun)
        begun |= {key for key, _ in after.runs.keys() - before.runs.keys()}
        trackers = state.trackers.get(self._id, {})
        for key in dict.fromkeys((*before.keys, *after.keys)):
            was, now = before.keys.get(key, Remembered()), after.keys.get(key)
            if event is None:
                yield from _of_time(key, was, now or Remembered(), key in begun)
            elif now is None:
                if was.due < NEVER or was.counted:
                    yield Said("ended", "was forgotten, to make room for others", key)
            elif key not in begun:
                yield from self._of_event(key, was, now, trackers[key], event)

    def _fired(self, outcome: Outcome) -> Iterator[Said]:
        for one in outcome.decisions:
            if one.rule_id == self._id:
                which = f" (mail {one.step + 1})" if one.step else ""
                yield Said("fired", f"fired{which}: {one.reason or _OUTCOMES[one.outcome]}", one.entry_key)
        for one in outcome.outside:
            if one.rule_id == self._id:
                yield Said("outside", "fired, but outside the audience", one.entry_key)

    def _of_event(self, key: str, was: Remembered, now: Remembered, tracker: Tracker, event: Event) -> Iterator[Said]:
        if now.stopped and not was.stopped:
            yield Said("ended", f"ended what had begun ({event.label})", key)
        elif was.due == NEVER != now.due:
            yield Said("started", f"started the clock: due {told(now.due)}", key)
        elif now.due not in (was.due, NEVER):
            yield Said("moved", f"moved the clock to {told(now.due)}", key)
        elif now.due == NEVER != was.due:
            yield Said("ended", f"ended the episode ({event.label})", key)
        elif now.ended_at > was.ended_at and was.counted:
            yield Said("ended", f"ended the count ({event.label})", key)
        elif now.counted > was.counted:
            yield Said("counted", f"counted{self._progress(tracker, event)}", key)

    def _progress(self, tracker: Tracker, event: Event) -> str:
        """` (2 of 3)`, or nothing where that cannot be told: where some of the timeline is used up already, say."""
        if tracker.emitted or tracker.fired_at is not None:
            return ""
        if self._kind == "performed" and self._document.within:
            times, most = self._document.times, self._fullest(tracker, event)
            return f" ({most} of {times})" if 0 < most < times else ""
        if self._kind == "sequence":
            length = sum(step.times for step in self._document.steps)
            come = [number for number, start in enumerate(tracker.progress[1:length], start=1) if start is not None]
            return f" ({max(come)} of {length})" if come else ""
        return ""

    def _fullest(self, tracker: Tracker, event: Event) -> int:
        """How many lie in the fullest window that the event lies in, with nothing in between that ends the count."""
        within = int(self._document.within / self._scale)
        window: list[Any] = []
        most = 0
        for mark in tracker.marks:
            if mark.flags & STOP:
                window = []
                continue
            window = [*(one for one in window if one.at > mark.at - within), mark]
            if any(one.message_id == event.packed_id for one in window):
                most = max(most, len(window))
        return most


def _of_runs(before: Mapping[Any, Run], after: Mapping[Any, Run], decided: set[str]) -> Iterator[Said]:
    for (key, _), now in ((name, run) for name, run in after.items() if name not in before):
        begins = "the run goes on" if key in decided else "the trigger fired"
        yield Said("run", f"{begins}: {_next(now)}", key)
    for name, was in before.items():
        now_, key = after.get(name), name[0]
        if now_ is None:
            if key not in decided:
                yield Said("run ended", "the run ended: nothing more of it is sent", key)
        elif now_.held and not was.held:
            yield Said("run", _next(now_), key)
        elif now_.step > was.step:
            skipped = "" if key in decided else "a mail was skipped; "
            yield Said("run", f"{skipped}{_next(now_)}", key)


def _next(run: Run) -> str:
    if run.held:
        return f"held in the night, until {told(run.next_at)}"
    return f"the {'next mail' if run.step else 'mail'} is due {told(run.next_at)}"


def _of_time(key: str, was: Remembered, now: Remembered, has_begun: bool) -> Iterator[Said]:
    """A wake: what was due is over, and perhaps something else goes on."""
    if was.due == now.due:
        return
    if was.due < NEVER and not has_begun:
        yield Said("ended", "the time was over, and it did not come to a mail", key)
    if now.due < NEVER:
        yield Said("moved", f"the clock goes on: due {told(now.due)}", key)


def told(at: int) -> str:
    """An instant in the middle of a sentence, always in UTC."""
    return f"{instant(at):%Y-%m-%d %H:%M:%S} UTC"
