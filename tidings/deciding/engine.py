"""The engine: events and time in, decisions out. It knows no clock, no network and no Beam.

    feed(state, events, now) -> what is decided at once
    wake(state, now)         -> what is decided because time has passed

`now` is in milliseconds: for `feed` the receipt of the newest event, for `wake` a watermark, which promises that
everything received before it has been fed. `state.wake_at` says when to call `wake` next.

The way of an event: the index names the segments and rules that care. What changes in a segment is an event to the
rules that watch it. Each rule puts a mark on its timeline and asks its kind what fires; what fires becomes a run (see
`tidings.deciding.turn`); a run that is due passes the gates and becomes a decision.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tidings.deciding import merging
from tidings.deciding.membership import Change
from tidings.deciding.rulebook import CompiledRule, RuleBook, Watch
from tidings.deciding.runs import SKIPS, UNLESS, resumed_at, spells_of
from tidings.deciding.state import PersonState
from tidings.deciding.turn import Turn
from tidings.errors import InvalidEventError
from tidings.permission import consent
from tidings.rules.conditions import UNREADABLE
from tidings.rules.kinds.base import KEYLESS, NEVER, START, STOP, Firing, Mark, Tracker
from tidings.wire.decisions import Decision
from tidings.wire.events import Event


class Fault(NamedTuple):
    """A rule (or `*`) could not read an event: a value of the wrong type. The other rules were not disturbed."""

    rule_id: str
    event: Event
    detail: str


class Outcome(NamedTuple):
    """What came of a call.

    Attributes:
        decisions: what was decided.
        faults: what could not be read.
        duplicates: so many events had been seen before.
        crowded_out: so many entry keys were forgotten, because one person had too many at the same time.
        outside: what would have been decided, if the person were in the audience.
    """

    decisions: Sequence[Decision]
    faults: Sequence[Fault]
    duplicates: int
    crowded_out: int = 0
    outside: Sequence[Decision] = ()


NOTHING = Outcome((), (), 0)
"""What comes of most calls."""

_BEGINNINGS = (UNLESS - 1) & ~(STOP | KEYLESS)
"""The flags that put an event on a timeline for another reason than to end something."""


class Engine:
    """Runs one rule book. What is known of a person is an argument of every call, and is changed in place."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def feed(self, state: PersonState, events: Iterable[Event], now: int) -> Outcome:
        """Take in events of one person, in any order; return what is decided at once."""
        book = self._book
        turn = Turn(book, state, now)
        faults: list[Fault] = []
        duplicates = 0
        for event in events:
            if event.event in consent.NAMES:  # repeats as well: a messageId used twice must not hide a withdrawal
                faults += _hear_consent(state, event)
            if not state.is_new(event.message_id, now):
                duplicates += 1
                continue
            touched, watches = book.interest(event)
            if touched is not None:
                book.segments.refresh(state, now)  # before anything is learnt: what changes from here on is news
            if event.type == "identify" and book.traits:
                state.learn(event, book.traits)
            if book.wants_time_zone and event.type in ("identify", "page"):
                try:
                    state.learn_time_zone(event)
                except UNREADABLE as error:
                    faults.append(Fault("*", event, str(error)))
            if touched is not None:
                changes, mismatches = book.segments.take(state, touched, event, now)
                faults += [Fault(f"segment:{one.segment}", event, one.detail) for one in mismatches]
                watches = [*(watch for change in changes for watch in book.watches_of(change)), *watches]
            at = event.at
            for watch in watches:
                try:
                    self._observe(turn, watch, event, at, now, faults)
                except UNREADABLE as error:
                    faults.append(Fault(watch.compiled.id, event, str(error)))
            if turn.begun:
                turn.release_begun()
        state.wake_at = min(state.wake_at, state.forget_at(book.longest_cap))
        return _outcome(turn, faults, duplicates)

    def wake(self, state: PersonState, now: int) -> Outcome:
        """Time has passed: return what is due by `now`, and forget what is over."""
        turn = Turn(self._book, state, now)
        wake_at = NEVER
        if state.standing is not None:
            for change in self._book.segments.wake(state, now):
                self._announce(turn, change)
            wake_at = self._book.segments.wake_at(state)
        wake_at = min(wake_at, self._wake_trackers(turn))
        state.wake_at = NEVER  # all that is left to add are the runs that go on
        if state.runs:
            turn.release_due()
        if (forget_at := state.forget_at(self._book.longest_cap)) <= now:
            state.forget(now, self._book.longest_cap)
            forget_at = state.forget_at(self._book.longest_cap)
        state.wake_at = min(state.wake_at, wake_at, forget_at)
        return _outcome(turn)

    def _wake_trackers(self, turn: Turn) -> int:
        """Ask the timelines that want to be asked by now; what fires begins a run. Returns when to ask again."""
        state, now, wake_at = turn.state, turn.now, NEVER
        for rule_id, trackers in [*state.trackers.items()]:
            current = self._book.rules.get(rule_id)
            # What the person has done since is told by all of the timelines, before any of them lets go of it.
            spells = spells_of(trackers) if current is not None and current.kind.ended_by & START else {}
            for key, tracker in [*trackers.items()]:
                if now < tracker.wake_at < NEVER:
                    wake_at = min(wake_at, tracker.wake_at)
                    continue
                compiled = self._book.find(rule_id, tracker.version)
                if compiled is not None and tracker.wake_at <= now:
                    for firing in compiled.kind.wake(tracker, now):
                        starts_at = max(firing.due_at, now - 1)  # not in the past: steps keep their distance
                        ended_at = resumed_at(spells, key, firing.marks[-1].at)
                        turn.begin(compiled, key, firing, None, starts_at, ended_at)
                    tracker.version = compiled.version if tracker.running else ""
                if compiled is None or not (tracker.wake_at < NEVER or _is_remembered(compiled, tracker)):
                    del trackers[key]  # the rule was deleted, or is a draft again; or nobody would ever ask again
                else:
                    wake_at = min(wake_at, tracker.wake_at)
            if not trackers:
                del state.trackers[rule_id]
        return wake_at

    def merge(self, state: PersonState, handed: PersonState, now: int) -> Outcome:
        """Take in what an anonymous id of the same person has handed over; see `tidings.deciding.merging`."""
        self._book.segments.refresh(state, now)
        turn = Turn(self._book, state, now)
        united = merging.unite(self._book, state, handed, now)
        for compiled, run, reason in united.ended:
            turn.end(compiled, run, reason)
        for compiled, key, firing in united.begun:
            turn.begin(compiled, key, firing, None, now)
        for change in self._book.segments.refresh(state, now):
            if not (change.entered and change.segment in handed.member_of):  # that was announced under the other id
                self._announce(turn, change)
        turn.release_begun()
        turn.crowded_out += united.crowded_out
        state.wake_at = min(state.wake_at, state.forget_at(self._book.longest_cap))
        return _outcome(turn)

    def _announce(self, turn: Turn, change: Change) -> None:
        """Tell the rules of a change of membership that no event has made."""
        for watch in self._book.watches_of(change):
            self._observe(turn, watch, change.as_event(), change.at, change.at, [])

    def _observe(self, turn: Turn, watch: Watch, event: Event, at: int, now: int, faults: list[Fault]) -> None:
        """One rule looks at one event that is received at `now`; what it cannot read is added to `faults`.

        Raises:
            UNREADABLE: the entry key cannot be read, or is of a type that cannot be one; nothing was changed.
        """
        compiled, flags, checks = watch
        if checks:
            flags = _flags(watch, event, faults)
        if not flags:
            return
        key = compiled.key_of(event) if compiled.key_of else ""
        if key is None:
            if compiled.needs_key:
                flags &= ~_BEGINNINGS
            key = ""
            flags |= KEYLESS
        if flags & compiled.heeded:
            turn.tell(compiled, at, key, flags & (compiled.heeded | KEYLESS))
        if flags & (STOP | _BEGINNINGS):
            self._act(turn, compiled, event, key, flags, at, now)

    def _act(self, turn: Turn, compiled: CompiledRule, event: Event, key: str, flags: int, at: int, now: int) -> None:
        """Make a mark of the event, for its own entry key and for those that it ends as well."""
        if compiled.superseded and flags & STOP:
            flags &= ~START  # what begins with it belongs to the rule of today
        kind = compiled.kind
        keeps = flags & kind.keeps or (not kind.keeps and flags & _BEGINNINGS and turn.state.is_anonymous)
        kept = (event.label, bytes(event.properties)) if keeps else None
        mark = Mark(at, event.packed_id, flags & ~SKIPS, kept)
        if kind.stateless:
            if flags & START and not compiled.superseded:
                turn.begin(compiled, key, Firing(at, [mark]), event, now)
            return
        self._mark(turn, compiled, event, key, mark, now)
        if flags & STOP and compiled.key_of is not None:
            for target, ending in _others_ended(turn.state.trackers[compiled.id], key, mark):
                self._mark(turn, compiled, event, target, ending, now)

    def _mark(self, turn: Turn, compiled: CompiledRule, event: Event, key: str, mark: Mark, now: int) -> None:
        """Put a mark on the timeline of an entry key; what fires begins a run."""
        state = turn.state
        trackers = state.trackers.get(compiled.id)
        if trackers is None:
            trackers = state.trackers[compiled.id] = {}
        tracker = trackers.get(key)
        if tracker is None:
            if compiled.superseded:
                return
            turn.crowded_out += merging.make_room(trackers, merging.MOST_KEYS - 1)
            tracker = trackers[key] = Tracker(marks=merging.endings_without_key(trackers))
        elif self._belongs_to_another(compiled, tracker):
            return
        for firing in compiled.kind.arrive(tracker, mark, now):
            turn.begin(compiled, key, firing, event, now)
        tracker.version = compiled.version if tracker.running else ""
        state.wake_at = min(state.wake_at, tracker.wake_at)
        if mark.kept is not None and not compiled.kind.keeps:
            merging.keep_newest(tracker)

    def _belongs_to_another(self, compiled: CompiledRule, tracker: Tracker) -> bool:
        """An episode that waits ends under the version it began with; everything else follows the rule of today."""
        if not tracker.version:
            return compiled.superseded
        if tracker.version == compiled.version:
            return False
        return self._book.find(compiled.id, tracker.version) is not compiled


def _outcome(turn: Turn, faults: Sequence[Fault] = (), duplicates: int = 0) -> Outcome:
    if turn.decisions or faults or duplicates or turn.crowded_out or turn.outside:
        return Outcome(turn.decisions, faults, duplicates, turn.crowded_out, turn.outside)
    return NOTHING


def _hear_consent(state: PersonState, event: Event) -> Iterator[Fault]:
    """The front door refuses what cannot be read; who feeds the engine past it hears of that as well."""
    try:
        for record in consent.from_event(event):
            if record.channel == consent.MAIL:
                state.learn_consent(record.category, (event.at, not record.given))
    except InvalidEventError as error:
        yield Fault("*", event, str(error))


def _is_remembered(compiled: CompiledRule, tracker: Tracker) -> bool:
    """Whether the rule has fired once and for all."""
    return compiled.re_entry.once and tracker.fired_at is not None


def _flags(watch: Watch, event: Event, faults: list[Fault]) -> int:
    """What an event means to a rule. If a part of that cannot be read, only what ends something counts."""
    flags = watch.always
    readable = True
    for flag, predicate in watch.checks:
        try:
            if predicate(event):
                flags |= flag
        except UNREADABLE as error:
            faults.append(Fault(watch.compiled.id, event, str(error)))
            readable = False
    return flags if readable else flags & STOP


def _others_ended(trackers: dict[str, Tracker], key: str, mark: Mark) -> Iterator[tuple[str, Mark]]:
    """The keys beside its own that an ending event touches, with its mark there.

    It ends every episode that it may belong to: those without a key, and, when it carries no key itself, all of them.
    """
    ending = replace(mark, flags=mark.flags & (STOP | KEYLESS), kept=None)
    for other in [*trackers] if mark.flags & KEYLESS else [""]:
        if other != key:
            yield other, ending
