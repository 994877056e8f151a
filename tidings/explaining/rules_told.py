"""The rule behind a decision: in which version it is kept, and how its trigger reads."""

from typing import Any

import yaml

from tidings import durations
from tidings.explaining.explanation import RuleTold
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import Rule
from tidings.wire.decisions import Decision

_LENGTHS = frozenset({"within", "gap", "for"})
"""The fields of triggers that hold a length of time."""


def version_of(rules: RuleSet, rule_id: str, version: str) -> Rule | None:
    """The rule as it was in this version, or None when that is not kept."""
    candidates = (*([rules.rules[rule_id]] if rule_id in rules.rules else []), *rules.superseded)
    return next((one for one in candidates if one.id == rule_id and one.version == version), None)


def told(rules: RuleSet, decision: Decision) -> RuleTold:
    """What there is to say of the rule of a decision."""
    current = rules.rules.get(decision.rule_id)
    rule = version_of(rules, decision.rule_id, decision.rule_version)
    if rule is None:
        return RuleTold(
            id=decision.rule_id,
            version=decision.rule_version,
            state="unknown",
            current_version=current.version if current else "",
            status=current.status if current else "",
        )
    return RuleTold(
        id=rule.id,
        version=rule.version,
        state="current" if rule is current else "superseded",
        current_version=current.version if current else "",
        status=current.status if current else "",
        name=rule.name,
        trigger=trigger_yaml(rule),
    )


def trigger_yaml(rule: Rule) -> str:
    """The trigger as its author would write it."""
    document = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)["trigger"]
    [(kind, body)] = document.items()
    readable = {kind: {name: _readable(name, value) for name, value in body.items()}}
    return yaml.safe_dump(readable, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)


def _readable(name: str, value: Any) -> Any:
    """Lengths of time as people write them, and the short form of what means an event by its name alone."""
    if name in _LENGTHS and isinstance(value, int):
        return durations.text(value)
    if name == "where":
        return value
    if isinstance(value, list):
        return [_readable("", one) for one in value]
    if isinstance(value, dict):
        if [*value] == ["event"]:
            return value["event"]
        return {inner: _readable(inner, one) for inner, one in value.items()}
    return value
