"""Who is in which segment: segments compiled once, and judged again only when something that they ask about changes.

Membership is judged at the "now" of a step. An event that has just arrived counts at once, at its own time, in the
window that ends now. That a count is reached no longer is said by the watermark alone, as is every absence: a backlog
delays it, and never makes it up.
"""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from typing import NamedTuple

import msgspec

from tidings.deciding.state import PersonState
from tidings.durations import LONGEST
from tidings.rules.conditions import UNREADABLE, Predicate, TypeMismatchError, compile_condition, paths_of
from tidings.rules.counting import Standing, signature
from tidings.rules.kinds.base import NEVER
from tidings.rules.segments import Performed, Segment
from tidings.rules.selectors import ANY
from tidings.wire.events import Event, instant

_HOUR = 3_600_000


class Leaf(NamedTuple):
    """One `performed`: its name, how often, and how far back in milliseconds."""

    name: str
    times: int
    within: int


class Counter(NamedTuple):
    """All that segments ask about one sort of events.

    Attributes:
        key: see `counting.signature`.
        test: what such an event must carry.
        most: so many of the latest times are kept.
        span: and none that is older than this, in milliseconds.
        asked_by: segments.
    """

    key: str
    test: Predicate | None
    leaves: tuple[Leaf, ...]
    most: int
    span: int
    asked_by: tuple[str, ...]


class Member(NamedTuple):
    """A segment, and the test of whether a person belongs to it."""

    segment: str
    test: Predicate


class Touch(NamedTuple):
    """What an event of some name may change: what it counts for, and the segments to be judged again, in order."""

    counters: tuple[Counter, ...]
    members: tuple[Member, ...]


class Change(NamedTuple):
    """Somebody has entered or left a segment, at this instant in milliseconds."""

    segment: str
    entered: bool
    at: int

    def as_event(self) -> Event:
        """What stands for the change when time has made it, and no event."""
        did, at = "Segment Entered" if self.entered else "Segment Left", instant(self.at)
        properties = msgspec.Raw(msgspec.json.encode({"segment": self.segment}))
        return Event(message_id="", type="track", event=did, timestamp=at, received_at=at, properties=properties)


class Mismatch(NamedTuple):
    """An event carries a value of another type than a segment needs, and was not counted."""

    segment: str
    detail: str


class SegmentBook:
    """All segments, compiled. False when there are none.

    Args:
        segments: settled, see `segments.settle`.
        time_scale: every duration in every segment is divided by this.
    """

    def __init__(self, segments: Iterable[Segment], time_scale: float = 1.0) -> None:
        known = {one.id: one for one in sorted(segments, key=lambda one: one.id)}
        self._asks = {name: {asked for _, asked in one.asks} for name, one in known.items()}
        order = [known[name] for name in TopologicalSorter(self._asks).static_order()]
        self._members = tuple(Member(one.id, compile_condition(one.where)) for one in order)
        self._counters = {one.key: one for one in _counters(order, time_scale)}
        self._leaves = {leaf.name for one in self._counters.values() for leaf in one.leaves}
        self._of_traits = {one.id for one in order if any(paths_of(one.where))}
        self._subjects = {signature(leaf): leaf.subject for one in order for leaf in one.leaves}
        self.names = frozenset(known)
        self.traits = {path.split(".")[1] for one in order for path in paths_of(one.where)}
        versions = "".join(one.version for one in known.values())
        self.version = hashlib.sha256(versions.encode()).hexdigest()[:8] if known else ""

    def __bool__(self) -> bool:
        return bool(self._members)

    def touches(self) -> dict[tuple[str, str], Touch]:
        """By type and name of an event, `*` for any other name: what it may change."""
        names = {*self._subjects.values(), *([("identify", ANY)] if self._of_traits else ())}
        return {name: self._touch(*name) for name in names}

    def _touch(self, event_type: str, name: str) -> Touch:
        subjects = ((event_type, name), (event_type, ANY))
        counters = tuple(one for key, one in self._counters.items() if self._subjects[key] in subjects)
        touched = {segment for one in counters for segment in one.asked_by}
        if event_type == "identify":
            touched |= self._of_traits
        for member in self._members:
            if touched & self._asks[member.segment]:
                touched.add(member.segment)
        return Touch(counters, tuple(one for one in self._members if one.segment in touched))

    def refresh(self, state: PersonState, now: int) -> list[Change]:
        """Bring membership up to date after an edit, or when nothing was known of the person.

        Returns what is different from before. It is no news about the person, unless they were just joined with
        another id.
        """
        standing = state.standing
        if (standing.judged_by if standing else "") == self.version:
            return []
        if standing is None:
            standing = state.standing = Standing()
        counts = {key: times for key, times in standing.counts.items() if key in self._counters}
        standing.counts = counts
        standing.held = {leaf: until for leaf, until in standing.held.items() if leaf in self._leaves}
        for key in counts:
            _reach(standing, self._counters[key], now)
        standing.judged_by = self.version
        state.member_of &= self.names
        changes = self._judge(state, self._members, now)
        if not self:
            state.standing = None
        state.wake_at = min(state.wake_at, self.wake_at(state))
        return changes

    def take(self, state: PersonState, touch: Touch, event: Event, now: int) -> tuple[list[Change], list[Mismatch]]:
        """Count an event whose traits were learnt already. Returns the changes that it makes."""
        standing, mismatches = state.standing, []
        assert standing is not None, "refresh comes first"
        for counter in touch.counters:
            try:
                counts = counter.test is None or counter.test(event)
            except UNREADABLE as error:
                mismatches.append(Mismatch(counter.asked_by[0], str(error)))
                continue
            if counts and event.at > now - counter.span:
                insort(standing.counts.setdefault(counter.key, []), event.at)
                _reach(standing, counter, now)
        changes = self._judge(state, touch.members, event.at)
        state.wake_at = min(state.wake_at, self.wake_at(state))
        return changes, mismatches

    def wake(self, state: PersonState, now: int) -> Iterator[Change]:
        """The watermark is `now`: yield what time has changed, instant by instant, and let go of what is over."""
        if state.standing is not None:
            self.refresh(state, now)
        standing = state.standing
        if standing is None:
            return
        while standing.held and (until := min(standing.held.values())) < now:
            standing.held = {leaf: at for leaf, at in standing.held.items() if at > until}
            yield from self._judge(state, self._members, until)
        for key, times in list(standing.counts.items()):
            del times[: bisect_left(times, now - self._counters[key].span)]
            if not times:
                del standing.counts[key]

    def wake_at(self, state: PersonState) -> int:
        """When `wake` has something to do."""
        if state.standing is None:
            return NEVER
        over = [times[-1] + self._counters[key].span for key, times in state.standing.counts.items()]
        tidy_at = (min(over) // _HOUR + 1) * _HOUR if over else NEVER
        return min(tidy_at, min(state.standing.held.values(), default=NEVER) + 1)

    @staticmethod
    def _judge(state: PersonState, members: Iterable[Member], at: int) -> list[Change]:
        """Ask the tests of these segments, in order, because one may ask about another."""
        changes = []
        for segment, test in members:
            try:
                belongs = test(state)
            except TypeMismatchError:  # a trait that cannot be compared is not what was asked for
                belongs = False
            if belongs != (segment in state.member_of):
                (state.member_of.add if belongs else state.member_of.remove)(segment)
                changes.append(Change(segment, belongs, at))
        return changes


def _reach(standing: Standing, counter: Counter, now: int) -> None:
    """Note which counts are reached now, and until when, and keep no more times than it takes to tell.

    While the watermark lags behind, some time may lie so far ahead of it that the latest ones do not fit into one
    window any more. What was reached is then still so for as long as those before it say; to tell, more are kept.
    """
    times = standing.counts[counter.key]
    latest = max(now, times[-1])
    keep = counter.most
    for leaf in counter.leaves:
        until = standing.held.get(leaf.name)
        if len(times) >= leaf.times and times[-leaf.times] > latest - leaf.within:
            until = times[-leaf.times] + leaf.within
        elif until is not None:
            keep = 2 * counter.most - 1
            while (place := bisect_right(times, until) - leaf.times) >= 0 and times[place] > until - leaf.within:
                until = times[place] + leaf.within
        if until is not None:
            standing.held[leaf.name] = until
    del times[:-keep]


def _counters(segments: Iterable[Segment], scale: float) -> Iterator[Counter]:
    """One counter for each sort of events, whoever asks and however often."""
    asked: dict[str, list[tuple[Performed, str]]] = {}
    for segment in segments:
        for leaf in segment.leaves:
            asked.setdefault(signature(leaf), []).append((leaf, segment.id))
    for key, asking in asked.items():
        leaves = {one.leaf: Leaf(one.leaf, one.times, _span(one, scale)) for one, _ in asking}
        yield Counter(
            key=key,
            test=asking[0][0].predicate(),
            leaves=tuple(leaves.values()),
            most=max(leaf.times for leaf in leaves.values()),
            span=max(leaf.within for leaf in leaves.values()),
            asked_by=tuple(segment for _, segment in asking),
        )


def _span(leaf: Performed, scale: float) -> int:
    return LONGEST if leaf.within is None else max(1, int(leaf.within / scale))
