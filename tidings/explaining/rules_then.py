"""The rules as they were at some time, from the history that the store keeps of every rule and segment."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from tidings.errors import InvalidRuleError
from tidings.records.store import Store, VersionRecord
from tidings.rollout import rule_set
from tidings.rollout.rule_set import RuleSet
from tidings.rollout.versions import FIRST_SEEN
from tidings.rules import segments
from tidings.rules.rule import Rule


def rules_at(store: Store, at: datetime, now: RuleSet) -> RuleSet:
    """What was in force at `at`; of what has no history, what is in force now.

    A rule that began to exist later is left out, unless nobody knows when it did: the first that was ever noted of it
    may be that it was there already. Every other version that the store keeps is a superseded one.

    Raises:
        StoreError: the store cannot be read now.
    """
    groups = dict(now.segments)
    for name in now.segments:
        if record := _in_force(store.versions("segment", name), at):
            groups[name] = segments.load(record.document, name)
    known, _ = segments.settle(groups, now.segments)
    then: dict[str, Rule] = {}
    others = list(now.superseded)
    for name in (record.rule_id for record in store.rules()):
        records = store.versions("rule", name)
        if record := _in_force(records, at):
            then |= {rule.id: rule for rule in _readable([record], known)}
        elif not records and name in now.rules:
            then[name] = now.rules[name]
        others += _readable(records, known)
    return RuleSet(then, known, others)


def with_history(rules: RuleSet, store: Store, rule_id: str) -> RuleSet:
    """The same rules, and as superseded ones all the versions of this one that the store has ever kept.

    Raises:
        StoreError: the store cannot be read now.
    """
    kept = _readable(store.versions("rule", rule_id), rules.segments)
    return RuleSet(rules.rules, rules.segments, [*rules.superseded, *kept])


def _in_force(records: Sequence[VersionRecord], at: datetime) -> VersionRecord | None:
    """The newest record that was there at `at`."""
    if records and records[-1].note == FIRST_SEEN:
        at = max(at, records[-1].at)
    return next((one for one in records if one.at <= at), None)


def _readable(records: Iterable[VersionRecord], known: Collection[str]) -> Iterator[Rule]:
    """The rules of these records; what is not valid any more, because it names what is gone, is left out."""
    for record in records:
        try:
            yield rule_set.read(record.document, record.document_id, known=known)
        except InvalidRuleError:
            continue
