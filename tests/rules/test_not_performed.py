"""`not_performed`: when exactly it fires."""

import msgspec
import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.events import millis

CART = a_rule(
    trigger={
        "not_performed": {
            "after": "Product Added",
            "none_of": ["Order Completed"],
            "within": "15m",
            "reset_on": ["Product Added"],
        }
    },
    entry_key="properties.cart_id",
)


def added(when, received=None, cart="c1", **more):
    return an_event("Product Added", when, received, properties={"cart_id": cart, **more})


def ordered(when, received=None, cart="c1"):
    return an_event("Order Completed", when, received, properties={"cart_id": cart} if cart else {})


def fired(events, rule=CART, until="23:59"):
    outcome = replay(an_engine(rule), "u:ann", events, ms(until))
    return [f"{one.due_at:%H:%M:%S}" for one in outcome.decisions]


def test_a_cart_left_alone_for_fifteen_minutes_fires():
    assert fired([added("10:00")]) == ["10:15:00"]


def test_nothing_fires_before_the_watermark_has_passed_the_deadline():
    assert fired([added("10:00")], until="10:15") == []
    assert fired([added("10:00")], until="10:15:00.001") == ["10:15:00"]


def test_an_order_in_time_stops_it():
    assert fired([added("10:00"), ordered("10:10")]) == []


def test_an_order_on_the_very_deadline_stops_it():
    assert fired([added("10:00"), ordered("10:15")]) == []


def test_an_order_after_the_deadline_does_not():
    assert fired([added("10:00"), ordered("10:15:00.001")]) == ["10:15:00"]


def test_an_order_that_arrives_late_but_before_the_deadline_stops_it():
    assert fired([added("10:00"), ordered("10:01", received="10:14")]) == []


def test_an_app_that_was_offline_and_sends_cart_and_order_at_once_gets_no_mail():
    assert fired([added("10:00", received="10:50"), ordered("10:05", received="10:50:01")]) == []
    assert fired([added("10:00", received="10:50"), ordered("10:05", received="10:51:01")]) == ["10:15:00"]


def test_the_wait_for_its_company_is_not_cut_short_by_what_the_person_does_meanwhile():
    once_more = added("12:00:30")
    late_order = ordered("10:05", received="12:00:50")
    assert fired([added("10:00", received="12:00"), once_more]) == ["10:15:00", "12:15:30"]
    assert fired([added("10:00", received="12:00"), once_more, late_order]) == ["12:15:30"]


def test_a_deadline_that_was_known_in_time_waits_for_the_watermark_alone_whatever_overtakes_it_in_a_backlog():
    engine, state = an_engine(CART), PersonState("u:ann")
    for when in ("10:00", "10:30", "10:45"):  # the watermark stands still
        engine.feed(state, [added(when)], ms(when))
    assert state.wake_at == ms("10:15:00.001")


def test_an_order_that_arrives_before_its_cart_stops_it():
    assert fired([ordered("10:05"), added("10:00", received="10:06")]) == []


def test_another_product_starts_the_clock_again():
    assert fired([added("10:00"), added("10:10")]) == ["10:25:00"]


def test_without_reset_the_first_product_counts():
    rule = {**CART, "trigger": {"not_performed": {**CART["trigger"]["not_performed"], "reset_on": []}}}
    assert fired([added("10:00"), added("10:10")], rule) == ["10:15:00"]


def test_carts_are_kept_apart():
    assert fired([added("10:00", cart="c1"), added("10:01", cart="c2"), ordered("10:05", cart="c1")]) == ["10:16:00"]


def test_an_order_that_names_no_cart_ends_every_cart():
    assert fired([added("10:00", cart="c1"), added("10:01", cart="c2"), ordered("10:05", cart=None)]) == []


def test_an_order_that_names_no_cart_is_remembered_for_a_cart_that_arrives_late():
    assert fired([ordered("10:05", cart=None), added("10:01", received="10:06", cart="c9")]) == []


def test_an_order_that_names_a_cart_ends_a_cart_without_a_name():
    assert fired([added("10:00", cart=None), ordered("10:05", cart="c1")]) == []


def test_an_order_for_another_cart_is_nobody_elses_business():
    assert fired([ordered("10:05", cart="c1"), added("10:01", received="10:06", cart="c2")]) == ["10:16:00"]


def test_after_an_order_the_next_product_begins_a_new_episode():
    assert fired([added("10:00"), ordered("10:05"), added("10:06")]) == ["10:21:00"]


def test_a_backlog_delays_the_decision_and_never_falsifies_it():
    """The order was received in time, but is handed over after a newer event: the watermark has not moved."""
    engine, state = an_engine(CART), PersonState("u:ann")
    engine.feed(state, [added("10:00")], ms("10:00"))
    assert not engine.feed(state, [added("10:40", cart="c2")], ms("10:40")).decisions
    assert not engine.feed(state, [ordered("10:05")], ms("10:05")).decisions
    assert not engine.wake(state, ms("10:41")).decisions


def test_a_rule_that_fires_once_does_so_for_each_cart():
    rule = {**CART, "re_entry": "once"}
    events = [added("10:00"), added("11:00"), added("12:00", cart="c2")]
    assert fired(events, rule) == ["10:15:00", "12:15:00"]


def test_a_pause_keeps_new_episodes_from_beginning():
    rule = {**CART, "re_entry": {"after": "2h"}}
    assert fired([added("10:00"), added("11:00"), added("12:16")], rule) == ["10:15:00", "12:31:00"]


def test_an_exit_ends_the_episode_as_well():
    rule = {**CART, "exit_on": ["Cart Cleared"]}
    assert fired([added("10:00"), an_event("Cart Cleared", "10:03", properties={"cart_id": "c1"})], rule) == []


def test_the_template_is_given_every_product_of_the_episode():
    events = [added("10:00", name="Lamp"), added("10:05", name="Chair"), added("10:06", cart="c2", name="Rug")]
    decisions = replay(an_engine(CART), "u:ann", events, ms("11:00")).decisions
    names = [msgspec.json.decode(one.properties)["name"] for one in decisions[0].events]
    assert names == ["Lamp", "Chair"]
    assert decisions[0].event == decisions[0].events[-1]
    assert decisions[0].evidence == (events[0].message_id, events[1].message_id)


def test_a_mail_is_given_the_ten_latest_products_at_most():
    events = [added(f"10:{minute:02}", name=str(minute)) for minute in range(14)]
    [decision] = replay(an_engine(CART), "u:ann", events, ms("11:00")).decisions
    assert [msgspec.json.decode(one.properties)["name"] for one in decision.events] == [str(n) for n in range(4, 14)]


def test_an_episode_that_is_reset_for_ever_does_not_grow_for_ever():
    engine, state = an_engine(CART), PersonState("u:ann")
    for second in range(500):
        event = added(f"10:{second // 60:02}:{second % 60:02}")
        engine.feed(state, [event], millis(event.timestamp))
    assert len(state.trackers["a-rule"]["c1"].marks) <= 100
    [decision] = engine.wake(state, ms("11:00")).decisions
    assert decision.due_at.strftime("%H:%M:%S") == "10:23:19"


def test_a_late_product_of_an_episode_that_has_fired_starts_nothing():
    assert fired([added("10:00"), added("10:14", received="10:40")]) == ["10:15:00"]


def test_a_paused_rule_ends_what_runs_as_rule_paused():
    engine, state = an_engine(CART), PersonState("u:ann")
    engine.feed(state, [added("10:00")], ms("10:00"))
    paused = an_engine({**CART, "status": "paused"})
    [decision] = paused.wake(state, ms("10:16")).decisions
    assert (decision.outcome, decision.reason) == ("suppressed", "rule_paused")


def test_a_rule_that_is_deleted_takes_its_episodes_along():
    engine, state = an_engine(CART), PersonState("u:ann")
    engine.feed(state, [added("10:00")], ms("10:00"))
    assert not an_engine().wake(state, ms("10:16")).decisions
    assert state.trackers == {}


@pytest.mark.parametrize("re_entry", ["every_time", {"after": "24h"}])
def test_when_nothing_more_can_happen_nothing_is_kept(re_entry):
    engine, state = an_engine({**CART, "re_entry": re_entry}), PersonState("u:ann")
    for event in [added("10:00"), ordered("10:05", cart="c2"), ordered("10:06", cart=None), added("10:07")]:
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+5d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


def test_a_visitor_who_reads_page_after_page_after_the_end_revives_nothing():
    """Of two hundred events that end an episode, the oldest are forgotten together with what they ended."""
    rule = a_rule(trigger={"not_performed": {"after": "Form Started", "none_of": [{"page": "*"}], "within": "15m"}})
    pages = [an_event("Home", f"10:{1 + number // 60:02}:{number % 60:02}", type="page") for number in range(200)]
    assert fired([an_event("Form Started", "10:00"), *pages], rule) == []


def test_a_rule_that_was_of_another_kind_before_an_edit_fires_for_nothing_that_it_finds():
    engine, state = (
        an_engine(a_rule(trigger={"performed": {"event": "View", "times": 3, "within": "1h"}})),
        PersonState("u:ann"),
    )
    engine.feed(state, [an_event("View", "10:00")], ms("10:00"))
    edited = an_engine(a_rule(trigger={"not_performed": {"after": "View", "none_of": ["Order"], "within": "15m"}}))
    while state.wake_at <= ms("+5d 00:00"):
        assert edited.wake(state, state.wake_at).decisions == ()
    assert state.is_empty


def test_the_properties_of_no_more_events_are_kept_than_a_mail_can_show():
    engine, state = an_engine(CART), PersonState("u:ann")
    for second in range(50):
        engine.feed(state, [added(f"10:00:{second:02}")], ms(f"10:00:{second:02}"))
    assert sum(mark.kept is not None for mark in state.trackers["a-rule"]["c1"].marks) == 10
