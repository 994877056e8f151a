"""A run: one episode of one rule, from the moment its trigger fired until its last step is over."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tidings.rules.kinds.base import KEYLESS, MOST_OWN, MOST_SHOWN, NEVER, OWN, START, STOP, Firing, Tracker
from tidings.rules.surroundings import Send, Step
from tidings.wire.events import Event
from tidings.wire.message_ids import unpack

Shown = tuple[str, int, bytes]
"""An event that a template may show: its name, its time in milliseconds, its properties as JSON."""

UNLESS = OWN << MOST_OWN
"""The flag of the first step's `unless`; the second step's is twice that, and so on."""

SKIPS = ~(UNLESS - 1)
"""All of these flags."""


MOST_RUNS = 100
"""So many runs of one rule wait for one person at most; what fires beyond that is recorded as `frequency_capped`."""

MOST_HEARD = 100
"""So many recent events are remembered for the runs of one rule that are yet to begin."""


class Heard(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """An event that ends runs or skips sends, remembered for a while: the run that it concerns may begin later.

    Attributes:
        at: when it happened.
        until: when it may be forgotten, by the watermark.
        key: its entry key.
        flags: STOP, `unless`, KEYLESS; START when to do anything at all ends a run.
        version: of the rule that reads it so.
    """

    at: int
    until: int
    key: str
    flags: int
    version: str


class Run(msgspec.Struct, array_like=True):
    """What is remembered of a run between two of its steps.

    Attributes:
        version: the rule's version when it began; it is finished under that one.
        key: the entry key.
        episode: its name, for the send id.
        due_at: when the trigger's condition became true, in event time.
        first_at: the time of the oldest event behind it.
        next_at: when the next step is due.
        evidence: messageIds.
        shown: events for the template, oldest first.
        step: which send comes next.
        held: the next step was due, and waits for the end of quiet hours.
        ended_at: when something happened that ends it; later steps do not go out, earlier ones may be still due.
        skips: flag of an `unless` -> when it first came true.
    """

    version: str
    key: str
    episode: str
    due_at: int
    first_at: int
    next_at: int
    evidence: tuple[str, ...]
    shown: tuple[Shown, ...]
    step: int = 0
    held: bool = False
    ended_at: int = NEVER
    skips: dict[int, int] = {}

    @property
    def is_ended(self) -> bool:
        """Whether the next step does not go out any more, and so none does."""
        return self.ended_at <= self.next_at

    def hear(self, heard: Heard) -> None:
        """Note what an event means, if it concerns this run: of its key, or of none, and newer than what began it."""
        at, flags = heard.at, heard.flags
        mine = flags & KEYLESS or not self.key or heard.key == self.key
        if not mine or at <= self.first_at:
            return
        if flags & (STOP | START):
            self.ended_at = min(self.ended_at, at)
        if flags & SKIPS and at > self.due_at:
            flag = UNLESS
            while flag <= flags:
                if flags & flag:
                    self.skips[flag] = min(self.skips.get(flag, NEVER), at)
                flag *= 2


Spells = dict[str, list[tuple[int, int]]]
"""Entry key -> beginning and end of every stretch of activity that is remembered."""


def spells_of(trackers: Mapping[str, Tracker]) -> Spells:
    """All that is remembered of what somebody did, for a rule about their doing nothing."""
    return {key: [(one.start, one.end) for one in tracker.sessions] for key, tracker in trackers.items()}


def resumed_at(spells: Spells, key: str, since: int) -> int:
    """When somebody first did something after `since`, of this entry key or where one of the two has none.

    Of a stretch that began before, only its end is known. It has no pause as long as the rule waits for, so that the
    first thing in it came in time, whenever that was.
    """
    its = (one for other, many in spells.items() if not key or not other or other == key for one in many)
    return min((max(start, since + 1) for start, end in its if end > since), default=NEVER)


class PlannedSend(NamedTuple):
    """One send of a rule: what, how long after the one before (in milliseconds), and the flag that skips it."""

    send: Send
    after: int
    flag: int


def plan(steps: list[Step], scale: float) -> tuple[PlannedSend, ...]:
    """The sends of a rule, with the waits between them added up."""
    planned: list[PlannedSend] = []
    waited = 0
    for step in steps:
        if step.wait is not None:
            waited += int(step.wait / scale)
        if step.send is not None:
            planned.append(PlannedSend(step.send, waited, UNLESS << len(planned) if step.unless else 0))
            waited = 0
    return tuple(planned)


def begin(version: str, key: str, episode: str, firing: Firing, event: Event | None, starts_at: int) -> Run:
    """A new run. A template sees `event`, the one at hand, or else what the marks have kept."""
    shown: list[Shown] = [(one.kept[0], one.at, one.kept[1]) for one in firing.marks if one.kept is not None]
    if event is not None:
        shown = [(event.label, event.at, bytes(event.properties))]
    return Run(
        version=version,
        key=key,
        episode=episode,
        due_at=firing.due_at,
        first_at=min(mark.at for mark in firing.marks),
        next_at=starts_at,
        evidence=tuple(unpack(mark.message_id) for mark in firing.marks if mark.message_id),
        shown=tuple(shown[-MOST_SHOWN:]),
    )
