"""`session_ended`: a visit is over, and what happened in it adds up.

When exactly: when the watermark passes the time of the last event plus `gap`. Events exactly `gap` apart belong to two
sessions. An event that arrives before that, however late by its own time, is counted where it happened, and may turn
two sessions into one; what arrives later changes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tidings.durations import Duration
from tidings.rules.kinds.activity import ACTIVITY
from tidings.rules.kinds.base import KEYLESS, MOST_OWN, NEVER, OWN, START, STOP, Mark, ReEntry, Session, Tracker
from tidings.rules.kinds.sessions import Clause, Sessions
from tidings.rules.selectors import Selector

_MOST_EVIDENCE = 20
_MOST_EVIDENCE_PER_VALUE = 3
"""So many events are remembered as evidence for a count: of all events, or of each value of a `by`."""

_Property = Annotated[str, Field(pattern=r"^properties(\.[^.\s]+)+$", examples=["properties.category"])]


class SessionCount(Selector):
    """How often an event happened in the session; at least once, when nothing else is said."""

    model_config = ConfigDict(extra="forbid")

    at_least: Annotated[int, Field(ge=1, le=10_000)] | None = None
    at_most: Annotated[int, Field(ge=0, le=10_000)] | None = None
    by: _Property | None = Field(
        default=None, description="Count per value of this property: the value with the highest count must fit."
    )

    @model_validator(mode="after")
    def _can_be_true(self) -> "SessionCount":
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most, so it is never true")
        return self

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the highest count that will do."""
        least = self.at_least or (0 if self.at_most is not None else 1)
        return least, NEVER if self.at_most is None else self.at_most


class SessionEndedDocument(BaseModel):
    """A session ended: events no further apart than `gap`, and then nothing for that long."""

    model_config = ConfigDict(extra="forbid")

    gap: Duration
    of: list[Selector] | None = Field(
        default=None,
        min_length=1,
        description="The events that make the session; any track, page or screen call when left out.",
    )
    having: list[SessionCount] = Field(
        default=[],
        max_length=MOST_OWN,
        description="Counts that must hold at the end. These events belong to the session.",
    )
    none_of: list[Selector] = Field(default=[], description="Events that must not happen in it.")


class SessionEnded(Sessions):
    """The compiled form."""

    pinned = True

    def __init__(
        self, document: SessionEndedDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float
    ) -> None:
        super().__init__(
            [
                *((one, START) for one in document.of or ACTIVITY),
                *((one, START | OWN << number) for number, one in enumerate(document.having)),
                *((one, STOP) for one in (*document.none_of, *exits)),
            ],
            gap := max(1, int(document.gap / scale)),
            gap,
            [_clause(one, OWN << number) for number, one in enumerate(document.having)],
            re_entry,
            scale,
        )

    def _takes_up(self, tracker: Tracker, mark: Mark) -> bool:
        """A session contains what happens from its first event until it ends.

        An ending event without an entry key is remembered in any case: sessions of other keys may ask for it.
        """
        for session in tracker.sessions:
            if session.start <= mark.at < session.end + self._gap:
                session.stopped = True
                return not mark.flags & KEYLESS
        return False

    def _is_stopped(self, tracker: Tracker, session: Session) -> bool:
        until = session.end + self._gap
        return session.stopped or any(mark.flags & STOP and session.start <= mark.at < until for mark in tracker.marks)

    def _evidence(self, session: Session) -> list[Mark]:
        """The first event, those that made the counts, and the latest ones, which the template shows."""
        found = {session.start_id: Mark(session.start, session.start_id, START)}
        shown = [] if session.shown is None else [session.shown]
        for counts in session.counts:
            ranking = sorted(counts.values(), key=lambda count: (-count.total, count.first))
            for count in ranking[:1]:
                found.update({name: Mark(at, name, START) for at, name in count.first})
            shown += [count.last for count in ranking if count.last is not None][:1]
        return sorted({**found, **{mark.message_id: mark for mark in shown}}.values())


def _clause(document: SessionCount, flag: int) -> Clause:
    at_least, at_most = document.bounds
    most = _MOST_EVIDENCE if document.by is None else _MOST_EVIDENCE_PER_VALUE
    return Clause(
        flag=flag,
        at_least=at_least,
        at_most=at_most,
        value_of=_value_of(document.by) if document.by else None,
        keep=min(at_least, most),
    )


def _value_of(path: str) -> Callable[[Mark], str | None]:
    """Reads one property of a mark's event, and nothing else of it. None for nothing, a list or an object."""
    kind: Any = str | int | float | bool
    for part in reversed(path.split(".")[1:]):
        kind = msgspec.defstruct("Part", [("value", kind | None, None)], rename={"value": part})
    decoder = msgspec.json.Decoder(kind)

    def value_of(mark: Mark) -> str | None:
        if mark.kept is None:  # from a time when the rule was of another kind
            return None
        try:
            value = decoder.decode(mark.kept[1])
        except msgspec.ValidationError:  # a list or an object, where a single value was expected
            return None
        while isinstance(value, msgspec.Struct):
            value = value.value  # type: ignore[attr-defined]
        if value is None or isinstance(value, str):
            return value
        return msgspec.json.encode(value).decode()

    return value_of


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> SessionEnded:
    """Compile a document."""
    return SessionEnded(document, exits, re_entry, scale)
