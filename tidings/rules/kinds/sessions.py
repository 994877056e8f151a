"""Sessions: events no further apart than a gap. What `session_ended` and `inactive` have in common.

An event at `t` opens the half-open window [t, t + gap); windows that overlap are one session. So two events exactly
`gap` apart belong to two sessions, as with Beam's `Sessions`. Which sessions there are depends on the set of events
and not on the order in which they arrive: merging is associative and commutative, and an event in between turns
two sessions into one, as long as neither has been decided.

A session is decided when the watermark passes its end. What arrives for it after that is late, and counts for nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from tidings.rules.kinds.base import (
    COMPANY,
    LATENESS,
    NEVER,
    START,
    STOP,
    Count,
    Firing,
    Mark,
    ReEntry,
    Session,
    Tracker,
    Watchable,
    tidy_at,
)

_MOST_VALUES = 50
"""A session counts for this many values of a `by` at most; the rarest makes room for a new one."""

_MOST_LASTS = 10
"""Of so many of these values the latest event is remembered, of the most frequent ones."""

_MOST_STOPS = 100
"""So many ending events outside of any session are remembered, for sessions that arrive late."""


class Clause(NamedTuple):
    """How often something must have happened in a session.

    Attributes:
        flag: what marks the events that count.
        value_of: what to count by: from a mark to a value, None for "this one does not count"; None for all together.
        keep: how many events are remembered as evidence.
    """

    flag: int
    at_least: int
    at_most: int
    value_of: Callable[[Mark], str | None] | None
    keep: int


class Sessions(ABC):
    """A kind of trigger that is decided when a session ends.

    Args:
        watched: as `Kind.watches`.
        gap: events so many milliseconds apart belong to two sessions.
        wait: it fires so long after its last event.
        clauses: what must have happened in it.
        re_entry: how soon it may fire again.
        scale: divides our own durations; the others are divided already.
    """

    stateless = False
    ended_by = STOP
    pinned: ClassVar[bool]
    """Whether a session that has begun is decided by the version of the rule under which it began."""

    def __init__(
        self,
        watched: Sequence[tuple[Watchable, int]],
        gap: int,
        wait: int,
        clauses: Sequence[Clause],
        re_entry: ReEntry,
        scale: float,
    ) -> None:
        self._watched = [*watched]
        self._gap = gap
        self._wait = wait
        self._clauses = [*clauses]
        self._counters = [(clause.flag, clause.value_of, clause.keep) for clause in clauses]
        self._re_entry = re_entry
        self._company = max(1, int(COMPANY / scale))
        counted = wanted = by_value = 0
        for clause in clauses:
            counted |= clause.flag
            wanted |= clause.flag if clause.at_least else 0
            by_value |= clause.flag if clause.value_of else 0
        self._counted = counted
        self._shows = wanted & ~by_value if wanted else START
        self.keeps = self._shows | by_value

    def watches(self) -> list[tuple[Watchable, int]]:
        """See `Kind`."""
        return self._watched

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> Sequence[Firing]:
        """See `Kind`. An event in order extends the last session, whatever the session's size.

        A session keeps no timeline: of its events only those are remembered that may end another one.
        """
        at, flags = mark.at, mark.flags
        if at <= tracker.settled:
            return ()
        if self._re_entry.once and tracker.fired_at is not None:
            tracker.marks.clear()
            return ()
        sessions = tracker.sessions
        if flags & START:
            last = sessions[-1] if sessions else None
            if last is not None and last.end < at < last.end + self._gap:
                last.end = at
                if flags & self._counted:
                    self._count(last, mark)
                if flags & self._shows:
                    last.shown = mark
            else:
                self._merge_in(tracker, self._begin(mark, now))
        if flags & STOP and not self._takes_up(tracker, mark):
            tracker.insert(mark)
            if len(tracker.marks) > _MOST_STOPS:
                del tracker.marks[0]
        if sessions:
            tracker.wake_at = self._decided_at(sessions[0])
        else:
            tracker.wake_at = tidy_at(max(tracker.settled, at))
        return ()

    def wake(self, tracker: Tracker, watermark: int) -> Sequence[Firing]:
        """See `Kind`."""
        firings: list[Firing] = []
        sessions = tracker.sessions
        while sessions and self._decided_at(sessions[0]) <= watermark:
            session = sessions.pop(0)
            tracker.settled = max(tracker.settled, session.end + self._gap - 1)
            due = session.end + self._wait
            if self._may_fire(tracker, due) and self._holds(session) and not self._is_stopped(tracker, session):
                evidence = self._evidence(session)
                if any(mark.kept for mark in evidence):  # there may be none when the rule was another one then
                    tracker.fired_at = due
                    firings.append(Firing(due, evidence))
        self._tidy(tracker, watermark - LATENESS - 1)
        return firings

    def join(self, tracker: Tracker, other: Tracker) -> None:
        """Take over the sessions of another id of the same person. What has been decided meanwhile stays so."""
        for session in other.sessions:
            if session.end > tracker.settled:
                self._merge_in(tracker, session)
        if tracker.sessions:
            tracker.wake_at = self._decided_at(tracker.sessions[0])

    def _decided_at(self, session: Session) -> int:
        return max(session.end + self._wait + 1, session.not_before)

    def _begin(self, mark: Mark, now: int) -> Session:
        session = Session(mark.at, mark.message_id, mark.at, None, [{} for _ in self._clauses])
        if mark.at + self._gap <= now:
            session.not_before = now + self._company
        if mark.flags & self._counted:
            self._count(session, mark)
        if mark.flags & self._shows:
            session.shown = mark
        return session

    def _count(self, session: Session, mark: Mark) -> None:
        """Count an event that is newer than everything in the session."""
        for (flag, value_of, keep), counts in zip(self._counters, session.counts, strict=False):
            if mark.flags & flag:
                value = value_of(mark) if value_of else ""
                if value is None:
                    continue
                count = counts.get(value)
                if count is None:
                    _make_room(counts, _MOST_VALUES - 1)
                    count = counts[value] = Count()
                count.total += 1
                if len(count.first) < keep:
                    count.first.append((mark.at, mark.message_id))
                if value_of and keep:
                    count.last = mark
                    _forget_lasts(counts)

    def _merge_in(self, tracker: Tracker, new: Session) -> None:
        """Put a session in its place, and make one of it and all those that it touches."""
        tracker.running = self.pinned
        earlier, later = [], []
        for one in tracker.sessions:
            if one.end + self._gap <= new.start:
                earlier.append(one)
            elif new.end + self._gap <= one.start:
                later.append(one)
            else:
                new = self._merged(one, new)
        tracker.sessions[:] = [*earlier, new, *later]

    def _merged(self, one: Session, other: Session) -> Session:
        """Two sessions as one. What is counted later by a rule that has changed meanwhile, is not counted."""
        start, start_id = min((one.start, one.start_id), (other.start, other.start_id))
        return Session(
            start=start,
            start_id=start_id,
            end=max(one.end, other.end),
            shown=_later(one.shown, other.shown),
            counts=[
                _added(mine, theirs, clause.keep)
                for clause, mine, theirs in zip(self._clauses, one.counts, other.counts, strict=False)
            ],
            stopped=one.stopped or other.stopped,
            not_before=max(one.not_before, other.not_before),
        )

    def _holds(self, session: Session) -> bool:
        """With a `by`, the count is that of the value with the highest one."""
        counted = [*session.counts, *({} for _ in self._clauses[len(session.counts) :])]
        return all(
            clause.at_least <= max((one.total for one in counts.values()), default=0) <= clause.at_most
            for clause, counts in zip(self._clauses, counted, strict=False)
        )

    def _may_fire(self, tracker: Tracker, due: int) -> bool:
        if tracker.fired_at is None:
            return True
        return not self._re_entry.once and due >= tracker.fired_at + self._re_entry.pause

    def _tidy(self, tracker: Tracker, horizon: int) -> None:
        """Forget what nothing that arrives in time can touch any more."""
        once = self._re_entry.once and tracker.fired_at is not None
        if once:
            tracker.sessions.clear()
        needed_from = tracker.sessions[0].start if tracker.sessions else NEVER
        tracker.marks = [] if once else [one for one in tracker.marks if one.at > horizon or one.at >= needed_from]
        tracker.running = self.pinned and bool(tracker.sessions)
        last = max(tracker.settled, tracker.marks[-1].at if tracker.marks else -1)
        if tracker.fired_at is not None:
            last = max(last, tracker.fired_at + self._re_entry.pause)
        if tracker.sessions:
            tracker.wake_at = self._decided_at(tracker.sessions[0])
        elif once:
            tracker.wake_at = NEVER
        elif last > horizon:
            tracker.wake_at = tidy_at(last)
        else:
            tracker.settled, tracker.fired_at, tracker.wake_at = -1, None, NEVER

    @abstractmethod
    def _takes_up(self, tracker: Tracker, mark: Mark) -> bool:
        """An ending event has arrived. Whether it need not be remembered: some session has noted it, or outlived it."""

    @abstractmethod
    def _is_stopped(self, tracker: Tracker, session: Session) -> bool:
        """Whether an ending event keeps this session from firing."""

    @abstractmethod
    def _evidence(self, session: Session) -> list[Mark]:
        """What made it fire, oldest first; at least one of them with the event for the template."""


def _added(mine: dict[str, Count], theirs: dict[str, Count], keep: int) -> dict[str, Count]:
    together = dict(mine)
    for value, count in theirs.items():
        known = together.get(value, Count())
        first = sorted(known.first + count.first)[:keep]
        together[value] = Count(known.total + count.total, first, _later(known.last, count.last))
    _make_room(together, _MOST_VALUES)
    _forget_lasts(together)
    return together


def _later(one: Mark | None, other: Mark | None) -> Mark | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda mark: (mark.at, mark.message_id))


def _forget_lasts(counts: dict[str, Count]) -> None:
    while len(counts) > _MOST_LASTS:
        known = [count for count in counts.values() if count.last is not None]
        if len(known) <= _MOST_LASTS:
            break
        min(known, key=lambda count: (count.total, count.first)).last = None


def _make_room(counts: dict[str, Count], most: int) -> None:
    while len(counts) > most:
        del counts[min(counts, key=lambda value: (counts[value].total, value))]
