"""A run: one episode of one rule, from the moment its trigger fired until its last step is over."""

from typing import NamedTuple

import msgspec

from tidings.events import Event
from tidings.kinds.base import MOST_OWN, OWN, Firing
from tidings.surroundings import Send, Step

Shown = tuple[str, int, bytes]
"""An event that a template may show: its name, its time in milliseconds, its properties as JSON."""

_MOST_SHOWN = 10
"""A template is given at most this many events: a mail that lists more is not read."""

UNLESS = OWN << MOST_OWN
"""The flag of the first step's `unless`; the second step's is twice that, and so on."""


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
        skipped: flags of the `unless` that came true.
        held: the next step was due, and waits for the end of quiet hours.
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
    skipped: int = 0
    held: bool = False

    def is_reached_by(self, at: int, key: str, *, keyless: bool) -> bool:
        """Whether an event concerns this run: of its key, or of none, and not older than what began it."""
        return at >= self.first_at and (keyless or not self.key or key == self.key)


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
        evidence=tuple(mark.message_id for mark in firing.marks if mark.message_id),
        shown=tuple(shown[-_MOST_SHOWN:]),
    )
