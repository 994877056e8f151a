"""The engine: events and time in, decisions out. It knows no clock, no network and no Beam.

    feed(state, events, now) -> what is decided at once
    wake(state, now)         -> what is decided because time has passed

`now` is in milliseconds: for `feed` the receipt of the newest event, for `wake` a watermark, which promises that
everything received before it has been fed. `state.wake_at` says when to call `wake` next.

The way of an event: the index names the segments and rules that care. What changes in a segment is an event to the
rules that watch it. Each rule puts a mark on its timeline and asks its kind what fires; what fires becomes a run; a run
that is due passes the gates and becomes a decision.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from tidings import merging
from tidings.conditions import TypeMismatchError
from tidings.decisions import Decision, Reason, Trigger, send_id
from tidings.decisions import Outcome as DecisionOutcome
from tidings.events import Event, instant
from tidings.gates import judge
from tidings.kinds.base import KEYLESS, NEVER, START, STOP, Firing, Mark, Tracker
from tidings.membership import Change
from tidings.rulebook import CompiledRule, RuleBook, Watch
from tidings.runs import UNLESS, Run, begin
from tidings.state import PersonState


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

_SKIPS = ~(UNLESS - 1)
_BEGINNINGS = (UNLESS - 1) & ~(STOP | KEYLESS)
"""The flags that skip a send, and those that put an event on a timeline for another reason than to end something."""


class Engine:
    """Runs one rule book. What is known of a person is an argument of every call, and is changed in place."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def feed(self, state: PersonState, events: Iterable[Event], now: int) -> Outcome:
        """Take in events of one person, in any order; return what is decided at once."""
        decisions: list[Decision] = []
        faults: list[Fault] = []
        duplicates = 0
        book = self._book
        for event in events:
            if not state.is_new(event.message_id, now):
                duplicates += 1
                continue
            touched, watches = book.interest(event)
            if touched is not None:
                book.segments.refresh(state, now)  # before anything is learnt: what changes from here on is news
            if event.type == "identify" and book.traits:
                state.learn(event, book.traits)
            if book.wants_time_zone and event.type in ("identify", "page"):
                state.learn_time_zone(event)
            if touched is not None:
                changes, mismatches = book.segments.take(state, touched, event, now)
                faults += [Fault(f"segment:{one.segment}", event, one.detail) for one in mismatches]
                watches = [*(watch for change in changes for watch in book.watches_of(change)), *watches]
            fired = False
            at = event.at
            for watch in watches:
                try:
                    if self._observe(state, watch, event, at, now, decisions):
                        fired = True
                except TypeMismatchError as error:
                    faults.append(Fault(watch.compiled.rule.id, event, str(error)))
            if fired:
                decisions += self._release(state, now)
        state.wake_at = min(state.wake_at, state.forget_at(book.longest_cap))
        return Outcome(decisions, faults, duplicates) if decisions or faults or duplicates else NOTHING

    def wake(self, state: PersonState, now: int) -> Outcome:
        """Time has passed: return what is due by `now`, and forget what is over."""
        decisions: list[Decision] = []
        for change in self._book.segments.wake(state, now):
            self._announce(state, change, decisions)
        wake_at = self._book.segments.wake_at(state)
        for rule_id, trackers in [*state.trackers.items()]:
            for key, tracker in [*trackers.items()]:
                if tracker.wake_at <= now:
                    compiled = self._book.find(rule_id, tracker.version)
                    if compiled is None:  # the rule was deleted, or is a draft again
                        del trackers[key]
                        continue
                    for firing in compiled.kind.wake(tracker, now):
                        _start(state, compiled, key, firing, None, firing.due_at)
                    tracker.version = compiled.version if tracker.running else ""
                if tracker.wake_at < wake_at:
                    wake_at = tracker.wake_at
                elif tracker.wake_at == NEVER and tracker.is_spent:
                    del trackers[key]
            if not trackers:
                del state.trackers[rule_id]
        decisions += self._release(state, now) if state.runs else []
        state.forget(now, self._book.longest_cap)
        for runs in state.runs.values():
            wake_at = min(wake_at, *(run.next_at for run in runs))
        state.wake_at = min(wake_at, state.forget_at(self._book.longest_cap))
        return Outcome(decisions, (), 0) if decisions else NOTHING

    def merge(self, state: PersonState, handed: PersonState, now: int) -> Outcome:
        """Take in what an anonymous id of the same person has handed over; see `tidings.merging`."""
        self._book.segments.refresh(state, now)
        united = merging.unite(self._book, state, handed, now)
        decisions = [
            _decide(compiled, state.person, run, "suppressed", reason, now) for compiled, run, reason in united.ended
        ]
        for compiled, key, firing in united.begun:
            _start(state, compiled, key, firing, None, now)
        for change in self._book.segments.refresh(state, now):
            if not (change.entered and change.segment in handed.member_of):  # that was announced under the other id
                self._announce(state, change, decisions)
        decisions += self._release(state, now)
        state.wake_at = min(state.wake_at, state.forget_at(self._book.longest_cap))
        return Outcome(decisions, (), 0) if decisions else NOTHING

    def _announce(self, state: PersonState, change: Change, decisions: list[Decision]) -> None:
        """Tell the rules of a change of membership that no event has made."""
        for watch in self._book.watches_of(change):
            self._observe(state, watch, change.as_event(), change.at, change.at, decisions)

    def _observe(
        self, state: PersonState, watch: Watch, event: Event, at: int, now: int, decisions: list[Decision]
    ) -> bool:
        """One rule looks at one event. Returns whether something fired; what it ends is added to `decisions`.

        Raises:
            TypeMismatchError: before anything was changed.
        """
        compiled, flags, checks = watch
        if checks:
            flags = watch.flags(event)
        if not flags:
            return False
        key = compiled.key_of(event) if compiled.key_of else ""
        if key is None:
            if compiled.needs_key:
                flags &= ~_BEGINNINGS
            key = ""
            flags |= KEYLESS
        if flags & (STOP | _SKIPS) and (runs := state.runs.get(compiled.id)):
            decisions += self._tell_runs(state, runs, compiled, event, key, flags, now)
        if not flags & (STOP | _BEGINNINGS):
            return False
        kind = compiled.kind
        keeps = kind.keeps
        if flags & keeps or (not keeps and flags & _BEGINNINGS and state.is_anonymous):
            mark = Mark(at, event.message_id, flags & ~_SKIPS, (event.label, bytes(event.properties)))
        else:
            mark = Mark(at, event.message_id, flags & ~_SKIPS)
        if kind.stateless:
            fires = bool(flags & START) and not compiled.superseded
            if fires:
                _start(state, compiled, key, Firing(at, [mark]), event, now)
            return fires
        fired = self._mark(state, compiled, event, key, mark, now)
        if flags & STOP and compiled.key_of is not None:
            for target, ending in _others_ended(state.trackers[compiled.id], key, mark):
                fired |= self._mark(state, compiled, event, target, ending, now)
        return fired

    def _mark(self, state: PersonState, compiled: CompiledRule, event: Event, key: str, mark: Mark, now: int) -> bool:
        """Put a mark on the timeline of an entry key. Returns whether something fired."""
        trackers = state.trackers.get(compiled.id)
        if trackers is None:
            trackers = state.trackers[compiled.id] = {}
        tracker = trackers.get(key)
        if tracker is None:
            if compiled.superseded:
                return False
            tracker = trackers[key] = Tracker(marks=merging.endings_without_key(trackers))
        elif self._belongs_to_another(compiled, tracker):
            return False
        fired = False
        for firing in compiled.kind.arrive(tracker, mark, now):
            _start(state, compiled, key, firing, event, now)
            fired = True
        tracker.version = compiled.version if tracker.running else ""
        state.wake_at = min(state.wake_at, tracker.wake_at)
        if mark.kept is not None and not compiled.kind.keeps:
            merging.keep_newest(tracker)
        return fired

    def _belongs_to_another(self, compiled: CompiledRule, tracker: Tracker) -> bool:
        """An episode that waits ends under the version it began with; everything else follows the rule of today."""
        if not tracker.version:
            return compiled.superseded
        if tracker.version == compiled.version:
            return False
        return self._book.find(compiled.id, tracker.version) is not compiled

    def _tell_runs(
        self,
        state: PersonState,
        runs: list[Run],
        compiled: CompiledRule,
        event: Event,
        key: str,
        flags: int,
        now: int,
    ) -> Iterator[Decision]:
        """An event may end a run, or skip one of its sends."""
        for run in list(runs):
            mine = self._book.find(compiled.rule.id, run.version) is compiled
            if not mine or not run.is_reached_by(event.at, key, keyless=bool(flags & KEYLESS)):
                continue
            if event.at > run.due_at:
                run.skipped |= flags & _SKIPS
            if flags & STOP:
                runs.remove(run)
                if run.held:  # it was decided already, and only waited for the morning
                    yield _decide(compiled, state.person, run, "suppressed", "exited", now)
        if not runs:
            del state.runs[compiled.id]

    def _release(self, state: PersonState, now: int) -> list[Decision]:
        """Take every run that is due through the gates, the most urgent first."""
        self._book.segments.refresh(state, now)
        due = []
        for rule_id, runs in state.runs.items():
            for run in runs:
                compiled = self._book.find(rule_id, run.version)
                if compiled is None:
                    run.next_at = NEVER
                elif run.next_at <= now:
                    due.append((run.next_at, -compiled.rule.priority, rule_id, run.key, run.episode, run, compiled))
        decisions: list[Decision] = []
        for *_, run, compiled in sorted(due, key=lambda one: one[:5]):
            while run.next_at <= now:
                decisions += _advance(state, compiled, run, now)
        for rule_id, runs in list(state.runs.items()):
            left = [run for run in runs if run.next_at < NEVER]
            if left:
                state.runs[rule_id] = left
                state.wake_at = min(state.wake_at, *(run.next_at for run in left))
            else:
                del state.runs[rule_id]
        return decisions


def _advance(state: PersonState, compiled: CompiledRule, run: Run, now: int) -> Iterator[Decision]:
    """The next send of a run. Sets when the one after it is due; NEVER when the run is over."""
    planned = compiled.sends[run.step]
    if not run.skipped & planned.flag:
        verdict = judge(compiled, state, run)
        if verdict.hold_until is not None:
            run.held, run.next_at = True, verdict.hold_until
            return
        if verdict.outcome is not None:
            yield _decide(compiled, state.person, run, verdict.outcome, verdict.reason, now)
            if verdict.outcome == "send" and compiled.rule.kind == "marketing":
                state.sent.append((run.next_at, compiled.rule.category))
        if verdict.ends:
            run.next_at = NEVER
            return
    run.step, run.held = run.step + 1, False
    run.next_at = run.next_at + compiled.sends[run.step].after if run.step < len(compiled.sends) else NEVER


def _start(state: PersonState, compiled: CompiledRule, key: str, firing: Firing, event: Event | None, now: int) -> None:
    """A trigger has fired: a run begins."""
    first = firing.name or firing.marks[0]
    episode = "once" if compiled.rule.re_entry == "once" else f"{first.at}.{_short(first.message_id)}"
    shown = None if compiled.kind.keeps else event
    run = begin(compiled.version, key, episode, firing, shown, now + compiled.sends[0].after)
    state.runs.setdefault(compiled.id, []).append(run)


def _others_ended(trackers: dict[str, Tracker], key: str, mark: Mark) -> Iterator[tuple[str, Mark]]:
    """The keys beside its own that an ending event touches, with its mark there.

    It ends every episode that it may belong to: those without a key, and, when it carries no key itself, all of them.
    """
    ending = replace(mark, flags=mark.flags & (STOP | KEYLESS), kept=None)
    for other in [*trackers] if mark.flags & KEYLESS else [""]:
        if other != key:
            yield other, ending


def _decide(
    compiled: CompiledRule, person: str, run: Run, outcome: DecisionOutcome, reason: Reason | None, now: int
) -> Decision:
    """Write the decision down, with its evidence."""
    rule, send = compiled.rule, compiled.sends[run.step].send
    shown = tuple(
        Trigger(name=name, timestamp=instant(at), properties=msgspec.Raw(properties))
        for name, at, properties in run.shown
    )
    return Decision(
        send_id=send_id(rule.id, run.version, person, run.key, run.episode, run.step),
        rule_id=rule.id,
        rule_version=run.version,
        person=person,
        entry_key=run.key,
        episode=run.episode,
        step=run.step,
        template=send.template,
        to=send.to,
        kind=rule.kind,
        category=rule.category,
        outcome=outcome,
        reason=reason,
        due_at=instant(run.due_at),
        decided_at=instant(now),
        evidence=run.evidence,
        event=shown[-1],
        events=shown,
    )


def _short(message_id: str) -> str:
    return hashlib.blake2b(message_id.encode(), digest_size=4).hexdigest()
