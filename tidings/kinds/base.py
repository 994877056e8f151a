"""What every kind of trigger is made of: marks on a timeline, a tracker that holds them, and a pure `advance`.

The timeline is what makes the order of arrival irrelevant: an event becomes a mark at its own time, wherever it
arrives in the sequence, and a kind reads the marks from oldest to newest as if they had come in that order.
"""

from bisect import insort
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from tidings.selectors import Selector

NEVER = 2**62
"""A time that does not come, in milliseconds."""

LATENESS = 3_600_000
"""The lateness bound, one hour in milliseconds: an event that arrives no later than this after a newer one counts as
if it had arrived in order. A decision that is taken at once is not taken back."""

START, RESET, STOP, KEYLESS = 1, 2, 4, 8
"""What an event means to a rule; an event can mean several things at once, so these are flags. KEYLESS: it carries no
entry key, though the rule asks for one."""


def tidy_at(at: int) -> int:
    """When something that happened at `at` may be forgotten.

    Past the lateness bound, rounded up to a whole hour, so that one visit tidies up everything of that hour.
    """
    return -(-(at + LATENESS + 2) // LATENESS) * LATENESS


class Mark(NamedTuple):
    """One event on a tracker's timeline. Ordered by time, and by messageId where times are equal.

    `kept` is (name, raw JSON properties), for marks that a template will want to show.
    """

    at: int
    message_id: str
    flags: int
    kept: tuple[str, bytes] | None = None


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
    """

    marks: list[Mark] = []
    emitted: int = 0
    settled: int = -1
    fired_at: int | None = None
    wake_at: int = NEVER
    running: bool = False
    version: str = ""

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

    @property
    def is_spent(self) -> bool:
        """Nothing left to remember."""
        return not self.marks and self.fired_at is None and self.settled < 0


def _place(mark: Mark) -> tuple[int, str]:
    return mark.at, mark.message_id


class Firing(NamedTuple):
    """A rule's condition became true.

    Attributes:
        due_at: the instant, in event time, at which it did.
        marks: the evidence, oldest first; the first one gives the episode its name.
    """

    due_at: int
    marks: Sequence[Mark]


class Kind(Protocol):
    """One kind of trigger, compiled for one rule. It holds no state of its own: that is the tracker's."""

    keeps: bool
    """Whether marks keep the event's name and properties for the template."""
    stateless: bool
    """Every matching event fires, whatever came before: no tracker is needed."""

    def watches(self) -> list[tuple[Selector, int]]:
        """The events that matter, and the flags that each carries."""

    def arrive(self, tracker: Tracker, mark: Mark) -> Sequence[Firing]:
        """`mark` was just inserted. Returns what fires at once, and sets `tracker.wake_at`."""

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
