"""What surrounds a trigger: steps, caps, quiet hours, audience, priority, holdout, versions."""

import pytest

from tests.people import a_rule, an_engine, an_event, at, ms
from tidings.engine import Engine
from tidings.events import millis
from tidings.replay import replay
from tidings.rulebook import RuleBook
from tidings.rules import load
from tidings.state import PersonState
from tidings.state import decode as read_state
from tidings.state import encode as write_state

HELLO = a_rule(id="hello", trigger={"performed": {"event": "Hello"}}, frequency_cap="off")
CART = a_rule(
    id="cart",
    trigger={"not_performed": {"after": "Added", "none_of": ["Ordered"], "within": "15m", "reset_on": ["Added"]}},
    entry_key="properties.cart",
    frequency_cap="off",
)
THREE_STEPS = {
    **CART,
    "send": None,
    "steps": [
        {"send": "reminder"},
        {"wait": "24h"},
        {"send": "second", "unless": ["Page Read"]},
        {"wait": "24h"},
        {"wait": "24h"},
        {"send": {"template": "incentive"}},
    ],
}
THREE_STEPS.pop("send")


def added(when, cart="c1", **more):
    return an_event("Added", when, properties={"cart": cart}, **more)


def told(events, *rules, until="+30d 00:00"):
    """(when decided, template, outcome or reason) of everything; the state is written down at every turn."""
    engine, state, told = an_engine(*rules), PersonState("u:ann"), []
    for event in sorted(events, key=lambda one: one.received_at):
        now = millis(event.received_at)
        while state.wake_at <= now:
            told += engine.wake(state, state.wake_at).decisions
            state = read_state(write_state(state))
        told += engine.feed(state, [event], now).decisions
        state = read_state(write_state(state))
    while state.wake_at <= ms(until):
        told += engine.wake(state, state.wake_at).decisions
        state = read_state(write_state(state))
    assert [one.send_id for one in told] == [
        one.send_id for one in replay(engine, "u:ann", events, ms(until)).decisions
    ]
    return [(f"{one.decided_at:%d %H:%M}", one.template, one.reason or one.outcome) for one in told]


# --- steps ---


def test_steps_follow_one_another_after_their_waits():
    assert told([added("10:00")], THREE_STEPS) == [
        ("03 10:15", "reminder", "send"),
        ("04 10:15", "second", "send"),
        ("06 10:15", "incentive", "send"),
    ]


def test_a_conversion_ends_the_steps_that_are_left():
    ordered = an_event("Ordered", "+1d 20:00", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), ordered], THREE_STEPS)] == ["reminder", "second"]


def test_the_conversion_of_another_cart_ends_nothing():
    ordered = an_event("Ordered", "+1d 20:00", properties={"cart": "c2"})
    assert len(told([added("10:00"), ordered], THREE_STEPS)) == 3


def test_a_conversion_without_a_cart_ends_every_run():
    events = [added("10:00"), added("10:00", cart="c2"), an_event("Ordered", "11:00")]
    assert [what for _, what, _ in told(events, THREE_STEPS)] == ["reminder", "reminder"]


def test_a_send_is_skipped_unless_its_reason_stays_away_and_the_next_one_still_comes():
    read = an_event("Page Read", "12:00", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), read], THREE_STEPS)] == ["reminder", "incentive"]


def test_what_happened_before_the_trigger_fired_skips_nothing_whenever_it_arrives():
    for received in ("10:06", "10:20"):
        read = an_event("Page Read", "10:05", received=received, properties={"cart": "c1"})
        assert len(told([added("10:00"), read], THREE_STEPS)) == 3


def test_every_step_has_an_identity_of_its_own():
    decisions = replay(an_engine(THREE_STEPS), "u:ann", [added("10:00")], ms("+9d 00:00")).decisions
    assert len({one.send_id for one in decisions}) == 3
    assert [one.step for one in decisions] == [0, 1, 2]
    assert {one.episode for one in decisions} == {decisions[0].episode}
    assert decisions[2].events == decisions[0].events


def test_an_order_that_happened_in_time_but_arrives_after_the_first_mail_stops_the_rest():
    late = an_event("Ordered", "10:10", received="10:40", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), late], THREE_STEPS)] == ["reminder"]


def test_an_old_order_from_before_the_cart_stops_nothing():
    old = an_event("Ordered", "09:50", received="10:40", properties={"cart": "c1"})
    assert len(told([added("10:00"), old], THREE_STEPS)) == 3


# --- frequency caps ---

TWO_HELLOS = [an_event("Hello", "10:00"), an_event("Hello", "12:00")]


def test_by_default_a_person_gets_one_marketing_mail_in_sixteen_hours():
    rule = {**HELLO, "frequency_cap": "default"}
    hellos = [an_event("Hello", when) for when in ("10:00", "12:00", "+1d 01:59:59.999", "+1d 02:00")]
    assert [what for *_, what in told(hellos, rule)] == ["send", "frequency_capped", "frequency_capped", "send"]


def test_transactional_mail_is_never_capped_and_never_counts():
    receipt = {**HELLO, "id": "receipt", "kind": "transactional", "frequency_cap": "default"}
    assert [what for *_, what in told(TWO_HELLOS, receipt)] == ["send", "send"]
    promotion = {**HELLO, "id": "promotion", "frequency_cap": "default", "trigger": {"performed": {"event": "Other"}}}
    assert [what for *_, what in told([*TWO_HELLOS, an_event("Other", "12:01")], receipt, promotion)] == ["send"] * 3


def test_a_cap_counts_all_marketing_mail_or_only_its_own_category():
    other = {**HELLO, "id": "other", "category": "news", "trigger": {"performed": {"event": "News"}}}
    events = [an_event("News", "09:00"), *TWO_HELLOS]
    capped = {**HELLO, "category": "cart", "frequency_cap": {"max": 2, "per": "24h"}}
    assert [what for *_, what in told(events, other, capped)] == ["send", "send", "frequency_capped"]
    own = {**capped, "frequency_cap": {"max": 2, "per": "24h", "across": "category"}}
    assert [what for *_, what in told(events, other, own)] == ["send", "send", "send"]


def test_a_shadow_uses_up_nobodys_cap():
    shadow = {**HELLO, "id": "shadow", "status": "shadow", "frequency_cap": "default"}
    real = {**HELLO, "id": "zeal", "frequency_cap": "default"}
    assert sorted(what for *_, what in told(TWO_HELLOS[:1], shadow, real)) == ["send", "shadow"]


def test_the_more_important_rule_goes_first_and_takes_the_cap():
    minor = {**HELLO, "id": "a-minor", "priority": 10, "frequency_cap": "default", "send": {"template": "minor"}}
    major = {**HELLO, "id": "b-major", "priority": 90, "frequency_cap": "default", "send": {"template": "major"}}
    assert told(TWO_HELLOS[:1], minor, major) == [
        ("03 10:00", "major", "send"),
        ("03 10:00", "minor", "frequency_capped"),
    ]


def test_mail_that_no_cap_counts_any_more_is_forgotten():
    engine, state = an_engine({**HELLO, "frequency_cap": "default"}), PersonState("u:ann")
    engine.feed(state, [an_event("Hello", "10:00")], ms("10:00"))
    assert len(state.sent) == 1
    while state.wake_at <= ms("+4d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


# --- quiet hours ---

NIGHT = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00", "tz": "Europe/Oslo"}}  # one hour ahead of UTC


def test_a_send_at_night_waits_for_the_morning():
    assert told([an_event("Hello", "21:30")], NIGHT) == [("04 07:00", "welcome", "send")]


def test_by_day_it_goes_out_at_once_and_the_edges_are_half_open():
    assert told([an_event("Hello", "19:59:59")], NIGHT) == [("03 19:59", "welcome", "send")]
    assert told([an_event("Hello", "20:00")], NIGHT) == [("04 07:00", "welcome", "send")]
    assert told([an_event("Hello", "07:00")], NIGHT) == [("03 07:00", "welcome", "send")]


def test_a_send_at_night_may_be_dropped_instead():
    rule = {**NIGHT, "quiet_hours": {**NIGHT["quiet_hours"], "on_miss": "drop"}}
    assert told([an_event("Hello", "22:00")], rule) == [("03 22:00", "welcome", "quiet_hours_missed")]


def test_the_night_is_that_of_the_person():
    rule = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    in_tokyo = an_event("", "09:00", type="identify", traits={"timezone": "Asia/Tokyo"})
    assert told([in_tokyo, an_event("Hello", "12:30")], rule) == [("03 23:00", "welcome", "send")]
    by_browser = an_event("Home", "09:00", type="page", context={"timezone": "Asia/Tokyo"})
    assert told([by_browser, an_event("Hello", "12:30")], rule) == [("03 23:00", "welcome", "send")]
    assert told([an_event("Hello", "12:30")], rule) == [("03 12:30", "welcome", "send")]


@pytest.mark.parametrize("zone", ["GMT+0000", "", "../etc/passwd", "Mars/Olympus", 7])
def test_a_time_zone_that_is_none_counts_as_utc(zone):
    rule = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    odd = an_event("", "09:00", type="identify", traits={"timezone": zone})
    assert told([odd, an_event("Hello", "21:30")], rule) == [("04 08:00", "welcome", "send")]


def test_a_held_send_is_decided_again_in_the_morning():
    bye = an_event("Bye", "22:00")
    rule = {**NIGHT, "exit_on": ["Bye"]}
    assert told([an_event("Hello", "21:30"), bye], rule) == [("03 22:00", "welcome", "exited")]
    capped = {**NIGHT, "frequency_cap": "default"}
    other = {**HELLO, "id": "other", "trigger": {"performed": {"event": "Other"}}}
    events = [an_event("Hello", "21:30"), an_event("Other", "23:00")]
    assert [what for *_, what in told(events, capped, other)] == ["send", "frequency_capped"]


def test_a_held_send_is_not_for_somebody_who_has_left_the_audience():
    rule = {**NIGHT, "audience": {"path": "traits.plan", "equals": "free"}}
    free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    paid = an_event("", "23:00", type="identify", traits={"plan": "paid"})
    assert told([free, an_event("Hello", "21:30"), paid], rule) == [("04 07:00", "welcome", "exited")]


def test_the_wait_after_a_held_send_counts_from_the_morning():
    steps = [{"send": "one"}, {"wait": "1h"}, {"send": "two"}]
    rule = {key: value for key, value in {**NIGHT, "steps": steps}.items() if key != "send"}
    assert told([an_event("Hello", "22:00")], rule) == [("04 07:00", "one", "send"), ("04 08:00", "two", "send")]


def test_a_night_of_the_clock_change_ends_by_the_clock_on_the_wall():
    """In Oslo the clock leaps from two to three on 30 March 2025: eight o'clock is six hours UTC, not seven."""
    assert told([an_event("Hello", "+26d 22:00")], NIGHT, until="+30d 00:00") == [("30 06:00", "welcome", "send")]


# --- audience, holdout ---


def test_a_rule_is_only_for_its_audience():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    assert told([an_event("Hello", "10:00")], rule) == []
    assert told([free, an_event("Hello", "10:00")], rule) == [("03 10:00", "welcome", "send")]


def test_an_older_trait_that_arrives_later_changes_nothing():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    now_free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    once_paid = an_event("", "08:00", received="09:30", type="identify", traits={"plan": "paid"})
    assert len(told([now_free, once_paid, an_event("Hello", "10:00")], rule)) == 1


def test_a_trait_that_cannot_be_compared_is_not_in_the_audience():
    rule = {**HELLO, "audience": {"path": "traits.age", "gte": 18}}
    text = an_event("", "09:00", type="identify", traits={"age": "old enough"})
    assert told([text, an_event("Hello", "10:00")], rule) == []


def test_traits_that_no_rule_asks_about_are_not_kept():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    state = PersonState("u:ann")
    traits = {"plan": "free", "email": "ann@shop.example"}
    an_engine(rule).feed(state, [an_event("", "09:00", type="identify", traits=traits)], ms("09:00"))
    assert set(state.traits) == {"plan"}


def test_the_holdout_is_about_as_large_as_it_says_and_always_the_same_people():
    rule = {**HELLO, "holdout": 20}
    engine = an_engine(rule)
    held = [
        person
        for person in range(1000)
        for one in engine.feed(PersonState(f"u:{person}"), [an_event("Hello", "10:00")], ms("10:00")).decisions
        if one.reason == "holdout"
    ]
    assert 150 < len(held) < 250
    again = engine.feed(PersonState(f"u:{held[0]}"), [an_event("Hello", "11:00")], ms("11:00")).decisions
    assert again[0].reason == "holdout"


# --- versions ---


def edited(old, **changes):
    """An engine where `old` was superseded by an edit."""
    return Engine(RuleBook([load({**old, **changes})], superseded=[load(old)]))


def test_an_episode_that_runs_is_finished_under_the_version_it_began_with():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    slower = {"not_performed": {**CART["trigger"]["not_performed"], "within": "2h"}}
    engine = edited(CART, trigger=slower, send={"template": "new"})
    engine.feed(state, [added("10:05"), added("10:06", cart="c2")], ms("10:06"))
    first = engine.wake(state, ms("10:21")).decisions
    assert [(one.entry_key, one.template, one.due_at) for one in first] == [("c1", "welcome", at("10:20"))]
    second = engine.wake(state, ms("13:00")).decisions
    assert [(one.entry_key, one.template, one.due_at) for one in second] == [("c2", "new", at("12:06"))]
    assert first[0].rule_version == load(CART).version


def test_an_ending_event_of_the_old_version_still_ends_it():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    other = {"not_performed": {**CART["trigger"]["not_performed"], "none_of": ["Something Else"]}}
    engine = edited(CART, trigger=other)
    engine.feed(state, [an_event("Ordered", "10:05", properties={"cart": "c1"})], ms("10:05"))
    assert not engine.wake(state, ms("11:00")).decisions


def test_steps_that_are_left_are_those_of_the_version_that_began():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    shorter = {key: value for key, value in THREE_STEPS.items() if key != "steps"}
    engine = Engine(RuleBook([load({**shorter, "send": {"template": "new"}})], superseded=[load(THREE_STEPS)]))
    assert [one.template for one in engine.wake(state, ms("+1d 10:16")).decisions] == ["second"]


def test_a_count_that_has_not_fired_follows_the_rule_of_today():
    views = a_rule(id="views", trigger={"performed": {"event": "View", "times": 3, "within": "1h"}})
    state = PersonState("u:ann")
    an_engine(views).feed(state, [an_event("View", "10:00")], ms("10:00"))
    engine = edited(views, trigger={"performed": {"event": "View", "times": 2, "within": "1h"}})
    assert len(engine.feed(state, [an_event("View", "10:01")], ms("10:01")).decisions) == 1


def test_pausing_a_rule_pauses_its_earlier_versions_too():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    engine = edited(CART, status="paused", send={"template": "new"})
    assert [one.reason for one in engine.wake(state, ms("11:00")).decisions] == ["rule_paused"]


def test_a_rule_that_is_gone_takes_its_runs_along():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    assert state.runs
    assert not an_engine().wake(state, ms("+1d 11:00")).decisions
    assert not state.runs


# --- a backlog: events are ahead of the watermark ---


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


# --- edits ---


def test_an_event_that_ends_an_episode_of_before_an_edit_begins_one_of_after_it():
    form = a_rule(
        id="form",
        trigger={"not_performed": {"after": "Step", "none_of": ["Step"], "within": "30m"}},
        frequency_cap="off",
    )
    state = PersonState("u:ann")
    an_engine(form).feed(state, [an_event("Step", "10:00")], ms("10:00"))
    engine = edited(form, trigger={"not_performed": {"after": "Step", "none_of": ["Step"], "within": "2h"}})
    engine.feed(state, [an_event("Step", "10:20")], ms("10:20"))
    assert engine.wake(state, ms("12:00")).decisions == ()
    assert [one.due_at for one in engine.wake(state, ms("12:21")).decisions] == [at("12:20")]


def test_a_run_whose_version_is_forgotten_ends_when_the_newest_has_fewer_steps():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    assert an_engine(CART).wake(state, ms("+1d 10:16")).decisions == ()
    assert not state.runs


def test_a_part_that_cannot_be_read_takes_nothing_from_what_ends_a_visit():
    rule = a_rule(
        trigger={
            "session_ended": {
                "gap": "15m",
                "having": [{"event": "Ordered", "where": {"path": "properties.total", "gt": 5}, "at_most": 3}],
                "none_of": ["Ordered"],
            }
        }
    )
    engine, state = an_engine(rule), PersonState("u:ann")
    events = [an_event("View", "10:00"), an_event("Ordered", "10:01", properties={"total": "12"})]
    assert len(engine.feed(state, events, ms("10:01")).faults) == 1
    assert engine.wake(state, ms("12:00")).decisions == ()


def test_a_run_whose_version_is_forgotten_goes_on_under_the_newest_and_hears_what_ends_it():
    rule = a_rule(
        id="later", trigger={"performed": {"event": "Hello"}}, exit_on=["Bye"], steps=[{"wait": "2h"}, {"send": "one"}]
    )
    newest = an_engine({**rule, "steps": [{"wait": "3h"}, {"send": "two"}]})
    for bye in ([], [an_event("Bye", "10:30")]):
        state = PersonState("u:ann")
        an_engine(rule).feed(state, [an_event("Hello", "10:00")], ms("10:00"))
        newest.feed(state, bye, ms("10:30"))
        assert [one.template for one in newest.wake(state, ms("15:00")).decisions] == ([] if bye else ["two"])


def test_the_night_of_somebody_who_did_one_thing_of_two_carts_ends_for_the_one_without_a_name():
    """Silence about anything at all is broken by anything at all."""
    rule = {**HELLO, "id": "gone", "trigger": {"inactive": {"for": "30m"}}, "entry_key": "properties.cart"}
    rule |= {"steps": [{"wait": "1h"}, {"send": "welcome"}]}
    del rule["send"]
    events = [an_event("View", "10:00"), an_event("View", "11:00", properties={"cart": "c1"})]
    assert (
        [when for when, *_ in told(events, rule)] == [when for when, *_ in in_a_backlog(events, rule)] == ["03 12:30"]
    )
