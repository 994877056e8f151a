"""`segment`: fires when a person enters or leaves a segment.

When exactly: on the event that changes their membership, or when the watermark passes the instant at which time has
changed it (see `tidings.deciding.membership`). Everything else is as for `performed`: the change is the event.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from tidings.rules.kinds.base import START, STOP, ReEntry, Watchable
from tidings.rules.kinds.performed import Performed, PerformedDocument
from tidings.rules.segments import SegmentId
from tidings.rules.selectors import Selector


class SegmentDocument(BaseModel):
    """A person enters or leaves a segment."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, value: Any) -> Any:
        """Most readers of YAML take a bare `on` for true, even where it is a field's name."""
        if isinstance(value, dict) and True in value:
            return {"on" if name is True else name: part for name, part in value.items()}
        return value

    id: SegmentId
    on: Literal["enter", "leave"]

    @property
    def asks(self) -> list[tuple[str, str]]:
        """The segment, and where in the document it is named."""
        return [("id", self.id)]


class Crossing(NamedTuple):
    """The change of membership that is watched; see `Watchable`."""

    segment: str
    on: str

    @property
    def subject(self) -> tuple[str, str]:
        """See `Watchable`."""
        return "segment", f"{self.segment} {self.on}"

    def predicate(self) -> None:
        """See `Watchable`."""


class SegmentChanged(Performed):
    """The compiled form."""

    def __init__(self, document: SegmentDocument, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> None:
        super().__init__(PerformedDocument(type="track"), exits, re_entry, scale)
        self._crossing = Crossing(document.id, document.on)

    def watches(self) -> list[tuple[Watchable, int]]:
        """See `Kind`."""
        return [(self._crossing, START), *((one, STOP) for one in self._exits)]


def build(document: Any, exits: Sequence[Selector], re_entry: ReEntry, scale: float) -> SegmentChanged:
    """Compile a document."""
    return SegmentChanged(document, exits, re_entry, scale)
