"""Segment documents: who belongs to a segment, by what they did, what is known of them, and other segments.

`python -m tidings.rules.segments` prints the JSON Schema that editors use; it is kept in `rules/segments/schema.json`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tidings import documents
from tidings.documents import Fault, fault, unknown
from tidings.durations import Duration
from tidings.errors import InvalidRuleError
from tidings.rules.conditions import Condition, Predicate, compile_condition, paths_of, segments_of
from tidings.rules.counting import signature
from tidings.rules.selectors import Selector

SegmentId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Doer(Protocol):
    """A person of whom it is known what they did."""

    def did(self, leaf: str) -> bool:
        """Whether this `performed` holds."""


class Performed(Selector):
    """An event happened at least `times` times in the last `within`."""

    model_config = ConfigDict(extra="forbid")

    times: Annotated[int, Field(ge=1, le=1000, description="At least so many; 1 when left out.")] = 1
    within: Duration | None = Field(
        default=None, description="How far back; when left out 400 days, which is as far as anything is remembered."
    )

    @cached_property
    def leaf(self) -> str:
        """The name under which it is remembered that this holds."""
        return signature(self, self.times, self.within)


class Where(Condition):
    """One condition on a person: `performed`, `path`, `segment`, or `all`, `any`, `not` of these."""

    alone: ClassVar[tuple[str, ...]] = ("performed", *Condition.alone)

    performed: Performed | None = None
    all_: "list[Where] | None" = Field(default=None, alias="all", min_length=1)  # type: ignore[assignment]
    any_: "list[Where] | None" = Field(default=None, alias="any", min_length=1)  # type: ignore[assignment]
    not_: "Where | None" = Field(default=None, alias="not")

    def own_test(self) -> Predicate | None:
        """See `Condition`."""
        if self.performed is None:
            return None
        leaf = self.performed.leaf
        return lambda person: cast("Doer", person).did(leaf)


class Segment(BaseModel):
    """A group of people, always up to date."""

    model_config = ConfigDict(extra="forbid", title="Tidings segment")

    id: SegmentId = Field(description="Never changes; rules and other segments call it by this.")
    name: str = Field(default="", description="For people.")
    description: str = Field(default="", description="Who asked, why, since when.")
    where: Where = Field(description="Who belongs to it; a list means all of them.")

    @field_validator("where", mode="before")
    @classmethod
    def _a_list_means_all(cls, value: Any) -> Any:
        return {"all": value} if isinstance(value, list) else value

    @field_validator("where", mode="after")
    @classmethod
    def _asks_about_the_person(cls, where: Where) -> Where:
        for path in paths_of(where):
            if not path.startswith("traits."):
                raise ValueError(f"{path}: a segment is about a person; ask about properties inside performed")
        return where

    @property
    def leaves(self) -> Iterator[Performed]:
        """Everything that the person must, or must not, have done."""
        return _leaves(self.where)

    @property
    def asks(self) -> list[tuple[str, str]]:
        """The segments that this one asks about: where in the document, and which one."""
        return list(segments_of(self.where, "where"))

    @cached_property
    def version(self) -> str:
        """Eight hexadecimal characters derived from `id` and `where`."""
        where = self.where.model_dump(mode="json", by_alias=True, exclude_unset=True)
        text = json.dumps([self.id, where], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def load(document: object, segment_id: str | None = None) -> Segment:
    """Read a segment document. Whether the segments that it names exist is for `settle` to say.

    Raises:
        InvalidRuleError: with every fault, each `{"path", "value", "reason"}`.
    """
    segment, faults = documents.read(Segment, document, segment_id, "segment")
    if faults:
        raise InvalidRuleError(segment_id or segment.id, faults, "segment")
    with documents.compiling(segment.id, "segment", "where"):
        for leaf in segment.leaves:
            leaf.predicate()
        compile_condition(segment.where)
        _ = segment.version
    return segment


def load_all(documents: Mapping[str, object]) -> dict[str, Segment]:
    """Read the documents of all segments there are, by id.

    Raises:
        InvalidRuleError: at the first that is not valid, or that asks about what is missing.
    """
    chosen, refused = settle({name: load(document, name) for name, document in documents.items()})
    for name, faults in refused.items():
        raise InvalidRuleError(name, faults, "segment")
    return chosen


def settle(
    newest: Mapping[str, Segment], earlier: Mapping[str, Segment] | None = None
) -> tuple[dict[str, Segment], dict[str, list[Fault]]]:
    """Choose a version of each segment, so that none asks about one that is missing, or in a circle about itself.

    Args:
        newest: by id, as their authors left them.
        earlier: by id, the last version that was good.

    Returns:
        What is in force, and the faults of those whose newest version is not.
    """
    chosen = _adopt(_adopt({}, earlier or {}), newest)
    refused = {name: segment for name, segment in newest.items() if chosen.get(name) is not segment}
    return chosen, {name: list(_why_not(segment, chosen, refused)) for name, segment in refused.items()}


def _adopt(chosen: Mapping[str, Segment], candidates: Mapping[str, Segment]) -> dict[str, Segment]:
    """Take in as many candidates as fit, one after another, for one may need another."""
    adopted, waiting = dict(chosen), dict(sorted(candidates.items()))
    while fitting := next((one for one in waiting.values() if _fits(one, adopted)), None):
        adopted[fitting.id] = waiting.pop(fitting.id)
    return adopted


def _fits(segment: Segment, others: Mapping[str, Segment]) -> bool:
    return all(name in others for _, name in segment.asks) and not _circle(segment, others)


def _circle(segment: Segment, others: Mapping[str, Segment]) -> list[str]:
    """The way on which a segment asks about itself; empty when there is none."""
    ways, seen = [[segment.id]], set()
    while ways:
        way = ways.pop()
        last = segment if len(way) == 1 else others.get(way[-1])
        for _, name in last.asks if last else ():
            if name == segment.id:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _why_not(segment: Segment, chosen: Mapping[str, Segment], refused: Mapping[str, Segment]) -> Iterator[Fault]:
    wanted = {**chosen, **refused}
    circle = _circle(segment, wanted) or _circle(segment, chosen)
    for path, name in segment.asks:
        if name not in wanted:
            yield fault(path, name, unknown("segment", name, wanted))
        elif name in circle[1:2]:
            yield fault(path, name, "segments must not go round in a circle: " + ", ".join(circle))
        elif name in refused:
            yield fault(path, name, "is refused itself")


def _leaves(where: Where) -> Iterator[Performed]:
    if where.performed is not None:
        yield where.performed
    for _, part in where.parts:
        yield from _leaves(cast("Where", part))


def json_schema() -> str:
    """The JSON Schema of a segment document, as kept in `rules/segments/schema.json`."""
    return json.dumps(Segment.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")  # noqa: T201 - this is what the command is for
