"""The engine: events and time in, decisions out. It knows no clock, no network and no Beam.

    feed(state, events, now) -> what is decided at once
    wake(state, now)         -> what is decided because time has passed

`now` is in milliseconds: for `feed` the receipt of the newest event, for `wake` a watermark, which promises that
everything received before it has been fed. `state.wake_at` says when to call `wake` next.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidings.conditions import TypeMismatchError
from tidings.decisions import Decision, Trigger, send_id
from tidings.events import Event, instant
from tidings.kinds.base import KEYLESS, NEVER, START, STOP, Firing, Mark, Tracker
from tidings.rulebook import CompiledRule, RuleBook, Watch
from tidings.state import PersonState

_MOST_EVENTS_SHOWN = 10
"""A template is given at most this many events: a mail that lists more is not read."""


class Fault(NamedTuple):
    """One rule could not read one event: a value of the wrong type. The other rules were not disturbed."""

    rule_id: str
    event: Event
    detail: str


class Outcome(NamedTuple):
    """What came of a call."""

    decisions: Sequence[Decision]
    faults: Sequence[Fault]
    duplicates: int


NOTHING = Outcome((), (), 0)
"""What comes of most calls."""


class Engine:
    """Runs one rule book. What is known of a person is an argument of every call, and is changed in place."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def feed(self, state: PersonState, events: Iterable[Event], now: int) -> Outcome:
        """Take in events of one person, in any order; return what is decided at once."""
        decisions: list[Decision] = []
        faults: list[Fault] = []
        duplicates = 0
        for event in events:
            if not state.is_new(event.message_id, now):
                duplicates += 1
                continue
            for watch in self._book.watches(event):
                try:
                    decisions += self._observe(state, watch, event, now)
                except TypeMismatchError as error:
                    faults.append(Fault(watch.compiled.rule.id, event, str(error)))
        state.wake_at = min(state.wake_at, state.seen_until)
        return Outcome(decisions, faults, duplicates) if decisions or faults or duplicates else NOTHING

    def wake(self, state: PersonState, now: int) -> Outcome:
        """Time has passed: return what is due by `now`, and forget what is over."""
        decisions: list[Decision] = []
        wake_at = NEVER
        for rule_id, trackers in list(state.trackers.items()):
            compiled = self._book.rules.get(rule_id)
            for key, tracker in list(trackers.items()):
                if compiled is not None and tracker.wake_at <= now:
                    firings = compiled.kind.wake(tracker, now)
                    decisions += [_decide(compiled, state.person, key, one, None, now) for one in firings]
                if compiled is None or tracker.is_spent:  # no rule: it was deleted, or is a draft again
                    del trackers[key]
                else:
                    wake_at = min(wake_at, tracker.wake_at)
            if not trackers:
                del state.trackers[rule_id]
        state.forget_seen(now)
        state.wake_at = min(wake_at, state.seen_until)
        return Outcome(decisions, [], 0)

    def _observe(self, state: PersonState, watch: Watch, event: Event, now: int) -> list[Decision]:
        """One rule looks at one event.

        Raises:
            TypeMismatchError: before anything was changed.
        """
        flags = watch.flags(event)
        if not flags:
            return []
        compiled = watch.compiled
        key = compiled.key_of(event) if compiled.key_of else ""
        if key is None:
            if compiled.needs_key:
                flags &= STOP
                if not flags:
                    return []
            key = ""
            flags |= KEYLESS
        kind = compiled.kind
        kept = (event.label, bytes(event.properties)) if kind.keeps and flags & ~(STOP | KEYLESS) else None
        mark = Mark(event.at, event.message_id, flags, kept)
        if kind.stateless:
            fires = flags & START
            return [_decide(compiled, state.person, key, Firing(event.at, [mark]), event, now)] if fires else []
        decisions = []
        trackers = state.trackers.setdefault(compiled.rule.id, {})
        for target, its_mark in _reach(trackers, key, mark, keyed=compiled.key_of is not None):
            tracker = trackers.get(target)
            if tracker is None:
                tracker = trackers[target] = _new_tracker(trackers)
            if not tracker.insert(its_mark):
                continue
            for firing in kind.arrive(tracker, its_mark):
                decisions.append(_decide(compiled, state.person, target, firing, event, now))
            state.wake_at = min(state.wake_at, tracker.wake_at)
        return decisions


def _reach(trackers: dict[str, Tracker], key: str, mark: Mark, *, keyed: bool) -> Iterator[tuple[str, Mark]]:
    """The trackers that an event touches.

    An ending event ends every episode that it may belong to: those of its own key, those without one, and, when it
    carries no key itself, all of them.
    """
    yield key, mark
    if keyed and mark.flags & STOP:
        ending = mark._replace(flags=mark.flags & (STOP | KEYLESS), kept=None)
        for other in [*trackers] if mark.flags & KEYLESS else [""]:
            if other != key:
                yield other, ending


def _new_tracker(trackers: dict[str, Tracker]) -> Tracker:
    """A tracker that knows of the ending events without a key that came before its own first event."""
    keyless = trackers.get("")
    return Tracker(marks=[one for one in keyless.marks if one.flags & KEYLESS and one.flags & STOP] if keyless else [])


def _decide(compiled: CompiledRule, person: str, key: str, firing: Firing, event: Event | None, now: int) -> Decision:
    """Write the decision down, with its evidence. `event` is the one at hand, when there is one."""
    rule = compiled.rule
    first = firing.marks[0]
    episode = "once" if rule.re_entry == "once" else f"{first.at}.{_short(first.message_id)}"
    shown = [_trigger(mark) for mark in firing.marks if mark.kept is not None][-_MOST_EVENTS_SHOWN:]
    if event is not None:
        shown.append(Trigger(name=event.label, timestamp=event.timestamp, properties=event.properties))
    return Decision(
        send_id=send_id(rule.id, rule.version, person, key, episode, 0),
        rule_id=rule.id,
        rule_version=rule.version,
        person=person,
        entry_key=key,
        episode=episode,
        template=rule.send.template,
        kind=rule.kind,
        category=rule.category,
        outcome=compiled.outcome,
        reason=compiled.reason,
        due_at=instant(firing.due_at),
        decided_at=instant(now),
        evidence=tuple(mark.message_id for mark in firing.marks),
        event=shown[-1],
        events=tuple(shown),
    )


def _trigger(mark: Mark) -> Trigger:
    assert mark.kept is not None
    name, properties = mark.kept
    return Trigger(name=name, timestamp=instant(mark.at), properties=msgspec.Raw(properties))


def _short(message_id: str) -> str:
    return hashlib.blake2b(message_id.encode(), digest_size=4).hexdigest()
