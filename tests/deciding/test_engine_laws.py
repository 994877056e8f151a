"""Laws that hold for every history, found by Hypothesis rather than by example."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws import (
    MINUTE,
    START,
    UNTIL,
    assert_a_batch_equals_one_by_one,
    assert_a_state_survives_being_written_down,
    assert_live_decides_what_a_replay_decides,
    assert_repeats_change_nothing,
    live,
    what_fired,
)
from tests.people import a_rule, an_engine, an_event
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.rules.kinds.base import LATENESS
from tidings.wire.events import instant, millis

RULES = [
    a_rule(
        id="views",
        trigger={"performed": {"event": "View", "times": 3, "within": "1h", "by": "properties.thing"}},
    ),
    a_rule(
        id="views-paused-between",
        trigger={"performed": {"event": "View", "times": 2, "within": "20m"}},
        re_entry={"after": "2h"},
    ),
    a_rule(id="views-once", trigger={"performed": {"event": "View", "times": 2, "within": "5m"}}, re_entry="once"),
    a_rule(
        id="cart",
        trigger={"not_performed": {"after": "Add", "none_of": ["Order"], "within": "15m", "reset_on": ["Add"]}},
        entry_key="properties.thing",
    ),
    a_rule(
        id="cart-paused-between",
        trigger={"not_performed": {"after": "Add", "none_of": ["Order"], "within": "10m"}},
        re_entry={"after": "90m"},
    ),
    a_rule(
        id="cart-once",
        trigger={"not_performed": {"after": "Add", "none_of": ["Order"], "within": "30m"}},
        exit_on=["Leave"],
        re_entry="once",
    ),
]
ENGINE = an_engine(*RULES)


@st.composite
def histories(draw, longest_delay=LATENESS, names=("View", "Add", "Order", "Leave")):
    """Up to 30 events of six hours; each is received at most `longest_delay` after it happened."""
    events = []
    for number in range(draw(st.integers(0, 30))):
        happened = START + draw(st.integers(0, 360)) * MINUTE + draw(st.sampled_from([0, 0, 0, 1, 999]))
        delay = draw(st.sampled_from([0, 0, 1, MINUTE, 10 * MINUTE, longest_delay]))
        thing = draw(st.sampled_from(["a", "a", "b", None]))
        events.append(
            an_event(
                draw(st.sampled_from(names)),
                instant(happened),
                instant(happened + min(delay, longest_delay)),
                message_id=f"m{number}",
                properties={"thing": thing},
            )
        )
    return events


def sends_of_absence(decisions):
    """The very sends of the rules that wait for the watermark: those are equal to the last byte."""
    return {(one.send_id, one.evidence, one.due_at) for one in decisions if one.rule_id.startswith("cart")}


@settings(max_examples=300, deadline=None)
@given(histories(longest_delay=0), st.data())
def test_the_order_of_arrival_inside_the_lateness_bound_changes_nothing_that_finally_fires(events, data):
    """Events of one hour, handed over in any order while the watermark stands still."""
    events = [one for one in events if millis(one.timestamp) < START + LATENESS]
    shuffled = data.draw(st.permutations(events))
    in_order, any_order = live(ENGINE, events, watermark_lags=LATENESS), live(ENGINE, shuffled, watermark_lags=LATENESS)
    assert what_fired(in_order) == what_fired(any_order)
    assert sends_of_absence(in_order) == sends_of_absence(any_order)


@settings(max_examples=300, deadline=None)
@given(histories(longest_delay=0), st.data())
def test_a_backlog_changes_nothing_that_finally_fires(events, data):
    """Pub/Sub hands over whatever it likes first; the watermark waits for the oldest that is still to come.

    Only for events received as they happen: one that is received after a deadline, and yet handed over before the
    watermark gets there, may still stop a send. A replay, which knows no backlog, would have sent.
    """
    shuffled = data.draw(st.permutations(events))
    whole = replay(ENGINE, "u:ann", events, UNTIL).decisions
    assert sends_of_absence(live(ENGINE, shuffled)) == sends_of_absence(whole)


@settings(max_examples=300, deadline=None)
@given(histories())
def test_live_and_replay_decide_the_same(events):
    assert_live_decides_what_a_replay_decides(ENGINE, events)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_feeding_a_batch_equals_feeding_one_by_one(events):
    assert_a_batch_equals_one_by_one(ENGINE, events)


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_duplicates_change_nothing(events, data):
    assert_repeats_change_nothing(ENGINE, events, data)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_a_state_survives_being_written_down(events):
    assert_a_state_survives_being_written_down(ENGINE, events)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_send_id_is_decided_twice(events):
    decisions = replay(ENGINE, "u:ann", events, UNTIL).decisions
    assert len({one.send_id for one in decisions}) == len(decisions)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_in_the_end_only_rules_that_fire_once_are_remembered(events):
    state = PersonState("u:ann")
    for event in events:
        ENGINE.feed(state, [event], millis(event.received_at))
    while state.wake_at <= START + 100 * 60 * 24 * MINUTE:
        ENGINE.wake(state, state.wake_at)
    assert set(state.trackers) <= {"views-once", "cart-once"}
    assert not state.seen


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=60), st.integers(1, 6), st.integers(1, 200))
def test_the_exact_count_in_a_sliding_window_equals_a_brute_force_recount(minutes, times, within):
    """Fires at the first event that has `times` unused events in (t - within, t], again and again."""
    rule = a_rule(trigger={"performed": {"event": "View", "times": times, "within": f"{within}m"}})
    minutes = sorted(minutes)
    expected, unused = [], []
    for minute in minutes:
        unused.append(minute)
        if len([one for one in unused if minute - within < one <= minute]) >= times:
            expected.append(minute)
            unused = []
    events = [
        an_event("View", instant(START + minute * MINUTE), message_id=f"{minute:04}-{number:02}")
        for number, minute in enumerate(minutes)
    ]
    decisions = replay(an_engine(rule), "u:ann", events, UNTIL).decisions
    assert [(millis(one.due_at) - START) // MINUTE for one in decisions] == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.sampled_from(["Add", "Order"])), max_size=40), st.integers(1, 120))
def test_absence_equals_a_brute_force_recount(history, within):
    """An Add with no other Add running opens; the first Order up to the deadline closes; else it fires."""
    rule = a_rule(trigger={"not_performed": {"after": "Add", "none_of": ["Order"], "within": f"{within}m"}})
    history = sorted(set(history), key=lambda one: one[0])
    history = [one for place, one in enumerate(history) if place == 0 or one[0] != history[place - 1][0]]
    expected, deadline = [], None
    for minute, name in history:
        if deadline is not None and minute > deadline:
            expected.append(deadline)
            deadline = None
        if name == "Order":
            deadline = None
        elif deadline is None and not (expected and minute <= expected[-1]):
            deadline = minute + within
    if deadline is not None:
        expected.append(deadline)
    events = [an_event(name, instant(START + minute * MINUTE)) for minute, name in history]
    decisions = replay(an_engine(rule), "u:ann", events, UNTIL).decisions
    assert [(millis(one.due_at) - START) // MINUTE for one in decisions] == expected
