"""Decides once more what was decided, from the archive, and compares both explanations byte by byte."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.explaining import archive, rules_told
from tidings.explaining import feed as feeds
from tidings.explaining.explain import explain
from tidings.explaining.explanation import Explanation, encode
from tidings.explaining.feed import Feed
from tidings.explaining.ledger import NotFoundError
from tidings.explaining.trace import Trace, trace
from tidings.records.store import LedgerEntry
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import Rule
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis

MAY_DIFFER = """\
What was decided while the pipeline was behind may come out otherwise without anything being wrong (the end of
docs/when-does-a-rule-fire.md). So may what rests on rules and segments of which no history is kept."""


class Difference(msgspec.Struct, frozen=True):
    """A field that differs: what the ledger says, and what the archive says; None where one of them says nothing."""

    field: str
    ledger: Any
    archive: Any


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        verified: both explanations are the same, byte for byte.
        told: that of the ledger; what its feed has forgotten is filled in from the archive.
        again: that of the archive; None when a replay does not decide this send at all.
        differences: where they are not the same.
        events: how many events of theirs the archive holds.
        trace: of its rule, when a replay does not decide it.
    """

    verified: bool
    told: Explanation
    again: Explanation | None
    differences: tuple[Difference, ...]
    events: int
    trace: Trace | None = None


def verify(
    entry: LedgerEntry,
    feed: Feed,
    rules: RuleSet,
    heard: Sequence[Event],
    until: int,
    time_scale: float = 1.0,
    at_the_time: RuleSet | None = None,
) -> Verification:
    """Decide a send once more.

    Args:
        entry: of the ledger.
        feed: what the activity feed knows of events.
        rules: see `explain`.
        heard: what the archive holds, as `archive.of_person` finds it.
        until: how far it reaches, in milliseconds.
        time_scale: see `RuleBook`.
        at_the_time: the rules that were in force then, where that is known; otherwise `rules`.

    Raises:
        NotFoundError: the version of the rule that decided is not kept any more.
        InvalidRuleError: the rules do not fit together any more.
    """
    decision = entry.decision
    known = feeds.of_events(heard)
    told = explain(decision, entry, {**known, **feed}, rules, time_scale)
    then = rules_then(decision, at_the_time or rules)
    history = archive.history_of(decision.person, heard)
    decided = replay(Engine(then.book(time_scale)), decision.person, history, until).decisions
    once_more = next((one for one in decided if one.send_id == decision.send_id), None)
    if once_more is None:
        traced = trace(then, decision.rule_id, decision.person, history, until, decision.decided_at, time_scale)
        return Verification(verified=False, told=told, again=None, differences=(), events=len(known), trace=traced)
    again = explain(once_more, entry, known, rules, time_scale)
    same = encode(told) == encode(again)
    differences = () if same else tuple(_differences("", msgspec.to_builtins(told), msgspec.to_builtins(again)))
    return Verification(verified=same, told=told, again=again, differences=differences, events=len(known))


def rules_then(decision: Decision, rules: RuleSet) -> RuleSet:
    """The rules with the one that decided as it was: in its version, and of the status that the decision has noted.

    Raises:
        NotFoundError: that version is not kept any more.
    """
    rule = rules_told.version_of(rules, decision.rule_id, decision.rule_version)
    if rule is None:
        known = f"; kept is {rules.rules[decision.rule_id].version}" if decision.rule_id in rules.rules else ""
        raise NotFoundError(
            f"{decision.rule_id}: its version {decision.rule_version} is not kept any more, "
            f"so nobody can decide by it again{known}"
        )
    then = rule.model_copy(update={"status": _status_then(decision, rule)})
    return RuleSet({**rules.rules, rule.id: then}, rules.segments)


def _status_then(decision: Decision, rule: Rule) -> str:
    """The status is no part of a version: what it was is told by the gate that looked at it."""
    noted = next((gate.detail for gate in decision.gates if gate.name == "status"), "")
    return noted or ("live" if rule.status == "draft" else rule.status)


def end_of(newest: datetime | None, until: datetime | None, decision: Decision | None) -> int:
    """How far the archive reaches, in milliseconds: as asked for, or as far as anything is known.

    That something was decided says that the pipeline had come as far as that.
    """
    if until is not None:
        return millis(until)
    known = [one for one in (newest, decision.decided_at if decision else None) if one is not None]
    return max(map(millis, known), default=0)


def _differences(path: str, one: Any, other: Any) -> Iterator[Difference]:
    """The innermost fields that are not the same."""
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one | other:
            yield from _differences(f"{path}.{name}".lstrip("."), one.get(name), other.get(name))
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and _named(one) != _named(other):
        mine, theirs = _named(one), _named(other)
        for name in mine | theirs:
            yield from _differences(f"{path}[{name}]", mine.get(name), theirs.get(name))
    else:
        yield Difference(path, one, other)


def _named(many: Sequence[Any]) -> dict[str, Any]:
    """Events by their messageIds, and gates by their names: one that is missing shows as that one."""
    return {one.get("message_id") or one["name"]: one for one in many}
