"""Names of events and properties that are probably misspelt, or that the data does not know."""

import difflib
from collections.abc import Iterable, Iterator

from tidings.checking.findings import Remark
from tidings.checking.observed import Observed, Question, of_any
from tidings.checking.places import Placed, starts_of
from tidings.ingest.event_names import nearly
from tidings.rules.conditions import Condition
from tidings.rules.rule import Rule
from tidings.rules.selectors import Selector

_ALIKE = 0.8
"""How like each other two names must be, of 1, for the one to be suggested in the place of the other."""

_IDENTIFY = Selector(type="identify")

Asked = list[tuple[str, str, list[Question]]]
"""Where in the document a property is asked for, which one, and of which events."""


def remarks(placed: Iterable[Placed], observed: Observed | None) -> Iterator[Remark]:
    """What is odd about the names of events."""
    for one in placed:
        event_type, name = one.selector.subject
        if name == "*":
            if observed is not None and not observed.named(event_type):
                yield Remark(one.path, event_type, f"there is no {event_type} call among the events")
            continue
        if observed is not None:
            if (event_type, name) not in observed.names:
                yield Remark(one.name_path, name, _never_seen(event_type, name, observed))
        elif event_type == "track" and (meant := nearly(name)):
            yield Remark(one.name_path, name, f"did you mean {meant}? Names must be the same to the letter")


def _never_seen(event_type: str, name: str, observed: Observed) -> str:
    known = observed.named(event_type)
    meant = nearly(name, known) or next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)
    question = f"did you mean {meant}?" if meant else ""
    return f"is the name of no {event_type} call among the events; {question}".rstrip("; ")


def asked_by_rule(rule: Rule, placed: Iterable[Placed]) -> Asked:
    """The properties that a rule asks its events for."""
    _, document = rule.trigger.chosen  # type: ignore[attr-defined]
    kind = rule.trigger.chosen[0]  # type: ignore[attr-defined]
    starts = [of_any(one.selector) for one in starts_of(rule)]
    keys = [("entry_key", rule.entry_key), (f"trigger.{kind}.by", getattr(document, "by", None))]
    asked = [(at, path, [Question(one, path) for one in starts]) for at, path in keys if path is not None]
    for number, one in enumerate(getattr(document, "having", ())):
        if one.by is not None:
            asked.append((f"trigger.{kind}.having[{number}].by", one.by, [Question(of_any(one), one.by)]))
    of_person = asked_of_people(rule.audience, "audience") if rule.audience is not None else []
    return [*asked, *of_person, *asked_by_conditions(placed)]


def asked_of_people(condition: Condition, at: str) -> Asked:
    """The traits that a condition on a person asks for: `identify` calls bring them."""
    return [(place, path, [Question(_IDENTIFY, path)]) for place, path in _paths(condition, at)]


def asked_by_conditions(placed: Iterable[Placed]) -> Asked:
    """The properties that conditions on events ask for; one that is compared with nothing may well be missing."""
    asked: Asked = []
    for one in placed:
        if one.selector.where is not None:
            events = of_any(one.selector)
            for place, path in _paths(one.selector.where, f"{one.path}.where"):
                asked.append((place, path, [Question(events, path)]))
    return asked


def _paths(condition: Condition, at: str) -> Iterator[tuple[str, str]]:
    if condition.path is not None:
        yield f"{at}.path", condition.path
    for place, part in condition.parts:
        yield from _paths(part, f"{at}.{place}")


def never_carried(asked: Asked, observed: Observed) -> Iterator[Remark]:
    """The properties that none of the events has; an event that does not occur at all was said already."""
    for at, path, questions in asked:
        answers = [observed.answer(one) for one in questions]
        events = sum(one.events for one in answers)
        if events and events == sum(one.missing for one in answers):
            names = " or ".join(sorted({_told(one) for one in questions}))
            yield Remark(at, path, f"no event carries it, of {events:,} {names}")


def _told(question: Question) -> str:
    event_type, name = question.selector.subject
    return event_type if name == "*" else name
