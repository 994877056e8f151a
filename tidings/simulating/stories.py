"""Stories: what a few people did, and which mails must come of it. Read as a person writes them, at `10:00` of one day.

`python -m tidings.simulating.stories` prints the JSON Schema that editors use; it is kept in
`rules/stories/schema.json`.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib.resources.abc import Traversable

from pydantic import TypeAdapter

from tidings import documents, durations
from tidings.errors import InvalidRuleError
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import Rule
from tidings.simulating.story_documents import Document, Ending, Person, clock, on, told
from tidings.wire.decisions import Decision
from tidings.wire.events import Event


@dataclass(frozen=True)
class Story:
    """One story of a file.

    Attributes:
        file: what the file is called, without `.yaml`.
        place: where the story stands in it, as faults name it: `[1].`; empty when it is the only one.
    """

    file: str
    place: str
    document: Document

    @property
    def title(self) -> str:
        """Its sentence."""
        return self.document.story

    @property
    def rules(self) -> list[str]:
        """The ids of its rules."""
        return self.document.rules or [self.file]

    @cached_property
    def events(self) -> list[Event]:
        """What happened, in the order in which it is written."""
        return [one.event(self.document.day, number) for number, one in enumerate(self.document.given, start=1)]

    @property
    def people(self) -> dict[str, Person]:
        """Everybody who is known by a user id, in the order in which they appear."""
        named = dict.fromkeys([*self.document.people, *(one.who for one in self.document.given if one.who)])
        return {who: self.document.people.get(who) or Person() for who in named}

    @property
    def until(self) -> datetime:
        """The last instant. What is due at it is decided."""
        last = max((one.received_at for one in self.events), default=on(self.document.day, timedelta()))
        text = self.document.until
        if not text:
            return last
        if ":" in text:
            return on(self.document.day, clock(text))
        return last + timedelta(milliseconds=durations.parse(text))

    @property
    def known_since(self) -> datetime:
        """When what `people` says was learnt: a day before the story."""
        return on(self.document.day, timedelta(days=-1))

    def when(self, at: datetime) -> str:
        """An instant as the story would write it."""
        return told(at - on(self.document.day, timedelta()))

    def chosen(self, known: RuleSet) -> RuleSet:
        """The story's rules, and all segments.

        Whatever their status, they run as if they were live: a story says what a rule does, and the status is the
        operator's switch.

        Raises:
            InvalidRuleError: one of them does not exist.
        """
        faults = [
            self._fault("rules", name, f"there is no such rule{_nearest(name, known.rules)}")
            for name in self.rules
            if name not in known.rules
        ]
        self._refuse(faults)
        return as_if_live(known.only(*self.rules))

    def expected(self, rules: Mapping[str, Rule]) -> list[Ending] | None:
        """What must come of it; None when the story does not say.

        Raises:
            InvalidRuleError: it names rules or templates that do not exist.
        """
        if self.document.expect is None:
            return None
        faults: list[documents.Fault] = []
        endings: list[Ending] = []
        for number, one in enumerate(self.document.expect):
            path = f"expect[{number}]"
            if one.rule is None and len(self.rules) > 1:
                faults.append(self._fault(f"{path}.rule", None, "is missing, and the story has several rules"))
                continue
            name = one.rule or self.rules[0]
            if name not in rules:
                reason = f"there is no such rule in the story{_nearest(name, rules)}"
                faults.append(self._fault(f"{path}.rule", name, reason))
                continue
            try:
                endings += one.endings(self.document.day, rules[name])
            except KeyError as error:
                templates = [send.template for send in rules[name].sends]
                reason = f"{name} does not send that{_nearest(error.args[0], templates)}"
                faults.append(self._fault(f"{path}.sends", error.args[0], reason))
        self._refuse(faults)
        return sorted(endings)

    def _fault(self, path: str, value: object, reason: str) -> documents.Fault:
        return documents.fault(f"{self.place}{path}", value, reason)

    def _refuse(self, faults: list[documents.Fault]) -> None:
        if faults:
            raise InvalidRuleError(self.file, faults, "story")


def load(document: object, file: str) -> list[Story]:
    """The stories of a file: one, or a list of them.

    Raises:
        InvalidRuleError: with every fault of the first story that has one, each `{"path", "value", "reason"}`.
    """
    if not isinstance(document, list):
        return [Story(file, "", documents.validate(Document, document, file, "story"))]
    places = [f"[{number}]." for number in range(len(document))]
    return [
        Story(file, place, documents.validate(Document, one, file, "story", place))
        for place, one in zip(places, document, strict=True)
    ]


def load_file(file: Traversable) -> list[Story]:
    """As `load`.

    Raises:
        InvalidRuleError: as `load`; or the file cannot be read, or is no YAML.
    """
    return load(documents.parse_file(file, "story"), file.name.removesuffix(".yaml"))


def endings_of(decisions: Iterable[Decision]) -> list[Ending]:
    """What a story's `expect` lists, of decisions."""
    return sorted(
        Ending(one.rule_id, one.person, one.due_at, one.entry_key, one.step, one.template, one.reason or one.outcome)
        for one in decisions
    )


def as_if_live(rules: RuleSet) -> RuleSet:
    """The same rules, all of them live."""
    live = {name: rule.model_copy(update={"status": "live"}) for name, rule in rules.rules.items()}
    return RuleSet(live, rules.segments)


def _nearest(name: object, known: Collection[str]) -> str:
    question = documents.nearest(name, known)
    return f"; {question}" if question else "; there are: " + (", ".join(sorted(known)) or "none")


def json_schema() -> str:
    """The JSON Schema of a file of stories, as kept in `rules/stories/schema.json`."""
    schema = TypeAdapter(Document | list[Document]).json_schema(by_alias=True)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")  # noqa: T201 - this is what the command is for
