"""Segments against a recount by brute force: laws that hold for every history."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws import (
    MINUTE,
    START,
    UNTIL,
    assert_a_batch_equals_one_by_one,
    assert_live_decides_what_a_replay_decides,
    assert_repeats_change_nothing,
    in_order,
    live,
)
from tests.people import a_rule, an_engine, an_event
from tidings.deciding import state as states
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.rules.kinds.base import LATENESS
from tidings.wire.events import instant, millis

HOUR = 60 * MINUTE
DEAR = {"path": "properties.price", "gte": 100}
SEGMENTS = {
    "fans": {"performed": {"event": "View", "times": 3, "within": "1h"}},
    "recent": {"performed": {"event": "View", "within": "20m"}},
    "buyers": {"performed": {"event": "Order", "within": "3h"}},
    "choosy": {"performed": {"event": "View", "times": 2, "within": "90m", "where": DEAR}},
    "pro": {"path": "traits.plan", "equals": "pro"},
    "lapsed": {"all": [{"performed": {"event": "View", "within": "5h"}}, {"not": {"segment": "recent"}}]},
    "courted": {"all": [{"any": [{"segment": "fans"}, {"segment": "pro"}]}, {"not": {"segment": "buyers"}}]},
    "prospects": {"not": {"segment": "buyers"}},
}
RULES = [
    *(
        a_rule(id=f"{name}-{on}", trigger={"segment": {"id": name, "on": on}}, frequency_cap="off")
        for name in SEGMENTS
        for on in ("enter", "leave")
    ),
    a_rule(id="once", trigger={"segment": {"id": "fans", "on": "enter"}}, re_entry="once", frequency_cap="off"),
    a_rule(
        id="paused", trigger={"segment": {"id": "recent", "on": "leave"}}, re_entry={"after": "1h"}, frequency_cap="off"
    ),
]
ENGINE = an_engine(*RULES, segments=SEGMENTS)
WINDOWS = (20 * MINUTE, HOUR, 90 * MINUTE, 3 * HOUR, 5 * HOUR)


def belongs_to(events, now):
    """Every segment, counted again from all that was received by `now`, with nothing but the definition at hand."""

    def did(name, times, within, floor=0):
        return times <= sum(
            one.event == name
            and now - within < millis(one.timestamp) <= now
            and one.read("properties").get("price", 0) >= floor
            for one in events
        )

    told = [one for one in events if one.type == "identify"]
    pro = bool(told) and max(told, key=lambda one: one.timestamp).read("traits")["plan"] == "pro"
    fans, recent, buyers = did("View", 3, HOUR), did("View", 1, 20 * MINUTE), did("Order", 1, 3 * HOUR)
    truth = {
        "fans": fans,
        "recent": recent,
        "buyers": buyers,
        "choosy": did("View", 2, 90 * MINUTE, 100),
        "pro": pro,
        "lapsed": did("View", 1, 5 * HOUR) and not recent,
        "courted": (fans or pro) and not buyers,
        "prospects": not buyers,
    }
    return {name for name, belongs in truth.items() if belongs}


def members(state):
    """Where the person belongs; of somebody whom no segment has asked about yet, that is where nothing is known."""
    return belongs_to([], 0) if state.standing is None else state.member_of


@st.composite
def histories(draw, longest_delay=LATENESS, minutes=360, names=("View", "View", "View", "Order", "Other")):
    """Up to 25 events of some hours, no two of them at the same time.

    Whatever happens by time alone happens at another millisecond than any receipt: for what happens at the very same
    one, see `test_segments`.
    """
    events = []
    for number, minute in enumerate(draw(st.lists(st.integers(0, minutes), unique=True, max_size=25))):
        happened = START + 7 + minute * MINUTE
        received = happened + 500 + min(draw(st.sampled_from([0, 0, 1, MINUTE, 45 * MINUTE])), longest_delay)
        if draw(st.integers(0, 5)) == 0:
            more = {"type": "identify", "traits": {"plan": draw(st.sampled_from(["pro", "free"]))}}
        else:
            more = {"properties": {"price": draw(st.sampled_from([5, 100]))}}
        name = draw(st.sampled_from(names))
        events.append(an_event(name, instant(happened), instant(received), message_id=f"m{number}", **more))
    return events


def told(decisions, *, but=("once", "paused")):
    return sorted((millis(one.due_at), one.rule_id) for one in decisions if one.rule_id not in but)


@settings(max_examples=300, deadline=None)
@given(histories())
def test_membership_is_what_a_recount_says_at_every_step(events):
    state, received = PersonState("u:ann"), []
    for event in in_order(events):
        now = millis(event.received_at)
        while state.wake_at <= now:
            at = state.wake_at
            ENGINE.wake(state, at)
            assert members(state) == belongs_to(received, at)
        received.append(event)
        ENGINE.feed(state, [event], now)
        assert members(state) == belongs_to(received, now)
    while state.wake_at < START + 48 * HOUR:
        at = state.wake_at
        ENGINE.wake(state, at)
        assert members(state) == belongs_to(received, at)


@settings(max_examples=300, deadline=None)
@given(histories())
def test_rules_fire_at_exactly_those_changes_that_a_recount_finds(events):
    """Judged at every receipt, and at every instant at which some event leaves some window."""
    steps = [(millis(one.received_at), one) for one in events]
    steps += [(millis(one.timestamp) + window, None) for one in events for window in WINDOWS]
    expected, before, received = [], belongs_to([], 0), []
    for now, event in sorted(steps, key=lambda step: (step[0], step[1].message_id if step[1] else "")):
        received += [event] if event else []
        after = belongs_to(received, now)
        due = millis(event.timestamp) if event else now
        expected += [(due, f"{name}-enter") for name in after - before]
        expected += [(due, f"{name}-leave") for name in before - after]
        before = after
    assert told(replay(ENGINE, "u:ann", events, UNTIL).decisions) == sorted(expected)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_live_and_replay_change_the_same(events):
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
@given(histories(longest_delay=0), st.data(), st.integers(0, 600))
def test_whatever_order_events_arrive_in_they_lead_to_the_same_membership(events, data, later):
    """Handed over in any order while the watermark stands still, and then looked at some time later."""
    at = max((millis(one.received_at) for one in events), default=START) + 1 + later * MINUTE
    for order in (events, data.draw(st.permutations(events))):
        state = PersonState("u:ann")
        for event in order:
            ENGINE.feed(state, [event], millis(event.received_at))
        ENGINE.wake(state, at)
        assert members(state) == belongs_to(events, at)


@settings(max_examples=300, deadline=None)
@given(histories(longest_delay=0, minutes=130, names=("View",)), st.data())
def test_a_backlog_shorter_than_the_window_makes_nobody_leave_who_would_not_have_left(events, data):
    """Every event is handed over up to an hour late, and so behind others; the watermark waits for it."""

    def left(decisions):
        """Leaving these is a matter of time alone."""
        return {one for one in told(decisions) if one[1] in ("fans-leave", "recent-leave", "choosy-leave")}

    late = data.draw(st.lists(st.integers(0, 59), min_size=len(events), max_size=len(events)))
    order = sorted(zip(events, late, strict=True), key=lambda one: millis(one[0].received_at) + one[1] * MINUTE)
    shuffled = [event for event, _ in order]
    assert left(live(ENGINE, shuffled)) <= left(replay(ENGINE, "u:ann", events, UNTIL).decisions)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_a_state_survives_being_written_down_and_stays_small(events):
    state = PersonState("u:ann")
    for event in events:
        ENGINE.feed(state, [event], millis(event.received_at))
        assert states.decode(states.encode(state)) == state
        assert state.standing is None or all(len(times) <= 5 for times in state.standing.counts.values())


@settings(max_examples=200, deadline=None)
@given(histories())
def test_in_the_end_nothing_is_remembered_but_that_a_rule_has_fired_once(events):
    state = PersonState("u:ann")
    for event in events:
        ENGINE.feed(state, [event], millis(event.received_at))
    while state.wake_at <= START + 500 * 24 * HOUR:
        ENGINE.wake(state, state.wake_at)
    assert set(state.trackers) <= {"once"}
    assert state.is_empty or state.trackers
