"""Puts an explanation together: from a decision, how it ended at the mailer, what is known of events, and the rules."""

import hashlib

from tidings.explaining import feed as feeds
from tidings.explaining import rules_told, timers
from tidings.explaining.advice import ENGINE_GATES, stop_of_engine, stop_of_mailer
from tidings.explaining.explanation import MAILER_GATES, Explanation, GateState, GateTold, Mailing, Stop
from tidings.explaining.feed import Feed
from tidings.records.store import LedgerEntry
from tidings.rollout.rule_set import RuleSet
from tidings.wire.decisions import PERSON, Decision
from tidings.wire.events import millis


def explain(decision: Decision, entry: LedgerEntry, feed: Feed, rules: RuleSet, time_scale: float = 1.0) -> Explanation:
    """Why this mail went out, or why not.

    Args:
        decision: that of the ledger, or what a replay has decided instead.
        entry: how it ended at the mailer; only the ledger knows.
        feed: what is known of the events that counted.
        rules: those in force, and the earlier versions that are kept.
        time_scale: see `RuleBook`.
    """
    rule = rules_told.version_of(rules, decision.rule_id, decision.rule_version)
    evidence = feeds.counted(decision.evidence, feed)
    stop = stop_of_engine(decision)
    at_mailer = None if stop else stop_of_mailer(entry)
    return Explanation(
        send_id=decision.send_id,
        person=decision.person,
        rule=rules_told.told(rules, decision),
        entry_key=decision.entry_key,
        step=decision.step + 1,
        steps=len(rule.sends) if rule else 0,
        template=decision.template,
        to=decision.to,
        kind=decision.kind,
        category=decision.category,
        outcome=decision.outcome,
        evidence=evidence,
        shown=_digest(decision),
        due=timers.due(decision, rule, evidence, time_scale),
        scheduled=timers.scheduled(decision, rule, time_scale),
        decided=timers.decided(decision),
        gates=engine_gates(decision),
        mailer_gates=mailer_gates(decision, entry, at_mailer),
        mailing=_mailing(entry),
        stopped_by=stop or at_mailer,
    )


def _digest(decision: Decision) -> str:
    """16 hexadecimal characters over names, times and properties, each behind its length."""
    digest = hashlib.blake2b(digest_size=8)
    for one in (decision.event, *decision.events):
        for part in (one.name.encode(), str(millis(one.timestamp)).encode(), bytes(one.properties)):
            digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()


def engine_gates(decision: Decision) -> tuple[GateTold, ...]:
    """Every gate of the engine in order."""
    asked = {gate.name: gate for gate in decision.gates}
    told: list[GateTold] = []
    state: GateState = "not asked" if asked else "not recorded"
    for name in ENGINE_GATES:
        gate = asked.get(name)
        if gate is None:
            told.append(GateTold(name=name, state=state))
        else:
            told.append(GateTold(name=name, state="passed" if gate.passed else "stopped", detail=gate.detail))
            if not gate.passed:
                state = "not reached"
    return tuple(told)


def mailer_gates(decision: Decision, entry: LedgerEntry, stop: Stop | None) -> tuple[GateTold, ...]:
    """Every gate of the mailer in order, as far as the ledger entry tells."""
    before: GateState = "passed"
    if decision.outcome != "send":
        before = "not reached"
    elif entry.status == "claimed":
        before = "not yet"
    elif stop is not None and stop.reason == "gave_up":
        before = "not recorded"
    told: list[GateTold] = []
    stopped = False
    for name in MAILER_GATES:
        if stop is not None and name == stop.gate:
            told.append(GateTold(name=name, state="stopped", detail=entry.detail))
            stopped = True
        elif not_asked := _not_asked(decision, name):
            told.append(GateTold(name=name, state="not asked", detail=not_asked))
        elif stopped:
            told.append(GateTold(name=name, state="not reached"))
        elif name == "turn" and entry.status == "waiting" and before == "passed":
            told.append(GateTold(name=name, state="not yet", detail="put aside until its turn comes"))
            before = "not yet"
        elif name == "hand_over" and entry.status == "handing_over" and before == "passed":
            told.append(GateTold(name=name, state="not yet", detail="handed over, and no answer recorded"))
        else:
            told.append(GateTold(name=name, state=before))
    return tuple(told)


def _not_asked(decision: Decision, gate: str) -> str:
    if gate in ("suppression", "consent") and decision.to != PERSON:
        return "it goes to a role of our own"
    return "transactional mail needs none" if gate == "consent" and decision.kind == "transactional" else ""


def _mailing(entry: LedgerEntry) -> Mailing:
    return Mailing(
        status=entry.status,
        at=entry.updated_at,
        attempts=entry.attempts,
        repeats=entry.repeats,
        reason=entry.reason or "",
        detail=entry.detail,
        reopened_at=entry.reopened_at,
        reopened_from=entry.reopened_from,
    )
