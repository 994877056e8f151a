"""The rules and segments that belong together: those of a folder, or those in force in a store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any

from tidings import documents
from tidings.deciding.rulebook import RuleBook, compile_rule
from tidings.errors import InvalidRuleError
from tidings.rules import segments
from tidings.rules.rule import Rule, load
from tidings.rules.segments import Segment


@dataclass(frozen=True)
class RuleSet:
    """Everything that a rule book is made of.

    Attributes:
        rules: by id.
        segments: by id, settled (see `segments.settle`).
        superseded: earlier versions of the rules, for what began under them.
    """

    rules: Mapping[str, Rule]
    segments: Mapping[str, Segment]
    superseded: Sequence[Rule] = ()

    def book(self, time_scale: float = 1.0) -> RuleBook:
        """All of them, compiled. See `RuleBook` for what it raises."""
        return RuleBook(self.rules.values(), time_scale, self.superseded, self.segments.values())

    def with_rule(self, rule: Rule) -> "RuleSet":
        """The same with this rule in the place of the one of its id, if there was one."""
        return replace(self, rules={**self.rules, rule.id: rule})

    def only(self, *rule_ids: str) -> "RuleSet":
        """These rules alone; those that there are not are left out."""
        return replace(self, rules={name: self.rules[name] for name in rule_ids if name in self.rules})


def from_folder(folder: Traversable, templates: Collection[str] | None = None) -> RuleSet:
    """The rules of a folder of YAML files, and the segments of its folder `segments`.

    Args:
        folder: where they are.
        templates: see `rules.load`.

    Raises:
        InvalidRuleError: there is no such folder, or a document is not valid. A person is waiting who can mend it.
    """
    if not folder.is_dir():
        raise InvalidRuleError(folder.name, [documents.fault("", folder.name, "there is no such folder")], "folder")
    known = segments.load_all(documents.parse_folder(folder / "segments", "segment"))
    found = documents.parse_folder(folder)
    rules = {name: read(document, name, templates, known, found) for name, document in found.items()}
    return RuleSet(rules, known)


def read(
    document: Any,
    name: str,
    templates: Collection[str] | None = None,
    known: Collection[str] | None = None,
    rules: Collection[str] | None = None,
) -> Rule:
    """A rule, once it is certain that a book can be made of it. See `rules.load` for arguments and faults."""
    rule = load(document, name, templates, known, rules)
    compile_rule(rule)
    return rule
