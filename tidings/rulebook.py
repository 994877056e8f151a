"""The rule book: rules compiled once into an index from the name of an event to the few rules that care.

A rule book never changes; an edit makes a new one. The cost of an event does not grow with the number of rules that
do not name it.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from tidings.conditions import MISSING, Predicate, TypeMismatchError, getter
from tidings.decisions import Outcome, Reason
from tidings.events import Event
from tidings.kinds import KINDS
from tidings.kinds.base import Kind, ReEntry
from tidings.rules import Pause, Rule
from tidings.selectors import ANY

KeyOf = Callable[[Event], str | None]


class CompiledRule(NamedTuple):
    """A rule, ready to run.

    Attributes:
        key_of: the entry key of an event, None when the event carries none; None itself when the rule keeps no keys.
        needs_key: an event without a key starts nothing (`by`: no product id is never "the same product").
    """

    rule: Rule
    kind: Kind
    key_of: KeyOf | None
    needs_key: bool
    outcome: Outcome
    reason: Reason | None


class Watch(NamedTuple):
    """One rule's interest in one event: the flags that each satisfied condition adds."""

    compiled: CompiledRule
    checks: tuple[tuple[int, Predicate | None], ...]

    def flags(self, event: Event) -> int:
        """What the event means to the rule: a union of START, RESET and STOP; 0 for nothing.

        Raises:
            TypeMismatchError: a condition met a value of the wrong type.
        """
        flags = 0
        for flag, predicate in self.checks:
            if predicate is None or predicate(event):
                flags |= flag
        return flags


class RuleBook:
    """All rules that run, compiled.

    Args:
        rules: drafts are left out.
        time_scale: every duration in every rule is divided by this; 60 turns 15 minutes into 15 seconds.
    """

    def __init__(self, rules: Iterable[Rule], time_scale: float = 1.0) -> None:
        self.rules: dict[str, CompiledRule] = {
            rule.id: _compile(rule, time_scale) for rule in rules if rule.status != "draft"
        }
        self._index = _index(self.rules.values())
        self._nothing: tuple[dict[str, list[Watch]], list[Watch]] = ({}, [])

    def watches(self, event: Event) -> list[Watch]:
        """The rules that care about an event of this type and name."""
        by_name, any_name = self._index.get(event.type, self._nothing)
        return by_name.get(event.label, any_name)


def _compile(rule: Rule, scale: float) -> CompiledRule:
    name, document = rule.trigger.chosen  # type: ignore[attr-defined]
    re_entry = ReEntry(once=rule.re_entry == "once")
    if isinstance(rule.re_entry, Pause):
        re_entry = ReEntry(pause=int(rule.re_entry.after / scale))
    by = getattr(document, "by", None)
    paths = [path for path in (rule.entry_key, by) if path is not None]
    outcome: Outcome = {"live": "send", "shadow": "shadow", "paused": "suppressed"}[rule.status]  # type: ignore[assignment]
    return CompiledRule(
        rule=rule,
        kind=KINDS[name].build(document, rule.exit_on, re_entry, scale),
        key_of=_key_of(paths) if paths else None,
        needs_key=by is not None,
        outcome=outcome,
        reason="rule_paused" if rule.status == "paused" else None,
    )


def _key_of(paths: list[str]) -> KeyOf:
    getters = [(path, getter(path)) for path in paths]

    def key_of(event: Event) -> str | None:
        parts = []
        for path, get in getters:
            value = get(event)
            if value is MISSING:
                return None
            if isinstance(value, dict | list):
                raise TypeMismatchError(path, "a string, number or boolean", value)
            parts.append(value if isinstance(value, str) else msgspec.json.encode(value).decode())
        return parts[0] if len(parts) == 1 else msgspec.json.encode(parts).decode()

    return key_of


def _index(rules: Iterable[CompiledRule]) -> dict[str, tuple[dict[str, list[Watch]], list[Watch]]]:
    """By type: (name -> watches, watches for any other name). Watches for any name are part of every named list."""
    found: dict[str, dict[str, dict[str, list[tuple[int, Predicate | None]]]]] = {}
    compiled = {one.rule.id: one for one in rules}
    for one in compiled.values():
        for selector, flag in one.kind.watches():
            event_type, name = selector.subject
            checks = found.setdefault(event_type, {}).setdefault(name, {}).setdefault(one.rule.id, [])
            checks.append((flag, selector.predicate()))
    index: dict[str, tuple[dict[str, list[Watch]], list[Watch]]] = {}
    for event_type, names in found.items():
        anything = names.get(ANY, {})
        lists: dict[str, list[Watch]] = {}
        for name, by_rule in names.items():
            merged: dict[str, list[tuple[int, Predicate | None]]] = {id_: list(c) for id_, c in anything.items()}
            if name != ANY:
                for id_, checks in by_rule.items():
                    merged.setdefault(id_, []).extend(checks)
            lists[name] = [Watch(compiled[id_], tuple(checks)) for id_, checks in merged.items()]
        index[event_type] = (lists, lists.get(ANY, []))
    return index
