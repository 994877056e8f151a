"""Everything that can be said of some files of rules and segments, before they meet a single event.

In two steps, because what the past is asked depends on what the files say: `read` finds every fault and knows the
`questions`, and `findings` takes their answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tidings import documents
from tidings.checking import habits, loops, names, never, template_data
from tidings.checking.findings import Finding, Remark, errors, shown
from tidings.checking.lines import Lines, lines
from tidings.checking.observed import Observed, Question
from tidings.checking.places import counted_by, events_of
from tidings.checking.template_data import Message
from tidings.errors import InvalidRuleError
from tidings.rollout.rule_set import read as read_rule
from tidings.rules import segments
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment

What = Literal["rule", "segment"]


class Source(NamedTuple):
    """A file.

    Attributes:
        label: what to call it: its path.
        name: its name without `.yaml`, which is the id.
        data: its bytes.
        what: None when its content has to tell: a document that says `where` is a segment.
        is_context: it is there because others may name it, and is not looked at itself.
    """

    label: str
    name: str
    data: bytes
    what: What | None = None
    is_context: bool = False


@dataclass
class Catalogue:
    """The templates that exist.

    Attributes:
        messages: by name; what could be read of them.
        broken: name -> why it cannot be parsed, or what it includes and is not there.
    """

    messages: Mapping[str, Message]
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Checked:
    """Files that were read.

    Attributes:
        rules / segments: those without a fault, by label.
        unused: templates that no rule names.
    """

    catalogue: Catalogue
    rules: dict[str, Rule] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    _known: dict[str, Segment] = field(default_factory=dict)
    _beside: dict[str, Rule] = field(default_factory=dict)
    _lines: dict[str, Lines] = field(default_factory=dict)
    _faults: list[Finding] = field(default_factory=list)

    def questions(self) -> Iterator[Question]:
        """What the past should be asked."""
        for rule in self.rules.values():
            for _, _, asked in names.asked_by_rule(rule, events_of(rule)):
                yield from asked
            yield from template_data.questions(rule, self.catalogue.messages, self._known)
        for segment in self.segments.values():
            for _, _, asked in _asked_by_segment(segment):
                yield from asked

    def findings(self, observed: Observed | None = None) -> list[Finding]:
        """All that there is to say, file by file and line by line. `observed` holds the answers to `questions`."""
        found = list(self._faults)
        going_on = loops.remarks([*self._beside.values(), *self.rules.values()])
        for label, rule in self.rules.items():
            loop = [going_on[rule.id]] if rule.id in going_on else []
            found += self._placed(label, [*self._of_rule(rule, observed), *loop])
        for label, segment in self.segments.items():
            found += self._placed(label, self._of_segment(segment, observed))
        return sorted(found, key=lambda one: (one.file, one.line or 0, one.path))

    def _of_rule(self, rule: Rule, observed: Observed | None) -> Iterator[Remark]:
        placed = events_of(rule)
        yield from never.in_rule(rule, self._known)
        yield from habits.in_rule(rule)
        yield from names.remarks(placed, observed)
        if observed is not None:
            yield from names.never_carried(names.asked_by_rule(rule, placed), observed)
        yield from template_data.remarks(rule, self.catalogue.messages, self._known, observed)
        for path, send in rule.placed_sends:
            if send.template in self.catalogue.broken:
                yield Remark(f"{path}.template", send.template, self.catalogue.broken[send.template], "error")

    def _of_segment(self, segment: Segment, observed: Observed | None) -> Iterator[Remark]:
        placed = counted_by(segment)
        yield from never.in_segment(segment, self._known)
        yield from names.remarks(placed, observed)
        if observed is not None:
            yield from names.never_carried(_asked_by_segment(segment), observed)

    def _placed(self, label: str, remarks: Iterable[Remark]) -> Iterator[Finding]:
        for path, value, reason, severity in dict.fromkeys(remarks):
            line = self._lines[label].of(path) if path else None
            yield Finding(label, line, severity, path, shown(value), reason)


def _asked_by_segment(segment: Segment) -> names.Asked:
    return [*names.asked_of_people(segment.where, "where"), *names.asked_by_conditions(counted_by(segment))]


def read(sources: Iterable[Source], catalogue: Catalogue) -> Checked:
    """Look at every file, whatever is wrong with the others."""
    checked = Checked(catalogue)
    parsed: list[tuple[Source, Any]] = []
    for source in sources:
        checked._lines[source.label] = lines(source.data.decode(errors="replace"))
        try:
            document = documents.parse_bytes(source.data, source.name, source.what or "rule")
        except InvalidRuleError as error:
            # The value is the name of the file, which is said already.
            _refuse(checked, source, InvalidRuleError(source.name, [{**one, "value": None} for one in error.faults]))
        else:
            parsed.append((source, document))
    groups = [one for one in parsed if _is_segment(*one)]
    rules = [one for one in parsed if not _is_segment(*one)]
    _read_segments(checked, groups)
    there = {source.name for source, _ in groups}  # one that is refused exists nevertheless
    ids = {source.name for source, document in parsed if not _is_segment(source, document)}
    templates = {*catalogue.messages, *catalogue.broken}
    for source, document in rules:
        rules_of = checked._beside if source.is_context else checked.rules
        try:
            rules_of[source.label] = read_rule(
                document, source.name, [*catalogue.messages, *catalogue.broken], there, ids
            )
        except InvalidRuleError as error:
            _refuse(checked, source, error)
    used = {template for _, document in rules for template in _named_templates(document)}
    checked.unused = sorted(templates - used)
    return checked


def _is_segment(source: Source, document: Any) -> bool:
    if source.what is not None:
        return source.what == "segment"
    return isinstance(document, dict) and "where" in document


def _read_segments(checked: Checked, groups: Iterable[tuple[Source, Any]]) -> None:
    loaded: dict[str, tuple[Source, Segment]] = {}
    for source, document in groups:
        try:
            loaded[source.name] = source, segments.load(document, source.name)
        except InvalidRuleError as error:
            _refuse(checked, source, error)
    chosen, refused = segments.settle({name: segment for name, (_, segment) in loaded.items()})
    for name, faults in refused.items():
        _refuse(checked, loaded[name][0], InvalidRuleError(name, faults, "segment"))
    checked._known = chosen
    checked.segments = {
        loaded[name][0].label: segment for name, segment in chosen.items() if not loaded[name][0].is_context
    }


def _refuse(checked: Checked, source: Source, error: InvalidRuleError) -> None:
    if not source.is_context:
        checked._faults += checked._placed(source.label, errors(error.faults))


def _named_templates(document: Any) -> Iterator[str]:
    """The templates that a document names, whatever else is wrong with it."""
    if isinstance(document, dict):
        for send in (document.get("send"), *(_sends(document.get("steps")))):
            name = send.get("template") if isinstance(send, dict) else send
            if isinstance(name, str):
                yield name


def _sends(steps: Any) -> list[Any]:
    return [step.get("send") for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
