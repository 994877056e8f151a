"""What an explanation says, gate by gate."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import yaml
from msgspec.structs import replace

from tests.people import a_rule
from tests.sends import NOW, a_decision
from tidings.documents import parse_file
from tidings.explaining.advice import ADVICE, ENGINE_GATES, stop_of_mailer
from tidings.explaining.explain import explain
from tidings.explaining.explanation import MAILER_GATES
from tidings.explaining.rules_told import trigger_yaml
from tidings.records.store import LedgerEntry
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import load
from tidings.wire.decisions import REASONS, Gate

SHIPPED = sorted((Path(__file__).parent.parent.parent / "rules").glob("*.yaml"))
CART = {
    "trigger": {"not_performed": {"after": "Add", "none_of": ["Order"], "within": "15m", "reset_on": ["Add"]}},
    "steps": [{"send": "one"}, {"wait": "24h"}, {"send": "two"}],
}
NO_RULES = RuleSet({}, {})


def rules_of(**fields):
    rule = load(a_rule(**fields))
    return RuleSet({rule.id: rule}, {}), rule


def an_entry(decision=None, **fields):
    decision = decision or a_decision()
    filled = {"status": "sent", "updated_at": NOW, "lease_until": NOW, **fields}
    return LedgerEntry(send_id=decision.send_id, decision=decision, **filled)


def told_of(decision, rules=NO_RULES, feed=None, **fields):
    return explain(decision, an_entry(decision, **fields), feed or {}, rules)


def states(gates):
    return {gate.name: gate.state for gate in gates}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_trigger_is_shown_as_its_author_would_write_it(path):
    rule = load(parse_file(path), path.stem)
    shown = yaml.safe_load(trigger_yaml(rule))
    assert load({**parse_file(path), "trigger": shown}, path.stem).version == rule.version
    assert "000" not in trigger_yaml(rule)  # milliseconds


def test_every_gate_is_there_in_order_and_what_follows_the_one_that_stopped_it_was_not_reached():
    gates = (Gate(name="exit"), Gate(name="status", detail="live"), Gate(name="quiet_hours", passed=False))
    told = told_of(a_decision(gates=gates, outcome="suppressed", reason="quiet_hours_missed"), status="suppressed")
    assert [gate.name for gate in told.gates] == [*ENGINE_GATES]
    assert [gate.state for gate in told.gates] == [
        "passed",
        "not asked",
        "passed",
        "not asked",
        "not asked",
        "stopped",
        "not reached",
    ]
    assert {gate.state for gate in told.mailer_gates} == {"not reached"}
    assert told.stopped_by.gate == "quiet_hours"
    assert "on_miss: drop" in told.stopped_by.sentence


def test_a_mail_that_went_out_has_passed_everything_and_nothing_stopped_it():
    told = told_of(a_decision(gates=(Gate(name="exit"), Gate(name="status", detail="live"))))
    assert set(states(told.mailer_gates).values()) == {"passed"}
    assert told.stopped_by is None


def test_transactional_mail_asks_for_no_consent_and_mail_to_a_role_for_nothing_that_is_the_persons():
    assert states(told_of(a_decision(kind="transactional")).mailer_gates)["consent"] == "not asked"
    to_role = states(told_of(a_decision(kind="transactional", to="support")).mailer_gates)
    assert (to_role["suppression"], to_role["consent"], to_role["address"]) == ("not asked", "not asked", "passed")


@pytest.mark.parametrize(
    ("ending", "gate", "reason"),
    [
        ({"status": "suppressed", "reason": "missing_address"}, "address", "missing_address"),
        ({"status": "suppressed", "reason": "suppressed_address"}, "suppression", "suppressed_address"),
        (
            {"status": "suppressed", "reason": "suppressed_address", "detail": "550 no such mailbox"},
            "hand_over",
            "suppressed_address",
        ),
        ({"status": "suppressed", "reason": "no_consent"}, "consent", "no_consent"),
        ({"status": "suppressed", "reason": "opted_out"}, "consent", "opted_out"),
        ({"status": "suppressed", "reason": "waited_too_long"}, "turn", "waited_too_long"),
        ({"status": "dead_lettered", "reason": "render_failed", "detail": "line 3"}, "render", "render_failed"),
        ({"status": "dead_lettered", "detail": "unknown_role: no address for sales"}, "address", "unknown_role"),
        ({"status": "dead_lettered", "detail": "554 policy"}, "hand_over", "refused"),
        ({"status": "dead_lettered", "detail": "outcome unknown: the mail was"}, "hand_over", "outcome_unknown"),
        ({"status": "dead_lettered", "detail": "gave up after 15 deliveries: away"}, "hand_over", "gave_up"),
    ],
)
def test_what_stopped_it_at_the_mailer(ending, gate, reason):
    told = told_of(a_decision(), **ending)
    assert (told.stopped_by.gate, told.stopped_by.reason) == (gate, reason)
    asked = [one.state for one in told.mailer_gates]
    assert asked.index("stopped") == MAILER_GATES.index(gate)
    assert "passed" not in asked[MAILER_GATES.index(gate) :]
    assert ("passed" in asked) == (gate != "address" and reason != "gave_up")


def test_what_has_not_ended_is_stopped_by_nothing():
    assert set(states(told_of(a_decision(), status="claimed").mailer_gates).values()) == {"not yet"}
    handed = told_of(a_decision(), status="handing_over")
    assert [gate.state for gate in handed.mailer_gates] == ["passed"] * 5 + ["not yet"]
    assert handed.stopped_by is None
    waiting = told_of(a_decision(), status="waiting")
    assert [gate.state for gate in waiting.mailer_gates] == ["passed"] * 3 + ["not yet"] * 3
    assert waiting.stopped_by is None


def test_every_reason_has_a_sentence_and_an_advice():
    assert set(REASONS) <= set(ADVICE)
    page = (Path(__file__).parent.parent.parent / "docs" / "why-no-mail.md").read_text()
    assert [reason for reason in ADVICE if reason != "shadow" and f"`{reason}`" not in page] == []


def test_shadow_is_what_stops_a_rule_that_only_rehearses():
    told = told_of(a_decision(outcome="shadow", gates=(Gate(name="exit"),)), status="shadow")
    assert (told.stopped_by.gate, told.stopped_by.reason) == ("status", "shadow")
    assert stop_of_mailer(an_entry(status="shadow")) is None


def cart_decision(rule, **fields):
    return a_decision(
        rule_id=rule.id,
        rule_version=rule.version,
        evidence=("m1", "m2"),
        decided_at=NOW + timedelta(milliseconds=1),
        **fields,
    )


FEED = {"m1": ("Add", NOW - timedelta(minutes=20)), "m2": ("Add", NOW - timedelta(minutes=15))}


def test_it_says_why_it_fell_due_just_then():
    rules, rule = rules_of(**CART)
    told = told_of(cart_decision(rule), rules, FEED)
    assert told.due.why == "15m after the last of them, Add, and nothing had ended it"
    assert told.decided.why == "as soon as everything received until then had been seen"
    assert [one.name for one in told.evidence] == ["Add", "Add"]


def test_what_the_feed_has_forgotten_is_left_empty_and_nothing_is_made_up():
    rules, rule = rules_of(**CART)
    told = told_of(cart_decision(rule), rules)
    assert [(one.message_id, one.name, one.at) for one in told.evidence] == [("m1", "", None), ("m2", "", None)]
    assert told.due.why == "15m after the event that started the clock last, and nothing had ended it"


def test_waits_and_nights_are_what_lies_between_due_and_scheduled():
    rules, rule = rules_of(**CART)
    later = cart_decision(rule, step=1, scheduled_at=NOW + timedelta(hours=24))
    assert told_of(later, rules, FEED).scheduled.why == "1d of waits in its steps"
    night = Gate(name="quiet_hours", detail="21:00 to 08:00, UTC, held until now")
    held = cart_decision(rule, scheduled_at=NOW + timedelta(hours=9), gates=(night,))
    assert told_of(held, rules, FEED).scheduled.why == "held until the night was over"


def test_a_version_that_is_not_kept_is_said_to_be_unknown():
    rules, rule = rules_of(**CART)
    old = replace(cart_decision(rule), rule_version="00000000")
    told = told_of(old, rules, FEED)
    assert (told.rule.state, told.rule.current_version, told.rule.trigger) == ("unknown", rule.version, "")
    assert "not kept any more" in told.due.why


def test_an_earlier_version_that_is_kept_is_told_as_superseded():
    _, rule = rules_of(**CART)
    current = load(a_rule(**CART, entry_key="properties.x"))
    told = told_of(cart_decision(rule), RuleSet({rule.id: current}, {}, [rule]), FEED)
    assert (told.rule.state, told.rule.version, told.rule.current_version) == (
        "superseded",
        rule.version,
        current.version,
    )
    assert msgspec.json.decode(msgspec.json.encode(told))["rule"]["trigger"].startswith("not_performed:")
