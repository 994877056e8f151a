"""A backlog: events are ahead of the watermark, and what is decided is the same."""

from tests.deciding.surroundings import CART, HELLO, NIGHT, THREE_STEPS, added, told
from tests.people import an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.events import millis


def in_a_backlog(events, *rules, until="+30d 00:00"):
    """As `told`, but every event is here before the watermark moves at all."""
    engine, state = an_engine(*rules), PersonState("u:ann")
    decisions = [one for event in events for one in engine.feed(state, [event], millis(event.received_at)).decisions]
    while state.wake_at <= ms(until):
        decisions += engine.wake(state, state.wake_at).decisions
    return [(f"{one.decided_at:%d %H:%M}", one.template, one.reason or one.outcome) for one in decisions]


def ordered(when, **more):
    return an_event("Ordered", when, properties={"cart": "c1"}, **more)


def test_an_order_between_the_deadline_and_the_watermark_stops_the_steps_that_come_after_it():
    events = [added("10:00"), ordered("10:16")]
    assert in_a_backlog(events, THREE_STEPS) == told(events, THREE_STEPS) == [("03 10:15", "reminder", "send")]


def test_what_skips_a_send_does_so_although_it_came_before_the_run_had_begun():
    events = [added("10:00"), an_event("Page Read", "12:00", properties={"cart": "c1"})]
    assert [what for _, what, _ in in_a_backlog(events, THREE_STEPS)] == ["reminder", "incentive"]


def test_what_waits_is_not_released_by_the_receipt_of_something_else():
    engine, state = an_engine(THREE_STEPS), PersonState("u:ann")
    engine.feed(state, [added("10:00")], ms("10:00"))
    engine.wake(state, state.wake_at)
    assert engine.feed(state, [an_event("Signed Up", "+1d 10:16")], ms("+1d 10:16")).decisions == ()
    engine.feed(state, [ordered("+1d 10:10")], ms("+1d 10:10"))
    assert engine.wake(state, ms("+1d 10:16")).decisions == ()


def test_an_exit_in_the_night_stops_what_was_held_although_it_arrived_before_it_was_held():
    rule = {**NIGHT, "exit_on": ["Bye"], "steps": [{"wait": "1h"}, {"send": "welcome"}]}
    rule.pop("send")
    events = [an_event("Hello", "20:30"), an_event("Bye", "22:00")]
    assert [what for *_, what in in_a_backlog(events, rule)] == ["exited"]
    assert [what for *_, what in told(events, rule)] == ["exited"]


def test_the_steps_of_a_cart_that_was_filled_offline_days_ago_keep_their_distance():
    assert told([added("10:00", received="+4d 10:00")], THREE_STEPS) == [
        ("07 10:01", "reminder", "send"),
        ("08 10:01", "second", "send"),
        ("10 10:01", "incentive", "send"),
    ]


def test_who_comes_back_while_the_mail_waits_for_the_morning_is_not_told_that_they_are_missed():
    rule = {**NIGHT, "id": "gone", "trigger": {"inactive": {"for": "12h"}}}
    away = [an_event("Home", "10:00", type="page")]
    assert told(away, rule) == [("04 07:00", "welcome", "send")]
    assert told([*away, an_event("Home", "+1d 06:00", type="page")], rule, until="+1d 12:00") == [
        ("04 06:00", "welcome", "exited")
    ]


def test_of_rules_of_two_kinds_that_are_due_at_the_same_instant_the_more_important_goes_first():
    minor = {**HELLO, "id": "a-visit", "priority": 40, "trigger": {"session_ended": {"gap": "15m"}}}
    major = {**CART, "priority": 60, "entry_key": None}
    del major["entry_key"]
    rules = [{**one, "frequency_cap": "default"} for one in (minor, major)]
    decisions = replay(an_engine(*rules), "u:ann", [added("10:00")], ms("12:00")).decisions
    assert [(one.rule_id, one.outcome) for one in decisions] == [("cart", "send"), ("a-visit", "suppressed")]


def test_the_night_of_somebody_who_did_one_thing_of_two_carts_ends_for_the_one_without_a_name():
    """Silence about anything at all is broken by anything at all."""
    rule = {**HELLO, "id": "gone", "trigger": {"inactive": {"for": "30m"}}, "entry_key": "properties.cart"}
    rule |= {"steps": [{"wait": "1h"}, {"send": "welcome"}]}
    del rule["send"]
    events = [an_event("View", "10:00"), an_event("View", "11:00", properties={"cart": "c1"})]
    assert (
        [when for when, *_ in told(events, rule)] == [when for when, *_ in in_a_backlog(events, rule)] == ["03 12:30"]
    )
