"""`inactive`: nothing at all for a while, after at least some activity.

When exactly: when the watermark passes the time of the last event plus `for`. An event up to and including that instant
begins the wait anew. A spell of activity, events no further apart than `for`, fires at most once: the next one
begins with the next event.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tidings.durations import Duration
from tidings.rules.kinds.activity import ACTIVITY
from tidings.rules.kinds.base import KEYLESS, NEVER, START, STOP, Mark, ReEntry, Session, Tracker
from tidings.rules.kinds.sessions import Clause, Sessions
from tidings.rules.selectors import Selector


class SomeActivity(BaseModel):
    """How much must have happened before silence means anything."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="At least so many events.")


class InactiveDocument(BaseModel):
    """Nothing for a while, from somebody who was active before."""

    model_config = ConfigDict(extra="forbid")

    for_: Duration = Field(alias="for")
    after_at_least: SomeActivity = Field(
        default=SomeActivity(), description="Counted over the events before the silence, no further apart than `for`."
    )
    of: list[Selector] | None = Field(
        default=None, min_length=1, description="What counts as activity; any track, page or screen call when left out."
    )


class Inactive(Sessions):
    """The compiled form: a session with a long gap, the end of which belongs to it.

    Not pinned: who is active for months would stay with an old version of the rule for as long.
    """

    pinned = False
    ended_by = STOP | START

    def __init__(self, document: InactiveDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> None:
        super().__init__(
            [*((one, START) for one in document.of or ACTIVITY), *((one, STOP) for one in exits)],
            (silence := max(1, int(document.for_ / scale))) + 1,
            silence,
            [Clause(START, document.after_at_least.times, NEVER, None, 0)],
            re_entry,
            scale,
        )

    def _takes_up(self, tracker: Tracker, mark: Mark) -> bool:
        """What ended an earlier wait has no say in a later one."""
        if mark.flags & KEYLESS:
            return False
        return any(session.start <= mark.at < session.end for session in tracker.sessions)

    def _is_stopped(self, tracker: Tracker, session: Session) -> bool:
        until = session.end + self._gap
        return any(mark.flags & STOP and session.end <= mark.at < until for mark in tracker.marks)

    def _evidence(self, session: Session) -> list[Mark]:
        return [session.shown] if session.shown is not None else []


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> Inactive:
    """Compile a document."""
    return Inactive(document, exits, re_entry, scale)
