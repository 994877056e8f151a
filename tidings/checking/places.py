"""Every event that a rule names, with where it stands and what it does there."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from tidings.rules.kinds.activity import ACTIVITY
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment
from tidings.rules.selectors import Selector

Role = Literal["start", "reset", "none_of", "exit_on", "unless", "counted"]


class Placed(NamedTuple):
    """A selector.

    Attributes:
        path: where in the document.
        selector: which events it means.
        role: `start` may make the rule fire; `counted` is one that a segment counts.
    """

    path: str
    selector: Selector
    role: Role

    @property
    def name_path(self) -> str:
        """Where its name stands; the short form has it in the place of the selector."""
        field = next((one for one in ("event", "page", "screen") if getattr(self.selector, one) is not None), "type")
        return f"{self.path}.{field}"


def events_of(rule: Rule) -> list[Placed]:
    """All that a rule's document names, in order."""
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    at = f"trigger.{kind}"
    return [
        *_of_trigger(kind, document, at),
        *_listed(f"{at}.none_of", getattr(document, "none_of", ()), "none_of"),
        *_listed("exit_on", rule.exit_on, "exit_on"),
        *(one for at, step in enumerate(rule.steps) for one in _listed(f"steps[{at}].unless", step.unless, "unless")),
    ]


def starts_of(rule: Rule) -> list[Placed]:
    """The events that make a rule fire, also those that it means by naming none."""
    named = [one for one in events_of(rule) if one.role == "start"]
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    if kind in ("session_ended", "inactive") and document.of is None:
        named += [Placed(f"trigger.{kind}", one, "start") for one in ACTIVITY]
    return named


def stops_of(rule: Rule) -> list[Placed]:
    """The events that end what has begun."""
    return [one for one in events_of(rule) if one.role in ("none_of", "exit_on")]


def counted_by(segment: Segment) -> list[Placed]:
    """The events that a segment counts."""
    return list(_counted(segment.where, "where"))


def _counted(where: Any, at: str) -> Iterator[Placed]:
    if where.performed is not None:
        yield Placed(f"{at}.performed", where.performed, "counted")
    for place, part in where.parts:
        yield from _counted(part, f"{at}.{place}")


def _of_trigger(kind: str, document: Any, at: str) -> list[Placed]:
    if kind == "performed":
        return [Placed(at, document, "start")]
    if kind == "not_performed":
        return [Placed(f"{at}.after", document.after, "start"), *_listed(f"{at}.reset_on", document.reset_on, "reset")]
    fields = {"sequence": ["steps"], "session_ended": ["of", "having"], "inactive": ["of"], "score": ["features"]}
    lists = {f"{at}.{field}": getattr(document, field) or () for field in fields.get(kind, [])}
    return [one for place, selectors in lists.items() for one in _listed(place, selectors, "start")]


def _listed(at: str, selectors: Sequence[Selector], role: Role) -> Iterator[Placed]:
    for number, selector in enumerate(selectors):
        yield Placed(f"{at}[{number}]", selector, role)
