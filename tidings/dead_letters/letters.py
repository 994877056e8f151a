"""Dead letters as they lie in their subscription: which of them somebody means, and how many there are of each kind."""

from datetime import datetime

import msgspec

from tidings.errors import InvalidEventError
from tidings.wire import dead_letter
from tidings.wire.dead_letter import DeadLetter
from tidings.wire.topics import Message, Waiting

FOREIGN = "unknown"
"""The step of what somebody else has put among the dead letters."""


class Found(msgspec.Struct, frozen=True):
    """One dead letter.

    Attributes:
        id: Pub/Sub's own; see `Waiting`.
        letter: what it says. Of a message that is no dead letter the step is `unknown`, and all of it the payload.
        message: as it lies there.
    """

    id: str
    letter: DeadLetter
    message: Message


def found(waiting: Waiting) -> Found:
    """The letter that a message is. It never fails: whatever lies there must be seen."""
    data, attributes = waiting.message
    try:
        letter = dead_letter.read(data, attributes)
    except InvalidEventError as fault:
        letter = DeadLetter(
            step=FOREIGN,
            reason=fault.reason,
            detail=fault.detail,
            data=data,
            attributes=dict(attributes),
            at=waiting.published,
        )
    return Found(waiting.id, letter, waiting.message)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters somebody means: those that fit all of it; what is empty or None fits every one.

    Attributes:
        ids / steps / reasons: any of these.
        since / before: set aside not before `since`, and earlier than `before`.
    """

    ids: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    before: datetime | None = None

    def __contains__(self, one: Found) -> bool:
        """Whether the letter is one of them."""
        letter = one.letter
        return (
            (not self.ids or one.id in self.ids)
            and (not self.steps or letter.step in self.steps)
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.at >= self.since)
            and (self.before is None or letter.at < self.before)
        )


class Kind(msgspec.Struct):
    """How many letters of one step and reason there are, and when the first and the last of them were set aside."""

    step: str
    reason: str
    count: int
    oldest: datetime
    newest: datetime


class Count:
    """Counts letters by step and reason."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}

    def add(self, letter: DeadLetter) -> None:
        """One more."""
        key, at = (letter.step, letter.reason), letter.at
        kind = self._kinds.setdefault(key, Kind(*key, 0, at, at))
        kind.count += 1
        kind.oldest, kind.newest = min(kind.oldest, at), max(kind.newest, at)

    def kinds(self) -> list[Kind]:
        """The most frequent first."""
        return sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.step, kind.reason))
