"""What another version of a rule decides differently: the same, moved in time, otherwise, added, or removed.

Two decisions are about the same thing when they are of the same person, entry key and step, and fell due at the same
instant or rest on an event that both rest on. Versions and send ids do not count: they always differ.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from tidings.wire.decisions import Decision

Change = Literal["same", "moved", "changed", "added", "removed"]

_Matter = tuple[str, str, int]


class Counts(msgspec.Struct, kw_only=True):
    """How many there are of each; every decision of either side is in exactly one of them.

    Attributes:
        same: due at the same instant, with the same ending.
        moved: due at another instant.
        changed: due at the same instant, with another outcome or reason.
        added / removed: decided by the new version only, or by the old one.
        later / earlier, later_seconds / earlier_seconds: of those that moved, how many, and how far in sum.
    """

    same: int = 0
    moved: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    later: int = 0
    earlier: int = 0
    later_seconds: float = 0.0
    earlier_seconds: float = 0.0

    def add(self, other: "Counts") -> None:
        """Take in those of other people."""
        for name in self.__struct_fields__:  # to the millisecond: the sum does not depend on who comes first
            setattr(self, name, round(getattr(self, name) + getattr(other, name), 3))


class Pair(msgspec.Struct, frozen=True):
    """One thing, as the old version decided it and as the new one does; one of the two may be missing."""

    old: Decision | None
    new: Decision | None

    @property
    def change(self) -> Change:
        """Which kind of difference it is."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        if self.moved:
            return "moved"
        endings = [(one.outcome, one.reason, one.template) for one in (self.old, self.new)]
        return "same" if endings[0] == endings[1] else "changed"

    @property
    def moved(self) -> timedelta:
        """How much later it falls due by the new version; negative for earlier."""
        if self.old is None or self.new is None:
            return timedelta(0)
        return self.new.due_at - self.old.due_at


class Difference(msgspec.Struct, frozen=True):
    """All pairs, in order of time."""

    pairs: tuple[Pair, ...]

    @property
    def counts(self) -> Counts:
        """How many there are of each kind."""
        counts = Counts()
        for pair in self.pairs:
            name = pair.change
            setattr(counts, name, getattr(counts, name) + 1)
            seconds = pair.moved.total_seconds()
            if seconds > 0:
                counts.later, counts.later_seconds = counts.later + 1, counts.later_seconds + seconds
            elif seconds < 0:
                counts.earlier, counts.earlier_seconds = counts.earlier + 1, counts.earlier_seconds - seconds
        return counts

    def of(self, change: Change) -> Iterator[Pair]:
        """The pairs of one kind."""
        return (pair for pair in self.pairs if pair.change == change)


def compare(old: Iterable[Decision], new: Iterable[Decision]) -> Difference:
    """Match what two versions of a rule have decided.

    Each decision is matched at most once: first with one that fell due at the same instant, then with the nearest in
    time of those that share evidence with it.

    Args:
        old: of any number of people, in any order; each send id once.
        new: the same.
    """
    matters: dict[_Matter, tuple[list[Decision], list[Decision]]] = defaultdict(lambda: ([], []))
    for side, decisions in enumerate((old, new)):
        for one in decisions:
            matters[one.person, one.entry_key, one.step][side].append(one)
    pairs = [pair for both in matters.values() for pair in _match(*both)]
    return Difference(tuple(sorted(pairs, key=_place)))


def _match(old: list[Decision], new: list[Decision]) -> Iterator[Pair]:
    left = {id(one): one for one in sorted(old, key=_time)}
    alone: dict[int, Decision] = {}
    due: dict[datetime, deque[Decision]] = defaultdict(deque)
    for one in left.values():
        due[one.due_at].append(one)
    for one in sorted(new, key=_time):
        twins = due.get(one.due_at)
        if twins:
            twin = twins.popleft()
            del left[id(twin)]
            yield Pair(twin, one)
        else:
            alone[id(one)] = one
    nearest = sorted(_kin(left.values(), alone.values()), key=lambda kin: (kin[0], _time(kin[1]), _time(kin[2])))
    for _, other, one in nearest:
        if id(other) in left and id(one) in alone:
            del left[id(other)], alone[id(one)]
            yield Pair(other, one)
    yield from (Pair(other, None) for other in left.values())
    yield from (Pair(None, one) for one in alone.values())


def _kin(old: Iterable[Decision], new: Iterable[Decision]) -> Iterator[tuple[timedelta, Decision, Decision]]:
    """All that rest on a same event, with how far apart they are."""
    resting: dict[str, list[Decision]] = defaultdict(list)
    for other in old:
        for event in set(other.evidence):
            resting[event].append(other)
    for one in new:
        its = {id(other): other for event in one.evidence for other in resting.get(event, ())}
        for other in its.values():
            yield abs(one.due_at - other.due_at), other, one


def _time(one: Decision) -> tuple[object, str]:
    return one.due_at, one.send_id


def _place(pair: Pair) -> tuple[object, ...]:
    one = pair.new or pair.old
    assert one is not None
    return one.due_at, one.person, one.entry_key, one.step, pair.change, one.send_id
