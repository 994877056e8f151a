"""What becomes of a mail is heard of, and never makes the rule that sent it send another one."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.people import an_engine, an_event, ms
from tests.sends import NOW
from tidings.deciding.engine import Engine
from tidings.deciding.state import PersonState
from tidings.feedback import email_events
from tidings.records.store import LedgerEntry
from tidings.rules.own_mail import REPORTS
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis


def fired(engine: Engine, *events: Event) -> list[str]:
    """The rules that decide something on hearing of these events of one person, in order."""
    state = PersonState("u:ann")
    told: list[Decision] = []
    for event in events:
        told += engine.feed(state, [event], millis(event.received_at)).decisions
    return [decision.rule_id for decision in told]


def rule(rule_id: str = "a-rule", event: Any = "Signed Up", **fields: Any) -> dict[str, Any]:
    """A rule that sends at once, and as often as it is asked to."""
    trigger = {"performed": {"event": event} if isinstance(event, str) else event}
    return {"id": rule_id, "trigger": trigger, "kind": "transactional", **fields}


def report(name: str, campaign: str = "another-rule", when: str = "10:00") -> Event:
    """A report about a mail of a rule."""
    return an_event(name, when, properties={"campaign_id": campaign})


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_any_track_call_means_no_report(name: str) -> None:
    engine = an_engine(rule(event={"type": "track"}))
    assert fired(engine, an_event("Anything", "10:00")) == ["a-rule"]
    assert fired(engine, report(name)) == []


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_a_report_that_is_named_is_meant_unless_it_is_about_the_rules_own_mail(name: str) -> None:
    engine = an_engine(rule(event=name))
    assert fired(engine, report(name, "another-rule")) == ["a-rule"]
    assert fired(engine, report(name, "a-rule")) == []


def test_a_condition_on_the_report_holds_as_well() -> None:
    where = {"path": "properties.campaign_id", "equals": "welcome"}
    engine = an_engine(rule(event={"event": "Email Sent", "where": where}))
    assert fired(engine, report("Email Sent", "welcome")) == ["a-rule"]
    assert fired(engine, report("Email Sent", "another")) == []


def test_a_shadow_hears_what_the_rule_hears_that_it_is_compared_with() -> None:
    real, shadow = rule("real", "Email Sent"), rule("shadow", "Email Sent", shadow_of="real", status="shadow")
    assert fired(an_engine(real, shadow), report("Email Sent", "real")) == []


def test_a_click_on_a_link_of_its_own_mail_begins_what_it_may() -> None:
    """That is a person, who can stop."""
    engine = an_engine(rule(event="Email Link Clicked"))
    assert fired(engine, report("Email Link Clicked", "a-rule")) == ["a-rule"]


@pytest.mark.parametrize(("reports", "decided"), [(["Email Sent"], 0), ([], 1)])
def test_any_report_can_end_things(reports: list[str], decided: int) -> None:
    """Who was written to already need not be reminded, whoever wrote to them."""
    trigger = {"not_performed": {"after": "Signed Up", "none_of": ["Logged In"], "within": "1h"}}
    engine = an_engine({"id": "a-rule", "trigger": trigger, "kind": "transactional", "exit_on": ["Email Sent"]})
    state = PersonState("u:ann")
    for event in [an_event("Signed Up", "10:00"), *(report(name, "a-rule", "10:30") for name in reports)]:
        engine.feed(state, [event], millis(event.received_at))
    assert len(engine.wake(state, ms("11:01")).decisions) == decided


def test_a_rule_about_anything_does_not_answer_itself_for_ever() -> None:
    """The whole circle: what is decided is sent, what is sent is told, and what is told is fed to the engine again."""
    engine = an_engine(rule(event={"type": "track"}), rule("second", "Email Sent"))
    state, waiting, decided = PersonState("u:ann"), [an_event("Anything", NOW)], []
    for _ in range(20):
        if not waiting:
            break
        event = waiting.pop()
        for decision in engine.feed(state, [event], millis(event.received_at)).decisions:
            decided.append(decision.rule_id)
            entry = LedgerEntry(
                send_id=decision.send_id, status="sent", decision=decision, updated_at=NOW, lease_until=NOW
            )
            for status in ("sent", "suppressed"):
                told = email_events.of_ending(replace(entry, status=status))
                assert told is not None
                waiting.append(told)
    assert decided == ["a-rule", "second"]
