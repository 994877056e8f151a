"""What every kind of trigger is made of: marks on a timeline, a tracker that holds them, and a pure `advance`.

The timeline is what makes the order of arrival irrelevant: an event becomes a mark at its own time, wherever it
arrives in the sequence, and a kind reads the marks from oldest to newest as if they had come in that order.
"""

from bisect import insort
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from tidings.rules.conditions import Predicate

NEVER = 2**62
"""A time that does not come, in milliseconds."""

LATENESS = 3_600_000
"""The lateness bound, one hour in milliseconds: an event that arrives no later than this after a newer one counts as
if it had arrived in order. A decision that is taken at once is not taken back."""

START, RESET, STOP, KEYLESS = 1, 2, 4, 8
"""What an event means to a rule; an event can mean several things at once, so these are flags. KEYLESS: it carries no
entry key, though the rule asks for one."""

COMPANY = 60_000
"""An app that was offline sends all it has at once. What was over before it was heard of waits this long, in
milliseconds of the watermark, for the rest of what came with it."""

OWN, MOST_OWN = 16, 12
"""The first of twelve further flags, each twice the one before, that mean whatever a kind wants them to mean."""

MOST_SHOWN = 10
"""A template is given at most this many events: a mail that lists more is not read."""

NAMED = OWN << MOST_OWN
"""A flag of a mark, never of an event: it has given its name to an episode, and no other episode may have it."""


def tidy_at(at: int) -> int:
    """When something that happened at `at` may be forgotten.

    Past the lateness bound, rounded up to a whole hour, so that one visit tidies up everything of that hour.
    """
    return -(-(at + LATENESS + 2) // LATENESS) * LATENESS


class Mark(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """One event on a tracker's timeline. Ordered by time, and by messageId where times are equal.

    The messageId is packed, see `tidings.wire.message_ids`. `kept` is (name, raw JSON properties), for marks that a
    template will want to show.
    """

    at: int
    message_id: bytes
    flags: int
    kept: tuple[str, bytes] | None = None


class Count(msgspec.Struct, array_like=True, gc=False):
    """How often something happened in a session.

    Attributes:
        first: (time, packed messageId) of the first few times, as evidence.
        last: the latest time, where the template will want to show that.
    """

    total: int = 0
    first: list[tuple[int, bytes]] = []
    last: Mark | None = None


class Session(msgspec.Struct, array_like=True, gc=False):
    """Events no further apart than a gap, as one record of bounded size, however many they are.

    Attributes:
        start / start_id: time and packed messageId of the oldest event.
        end: the time of the latest one.
        shown: the latest event that a template will want to show, when that is not asked of a count.
        counts: for each thing that the rule counts: value -> how often; the value is empty when none is asked for.
        stopped: it contains an event that must not happen.
        not_before: the earliest watermark at which it is decided, when it was over before it was heard of.
    """

    start: int
    start_id: bytes
    end: int
    shown: Mark | None
    counts: list[dict[str, Count]]
    stopped: bool = False
    not_before: int = 0


class Tracker(msgspec.Struct, array_like=True, gc=False):
    """What one rule remembers about one person and one entry key.

    Attributes:
        marks: the timeline, oldest first.
        emitted: how many firings among `marks` have been announced already.
        settled: everything at or before this instant has been decided and forgotten; later arrivals there are late.
        fired_at: the latest settled firing, or None.
        wake_at: when the kind wants to be asked again.
        running: an episode has begun and waits for its deadline.
        version: the rule's version under which that episode began; empty while none runs.
        sessions: those that have not been decided, oldest first.
        progress: how far a sequence has come, see there.
    """

    marks: list[Mark] = []
    emitted: int = 0
    settled: int = -1
    fired_at: int | None = None
    wake_at: int = NEVER
    running: bool = False
    version: str = ""
    sessions: list[Session] = []
    progress: list[int | None] = []

    def insert(self, mark: Mark) -> bool:
        """Put a mark in its place. False when it is too late to matter."""
        if mark.at <= self.settled:
            return False
        if not self.marks or self.marks[-1].at < mark.at:
            self.marks.append(mark)
        else:
            insort(self.marks, mark, key=_place)
        return True

    def forget(self, count: int) -> None:
        """Drop the oldest `count` marks: they are decided."""
        if count:
            self.settled = max(self.settled, self.marks[count - 1].at)
            del self.marks[:count]

    def name(self, group: Sequence[Mark]) -> Mark:
        """The event that gives the episode of `group` its name: the first one that has not given it to another.

        Events that arrive late can make a new group begin with an event that an earlier episode was named after.
        """
        mark = next((one for one in group if not one.flags & NAMED), group[-1])
        self.marks[self.marks.index(mark)] = replace(mark, flags=mark.flags | NAMED)
        return mark

    @property
    def latest(self) -> int:
        """When something was last heard of."""
        marks = self.marks[-1].at if self.marks else -1
        return max(marks, self.sessions[-1].end if self.sessions else -1, self.settled, self.fired_at or -1)

    @property
    def is_spent(self) -> bool:
        """Nothing left to remember."""
        return not self.marks and not self.sessions and self.fired_at is None and self.settled < 0


def _place(mark: Mark) -> tuple[int, bytes]:
    return mark.at, mark.message_id


class Firing(NamedTuple):
    """A rule's condition became true.

    Attributes:
        due_at: the instant, in event time, at which it did.
        marks: the evidence, oldest first.
        name: what gives the episode its name; the first of `marks` when left out.
    """

    due_at: int
    marks: Sequence[Mark]
    name: Mark | None = None


class Watchable(Protocol):
    """Something that a rule can watch: what a `Selector` means, or a change of membership."""

    @property
    def subject(self) -> tuple[str, str]:
        """Type and name of the events meant; the name is `*` when any name will do."""

    def predicate(self) -> Predicate | None:
        """What such an event must carry; None when every one is meant."""


class Kind(Protocol):
    """One kind of trigger, compiled for one rule. It holds no state of its own: that is the tracker's."""

    keeps: int
    """The flags of those marks that keep the event's name and properties for the template; 0 for none."""
    stateless: bool
    """Every matching event fires, whatever came before: no tracker is needed."""

    ended_by: int
    """The flags of what ends a run that has begun: STOP, and START where the rule is about nothing happening."""

    def watches(self) -> Sequence[tuple[Watchable, int]]:
        """The events that matter, and the flags that each carries."""

    def arrive(self, tracker: Tracker, mark: Mark, now: int) -> Sequence[Firing]:
        """Take in `mark`, received at `now`: `tracker.insert` it, or leave it out when it is too late to matter.

        Returns what fires at once, and sets `tracker.wake_at`.
        """

    def wake(self, tracker: Tracker, watermark: int) -> Sequence[Firing]:
        """Everything received before `watermark` has arrived. Returns what fires, forgets what is decided."""


class KindEntry(NamedTuple):
    """One line in the table of kinds: the document that describes it, and what compiles it.

    `build(document, re_entry, scale)`: `re_entry` as in `ReEntry`, `scale` divides every duration.
    """

    document: type[Any]
    build: Any


class ReEntry(NamedTuple):
    """How soon a rule may fire again for the same person and entry key.

    Attributes:
        once: never again.
        pause: milliseconds that must pass between two firings; 0 means no pause.
    """

    once: bool = False
    pause: int = 0
