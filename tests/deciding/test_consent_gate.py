"""A no that the engine has heard stops marketing mail when it is decided, and not only when it is to leave."""

import pytest

from tests.deciding.anonymous import identified
from tests.people import a_rule, an_engine, an_event, at, ms
from tidings.deciding import state as states
from tidings.deciding.gates import NO_OBJECTION
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.deciding.state import MEMORY, MOST_CATEGORIES, PersonState

HELLO = a_rule(trigger={"performed": {"event": "Hello"}}, category="news", frequency_cap="off")
TRANSACTIONAL = {**HELLO, "kind": "transactional"}


def hello(when, **who):
    return an_event("Hello", when, **who)


def no(when, category=None, received=None, event="Consent Withdrawn", **who):
    return an_event(event, when, received, properties={"category": category}, **who)


def yes(when, category=None, received=None, event="Consent Given", **who):
    return an_event(event, when, received, properties={"category": category}, **who)


def decided(*events, rules=(HELLO,), until="+30d 00:00"):
    """Everything of everybody, in the order in which it was decided."""
    engine = an_engine(*rules)
    found = [one for who, its in resolve(events).items() for one in replay(engine, who, its, ms(until)).decisions]
    return sorted(found, key=lambda one: (one.decided_at, one.rule_id, one.step))


def endings(*events, **more):
    return [one.reason or one.outcome for one in decided(*events, **more)]


def consent_gate(decision):
    return next((gate for gate in decision.gates if gate.name == "consent"), None)


@pytest.mark.parametrize("event", ["Consent Withdrawn", "Unsubscribed"])
@pytest.mark.parametrize("category", ["news", "marketing"])
def test_a_no_to_the_category_or_to_everything_stops_the_mail_and_says_since_when(event, category):
    [decision] = decided(no("09:00", category, event=event), hello("10:00"))
    assert (decision.outcome, decision.reason) == ("suppressed", "opted_out")
    gate = decision.gates[-1]
    assert (gate.name, gate.passed, gate.detail) == ("consent", False, f"{category}, since {at('09:00').isoformat()}")


def test_after_a_no_to_everything_a_yes_to_one_category_is_for_that_one():
    words = no("08:00"), yes("09:00", "news")
    offers = {**HELLO, "id": "offers", "category": "offers"}
    found = {one.rule_id: one.reason or one.outcome for one in decided(*words, hello("10:00"), rules=[HELLO, offers])}
    assert found == {"a-rule": "send", "offers": "opted_out"}


def test_of_a_no_to_both_the_later_one_to_everything_is_told():
    [decision] = decided(no("09:00", "news"), no("09:30"), hello("10:00"))
    assert decision.gates[-1].detail == f"marketing, since {at('09:30').isoformat()}"


def test_a_no_to_another_category_says_nothing():
    assert endings(no("09:00", "offers"), hello("10:00")) == ["send"]


def test_while_nothing_was_heard_the_mail_goes_on_to_the_mailer_which_asks_again():
    """The consent may have been imported: only the store knows, and `no_consent` is for the mailer to say."""
    [decision] = decided(hello("10:00"))
    assert decision.outcome == "send"
    assert (consent_gate(decision).passed, consent_gate(decision).detail) == (True, NO_OBJECTION)


def test_a_general_yes_does_not_undo_the_no_to_one_category_and_a_yes_to_that_one_does():
    assert endings(no("08:00", "news"), yes("09:00"), hello("10:00")) == ["opted_out"]
    assert endings(no("08:00", "news"), yes("09:00", "news"), hello("10:00")) == ["send"]
    assert endings(no("08:00", "news"), yes("09:00", "news", event="Consent Confirmed"), hello("10:00")) == ["send"]


def test_at_the_same_instant_no_wins_whichever_is_heard_first():
    words = [yes("09:00", "news"), no("09:00", "news")]
    assert endings(*words, hello("10:00")) == endings(*words[::-1], hello("10:00")) == ["opted_out"]


def test_a_message_id_that_a_sender_uses_twice_does_not_hide_a_no():
    """An event that was seen before is a duplicate to everything else."""
    assert endings(yes("09:00", "news", message_id="m"), no("09:30", "news", message_id="m"), hello("10:00")) == [
        "opted_out"
    ]


def test_a_no_that_arrives_late_does_not_undo_a_yes_that_was_said_after_it():
    assert endings(yes("09:00", "news"), no("08:00", "news", received="09:30"), hello("10:00")) == ["send"]
    assert endings(no("09:00", "news"), yes("08:00", "news", received="09:30"), hello("10:00")) == ["opted_out"]


def test_transactional_mail_and_mail_to_a_role_do_not_ask():
    to_us = {**TRANSACTIONAL, "id": "to-us", "send": {"template": "welcome", "to": "support"}}
    for decision in decided(no("09:00"), hello("10:00"), rules=[TRANSACTIONAL, to_us]):
        assert decision.outcome == "send"
        assert consent_gate(decision) is None


def test_what_is_said_of_another_channel_means_nothing_to_mail():
    sms = an_event("Consent Withdrawn", "09:00", properties={"category": "news", "channel": "sms"})
    assert endings(sms, hello("10:00")) == ["send"]


def test_a_shadow_would_not_have_written_either():
    assert endings(no("09:00"), hello("10:00"), rules=[{**HELLO, "status": "shadow"}]) == ["opted_out"]


def test_it_is_asked_after_the_status_and_before_everything_that_counts_mail():
    nightly = {"start": "09:30", "end": "11:00", "tz": "UTC"}
    rule = {**HELLO, "holdout": 90, "quiet_hours": nightly, "frequency_cap": "default"}
    [decision] = decided(no("09:00"), hello("10:00"), rules=[rule])
    assert [gate.name for gate in decision.gates] == ["exit", "status", "consent"]
    assert decision.decided_at == at("10:00")  # and not in the morning


def test_a_mail_that_was_stopped_for_consent_does_not_use_up_the_cap():
    """They said no to news; what they may still get is not held back for it."""
    offers = {**HELLO, "id": "offers", "category": "offers", "frequency_cap": "default", "priority": 1}
    news = {**HELLO, "frequency_cap": "default", "priority": 99}
    both = decided(no("09:00", "news"), hello("10:00"), rules=[news, offers])
    assert {one.rule_id: one.reason or one.outcome for one in both} == {"a-rule": "opted_out", "offers": "send"}


STEPS = {
    **{name: value for name, value in HELLO.items() if name != "send"},
    "steps": [{"send": "one"}, {"wait": "1h"}, {"send": "two"}, {"wait": "1h"}, {"send": "three"}],
}


def test_every_step_asks_again():
    """Withdrawn while the clock of the second step runs; agreed to again before the third."""
    events = [hello("10:00"), no("10:30", "news"), yes("11:30", "news")]
    assert endings(*events, rules=[STEPS]) == ["send", "opted_out", "send"]


def test_a_no_in_the_night_stops_what_is_held_until_the_morning():
    rule = {**HELLO, "quiet_hours": {"start": "22:00", "end": "08:00", "tz": "UTC"}}
    [decision] = decided(hello("23:00"), no("+1d 02:00", "news"), rules=[rule])
    assert (decision.reason, decision.decided_at) == ("opted_out", at("+1d 08:00:00.001"))
    [decision] = decided(hello("23:00"), no("+1d 08:01", "news"), rules=[rule])
    assert decision.outcome == "send"


def test_an_anonymous_no_is_that_of_the_person_who_joins():
    x = {"anonymous_id": "x"}
    assert endings(no("09:00", "news", **x), identified("09:30"), hello("10:00")) == ["opted_out"]
    assert endings(no("08:00", "news", **x), yes("09:00", "news"), identified("09:30"), hello("10:00")) == ["send"]
    assert endings(yes("08:00", "news", **x), no("09:00", "news"), identified("09:30"), hello("10:00")) == ["opted_out"]
    assert endings(identified("09:00"), no("09:30", "news", **x), hello("10:00")) == ["opted_out"]


def test_a_message_id_that_is_used_twice_cannot_hide_a_withdrawal():
    assert endings(hello("09:00", message_id="m"), no("09:30", message_id="m"), hello("10:00"))[-1] == "opted_out"


def test_consent_that_cannot_be_read_is_a_fault_and_disturbs_nobody():
    """The front door refuses it; whatever else might feed the engine does not break it."""
    engine, known = an_engine(HELLO), PersonState("u:ann")
    odd = an_event("Consent Withdrawn", "09:00", properties={"category": 5})
    outcome = engine.feed(known, [odd, hello("10:00")], ms("10:00"))
    assert [one.outcome for one in outcome.decisions] == ["send"]
    [fault] = outcome.faults
    assert (fault.rule_id, fault.event) == ("*", odd)
    assert "bad_consent" in fault.detail


def test_what_was_said_is_forgotten_after_as_long_as_traits_and_the_mailer_still_knows():
    engine, known = an_engine(HELLO), PersonState("u:ann")
    engine.feed(known, [no("09:00", "news")], ms("09:00"))
    while known.wake_at < ms("09:00") + MEMORY:
        engine.wake(known, known.wake_at)
    assert known.consent
    engine.wake(known, known.wake_at)
    assert known.is_empty


def test_of_too_many_categories_those_not_heard_of_for_the_longest_time_are_forgotten_and_never_the_general_one():
    known = PersonState("u:ann")
    known.learn_consent("marketing", (0, True))
    for number in range(100):
        known.learn_consent(f"category-{number}", (1 + number, True))
    assert len(known.consent) == MOST_CATEGORIES
    assert known.consent["marketing"] == (0, True)
    assert "category-99" in known.consent
    assert "category-1" not in known.consent


def test_a_state_of_the_version_before_is_read_and_has_heard_nothing():
    """It ended with what was heard for runs."""
    known = PersonState("u:ann", traits={"plan": (1, "pro")}, consent={"news": (1, True)})
    fields = states.msgspec.msgpack.decode(states.encode(known)[1:])
    assert fields[-1] == {"news": [1, True]}
    before = bytes([states.VERSION]) + states.msgspec.msgpack.encode(fields[:-1])
    assert states.decode(before) == PersonState("u:ann", traits={"plan": (1, "pro")})
    assert states.decode(states.encode(known)) == known
