"""`performed`: when exactly it fires."""

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.events import millis

THREE_VIEWS = a_rule(
    trigger={"performed": {"event": "Product Viewed", "times": 3, "within": "1h", "by": "properties.product_id"}}
)


def view(when, received=None, product="p1", **fields):
    return an_event("Product Viewed", when, received, properties={"product_id": product}, **fields)


def fired(events, rule=THREE_VIEWS, until="23:59"):
    """When each decision was due, as clock times of the day."""
    outcome = replay(an_engine(rule), "u:ann", events, ms(until))
    return [f"{one.due_at:%H:%M}" for one in outcome.decisions]


def test_the_third_view_within_the_hour_fires():
    assert fired([view("10:00"), view("10:20"), view("10:59")]) == ["10:59"]


def test_two_views_do_not_fire():
    assert fired([view("10:00"), view("10:20")]) == []


def test_the_window_is_half_open_so_a_view_exactly_an_hour_old_no_longer_counts():
    assert fired([view("10:00"), view("10:30"), view("11:00")]) == []
    assert fired([view("10:00:00.001"), view("10:30"), view("11:00")]) == ["11:00"]


def test_views_of_different_products_are_counted_apart():
    assert fired([view("10:00", product="p1"), view("10:01", product="p2"), view("10:02", product="p1")]) == []


def test_numbers_and_texts_that_look_alike_are_the_same_product():
    assert fired([view("10:00", product=7), view("10:01", product="7"), view("10:02", product=7)]) == ["10:02"]


def test_a_view_without_a_product_id_is_never_the_same_product():
    assert fired([an_event("Product Viewed", f"10:0{i}") for i in range(5)]) == []


def test_a_firing_uses_its_events_up():
    views = [view(f"10:0{i}") for i in range(7)]
    assert fired(views) == ["10:02", "10:05"]


def test_a_rule_that_fires_once_stays_silent_afterwards():
    rule = {**THREE_VIEWS, "re_entry": "once"}
    assert fired([view(f"10:0{i}") for i in range(9)], rule) == ["10:02"]


def test_a_pause_is_counted_from_the_last_firing():
    rule = {**THREE_VIEWS, "re_entry": {"after": "20m"}}
    views = [view(f"10:{i:02}") for i in range(0, 40, 2)]
    assert fired(views, rule) == ["10:04", "10:24"]


def test_an_ending_event_makes_the_count_start_anew():
    rule = {**THREE_VIEWS, "exit_on": ["Order Completed"]}
    events = [view("10:00"), view("10:01"), an_event("Order Completed", "10:02"), view("10:03"), view("10:04")]
    assert fired(events, rule) == []
    assert fired([*events, view("10:05")], rule) == ["10:05"]


def test_a_late_view_counts_at_its_own_time():
    assert fired([view("10:00"), view("10:50"), view("10:20", received="10:55")]) == ["10:50"]


def test_a_late_view_within_an_hour_still_completes_a_window_that_has_passed():
    events = [view("10:00"), view("10:20"), view("11:30"), view("10:40", received="11:31")]
    assert fired(events) == ["10:40"]


def test_a_view_that_arrives_more_than_an_hour_out_of_order_may_be_too_late():
    events = [view("10:00"), view("10:20"), view("14:00"), view("10:40", received="14:01")]
    assert fired(events) == []


def test_the_same_message_twice_counts_once():
    once = view("10:00", message_id="same")
    assert fired([once, once, view("10:01")]) == []


def test_a_repeat_a_day_later_is_still_recognised():
    engine, state = an_engine(THREE_VIEWS), PersonState("u:ann")
    first = view("10:00", message_id="same")
    engine.feed(state, [first], millis(first.received_at))
    assert engine.feed(state, [first], ms("+1d 09:59")).duplicates == 1


def test_one_event_is_enough_when_times_is_left_out():
    rule = a_rule(trigger={"performed": {"event": "Signed Up"}})
    assert fired([an_event("Signed Up", "10:00"), an_event("Signed Up", "10:00")], rule) == ["10:00", "10:00"]


def test_page_calls_are_matched_by_their_name():
    rule = a_rule(trigger={"performed": {"page": "Pricing", "times": 2, "within": "7d"}})
    pages = [an_event("Pricing", "10:00", type="page"), an_event("Pricing", "11:00", type="page")]
    assert fired(pages, rule) == ["11:00"]
    assert fired([an_event("Home", "10:00", type="page"), an_event("Pricing", "11:00")], rule) == []


def test_any_page_will_do_for_a_star():
    rule = a_rule(trigger={"performed": {"page": "*", "times": 2, "within": "1h"}})
    assert fired([an_event("Home", "10:00", type="page"), an_event("Pricing", "10:05", type="page")], rule) == ["10:05"]


def test_an_event_of_any_name_can_be_meant_by_its_type():
    rule = a_rule(trigger={"performed": {"type": "identify"}})
    assert fired([an_event("", "10:00", type="identify")], rule) == ["10:00"]


def test_the_evidence_names_the_messages_that_made_the_count():
    events = [view("10:00", message_id="a"), view("10:01", message_id="b"), view("10:02", message_id="c")]
    [decision] = replay(an_engine(THREE_VIEWS), "u:ann", events, ms("11:00")).decisions
    assert decision.evidence == ("a", "b", "c")
    assert decision.entry_key == "p1"
    assert b"p1" in bytes(decision.event.properties)


def test_a_draft_is_ignored_a_shadow_is_recorded_and_a_paused_rule_says_so():
    views = [view("10:00"), view("10:01"), view("10:02")]
    for status, expected in (
        ("draft", []),
        ("shadow", [("shadow", None)]),
        ("paused", [("suppressed", "rule_paused")]),
        ("live", [("send", None)]),
    ):
        outcome = replay(an_engine({**THREE_VIEWS, "status": status}), "u:ann", views, ms("11:00"))
        assert [(one.outcome, one.reason) for one in outcome.decisions] == expected


def test_a_time_scale_shortens_every_duration():
    engine = an_engine({**THREE_VIEWS, "re_entry": {"after": "20m"}}, time_scale=60)
    views = [view("10:00:00"), view("10:00:30"), view("10:00:59"), view("10:01:10"), view("10:01:11"), view("10:01:25")]
    assert len(replay(engine, "u:ann", views, ms("11:00")).decisions) == 2
    slow = [view("10:00"), view("10:01"), view("10:02")]
    assert replay(engine, "u:ann", slow, ms("11:00")).decisions == []


def test_before_it_fires_a_tracker_holds_few_marks_however_long_the_person_looks():
    engine, state = an_engine(THREE_VIEWS), PersonState("u:ann")
    for minute in range(0, 20 * 60, 31):
        event = view(f"{minute // 60:02}:{minute % 60:02}")
        now = millis(event.timestamp)
        while state.wake_at <= now:
            engine.wake(state, state.wake_at)
        engine.feed(state, [event], now)
        held = state.trackers.get("a-rule", {})
        assert sum(len(tracker.marks) for tracker in held.values()) <= 8


def test_when_nothing_more_can_happen_nothing_is_kept():
    engine, state = an_engine(THREE_VIEWS), PersonState("u:ann")
    for event in [view("10:00"), view("10:01"), view("10:02"), view("10:03")]:
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+4d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


def test_who_ends_counts_all_the_time_is_not_remembered_for_it():
    rule = a_rule(trigger={"performed": {"event": "View", "times": 3, "within": "7d"}}, exit_on=[{"page": "*"}])
    engine, state, decisions = an_engine(rule), PersonState("u:ann"), []
    for second in range(1000):
        clock = f"10:{second // 60:02}:{second % 60:02}"
        engine.feed(state, [an_event("Home", clock, type="page")], ms(clock))
    assert len(state.trackers["a-rule"][""].marks) < 120
    for clock in ("11:00", "11:01", "11:02"):
        decisions += engine.feed(state, [an_event("View", clock)], ms(clock)).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["11:02"]


def test_a_robot_with_a_new_product_every_second_crowds_out_what_is_oldest_and_that_is_counted():
    rule = a_rule(
        trigger={"performed": {"event": "View", "times": 3, "within": "1h", "by": "properties.product"}},
    )
    engine, state, crowded_out = an_engine(rule), PersonState("u:ann"), 0
    for number in range(500):
        event = an_event("View", "10:00", properties={"product": f"p{number}"})
        crowded_out += engine.feed(state, [event], ms("10:00")).crowded_out
    assert len(state.trackers["a-rule"]) == 200
    assert crowded_out == 300


def test_a_count_that_was_begun_after_an_end_without_a_key_is_forgotten_like_every_other():
    rule = a_rule(
        trigger={"performed": {"event": "View", "times": 3, "within": "1h"}},
        entry_key="properties.cart",
        exit_on=["Leave"],
    )
    engine, state = an_engine(rule), PersonState("u:ann")
    for event in (an_event("Leave", "10:00"), an_event("View", "10:05", properties={"cart": "c1"})):
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+5d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty
