"""What past events tell of a rule: which names there are, and how often a property is missing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tidings.rules.conditions import MISSING, UNREADABLE, Predicate, getter
from tidings.rules.counting import signature
from tidings.rules.selectors import ANY, Selector
from tidings.wire.events import Event


class Question(NamedTuple):
    """How many of the events that a selector means carry something at a path?"""

    selector: Selector
    path: str


class Answer(NamedTuple):
    """So many events are meant, and so many of them lack it."""

    events: int
    missing: int

    def __str__(self) -> str:
        share = 100 * self.missing / self.events
        return f"{share:.{0 if share >= 1 else 2}f} % of {self.events:,}"


@dataclass
class Observed:
    """What was seen in a history of events.

    Attributes:
        names: (type, name) -> how many.
        events: a selector's signature -> how many events it means.
        carried: (signature, path) -> how many of these carry something there.
    """

    names: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    carried: Counter[tuple[str, str]] = field(default_factory=Counter)

    def answer(self, question: Question) -> Answer:
        """The answer to a question that was asked beforehand."""
        key = signature(question.selector)
        return Answer(self.events[key], self.events[key] - self.carried[key, question.path])

    def named(self, event_type: str) -> set[str]:
        """The names that events of a type have."""
        return {name for known, name in self.names if known == event_type}


class _Watched(NamedTuple):
    key: str
    test: Predicate | None
    getters: dict[str, Callable[[Any], Any]]


def observe(events: Iterable[Event], questions: Iterable[Question]) -> Observed:
    """Go through a history once."""
    asked: dict[str, tuple[Selector, dict[str, Callable[[Any], Any]]]] = {}
    for selector, path in questions:
        asked.setdefault(signature(selector), (selector, {}))[1][path] = getter(path)
    watched: dict[tuple[str, str], list[_Watched]] = {}
    for key, (selector, getters) in asked.items():
        watched.setdefault(selector.subject, []).append(_Watched(key, selector.predicate(), getters))
    seen = Observed()
    for event in events:
        seen.names[event.type, event.label] += 1
        for subject in ((event.type, event.label), (event.type, ANY)):
            for one in watched.get(subject, ()):
                _count(seen, event, one)
    return seen


def _count(seen: Observed, event: Event, watched: _Watched) -> None:
    """What cannot be read is not meant: the engine leaves it out as well."""
    try:
        if watched.test is not None and not watched.test(event):
            return
        carried = [path for path, get in watched.getters.items() if get(event) is not MISSING]
    except UNREADABLE:
        return
    seen.events[watched.key] += 1
    for path in carried:
        seen.carried[watched.key, path] += 1


def of_any(selector: Selector) -> Selector:
    """The same events, whatever they carry."""
    return selector.model_copy(update={"where": None})
