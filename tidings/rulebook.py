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
Check = tuple[int, Predicate | None]


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
    checks: tuple[Check, ...]

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
    checks: dict[tuple[str, str], list[tuple[CompiledRule, Check]]] = {}
    for one in rules:
        for selector, flag in one.kind.watches():
            checks.setdefault(selector.subject, []).append((one, (flag, selector.predicate())))
    index: dict[str, tuple[dict[str, list[Watch]], list[Watch]]] = {}
    for event_type in {event_type for event_type, _ in checks}:
        anything = checks.get((event_type, ANY), [])
        by_name = {
            name: _watches([*anything, *named])
            for (its_type, name), named in checks.items()
            if its_type == event_type and name != ANY
        }
        index[event_type] = (by_name, _watches(anything))
    return index


def _watches(checks: list[tuple[CompiledRule, Check]]) -> list[Watch]:
    """One watch a rule, with all of its checks, so that one event is one mark to a rule."""
    by_rule: dict[str, Watch] = {}
    for compiled, check in checks:
        known = by_rule.get(compiled.rule.id, Watch(compiled, ()))
        by_rule[compiled.rule.id] = known._replace(checks=(*known.checks, check))
    return list(by_rule.values())
