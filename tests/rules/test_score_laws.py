"""Scores against a recount by brute force: laws that hold for every history."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws import (
    MINUTE,
    START,
    UNTIL,
    assert_a_batch_equals_one_by_one,
    assert_live_decides_what_a_replay_decides,
    assert_repeats_change_nothing,
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


def feature(event, weight, minutes, at_most=10, **more):
    return {"event": event, "weight": weight, "within": f"{minutes}m", "at_most": at_most, **more}


INTENT = [
    feature("View", 1, 60, 3),
    feature("View", 0.5, 90, 2, where=DEAR),
    feature("Demo", 2.3, 120, 1),
    feature("Ticket", -2, 30, 2),
]
CONTENT = [feature("Ticket", -3, 40), feature("View", 0.1, 20), feature("View", 0.1, 200, 1)]
SCORES = {
    "intent": {"features": INTENT, "above": 3},
    "intent-until-order": {"features": INTENT, "above": 3},
    "intent-once": {"features": INTENT, "above": 3},
    "intent-paused": {"features": INTENT, "above": 3},
    "content": {"features": CONTENT, "above": 3, "bias": 5},
    "thing": {"features": [feature("View", 1, 60, 3)], "above": 1, "by": "properties.thing"},
}
SURROUNDINGS = {
    "intent-until-order": {"exit_on": ["Order"]},
    "intent-once": {"re_entry": "once"},
    "intent-paused": {"re_entry": {"after": "90m"}},
    "thing": {"exit_on": ["Order"]},
}
PAUSES = {"intent-once": UNTIL, "intent-paused": 90 * MINUTE}
ENGINE = an_engine(
    *(
        a_rule(
            id=name, trigger={"score": {"model": "linear", **score}}, frequency_cap="off", **SURROUNDINGS.get(name, {})
        )
        for name, score in SCORES.items()
    )
)


def is_above(score, events, now):
    """The score at `now`, counted again from events with nothing but the definition at hand."""
    total = Fraction(str(score.get("bias", 0)))
    for one in score["features"]:
        within = int(one["within"][:-1]) * MINUTE
        count = sum(
            event.event == one["event"]
            and now - within < millis(event.timestamp) <= now
            and ("where" not in one or event.read("properties")["price"] >= 100)
            for event in events
        )
        total += Fraction(str(one["weight"])) * min(count, one["at_most"])
    return total > Fraction(str(score["above"]))


def recount(name, events):
    """When the score of somebody with these events rises above the threshold.

    Judged at every receipt, and at every instant at which an event leaves a window.
    """
    score, around = SCORES[name], SURROUNDINGS.get(name, {})
    counted = {one["event"] for one in score["features"]}
    steps = [(millis(one.received_at), one) for one in events]
    steps += [
        (millis(event.timestamp) + int(one["within"][:-1]) * MINUTE, None)
        for one in score["features"]
        for event in events
    ]
    rises, received, above, stop = [], [], is_above(score, [], 0), -1
    for now, event in sorted(steps, key=lambda step: (step[0], step[1].message_id if step[1] else "")):
        if event is not None:
            received.append(event)
            if event.event in around.get("exit_on", ()):
                stop = max(stop, millis(event.timestamp))
        was_above = above
        above = is_above(score, [one for one in received if millis(one.timestamp) > stop], now)
        due = now if event is None else millis(event.timestamp)
        too_soon = bool(rises) and due < rises[-1] + PAUSES.get(name, -UNTIL)
        if above and not was_above and not too_soon and (event is None or event.event in counted):
            rises.append(due)
    return rises


def expected(events):
    """(due, rule, key) of everything that must fire."""
    fires = []
    for name in SCORES:
        if name != "thing":
            fires += [(due, name, "") for due in recount(name, events)]
        else:
            for thing in "ab":
                mine = [one for one in events if one.event == "Order" or one.read("properties")["thing"] == thing]
                fires += [(due, name, thing) for due in recount(name, mine)]
    return sorted(fires)


@st.composite
def histories(draw, longest_delay=LATENESS, names=("View", "View", "View", "Demo", "Ticket", "Order", "Other")):
    """Up to 25 events of five hours, no two of them at the same time.

    Whatever happens by time alone happens at another millisecond than any receipt: for what happens at the very same
    one, see `test_score`.
    """
    events = []
    for number, minute in enumerate(draw(st.lists(st.integers(0, 300), unique=True, max_size=25))):
        happened = START + 7 + minute * MINUTE
        received = happened + 500 + min(draw(st.sampled_from([0, 0, 1, MINUTE, 45 * MINUTE])), longest_delay)
        name = draw(st.sampled_from(names))
        properties = {"price": draw(st.sampled_from([5, 100])), "thing": draw(st.sampled_from(["a", "a", "b", None]))}
        if name == "Order":
            properties = {}
        events.append(
            an_event(name, instant(happened), instant(received), message_id=f"m{number}", properties=properties)
        )
    return events


def told(decisions):
    return sorted((millis(one.due_at), one.rule_id, one.entry_key) for one in decisions)


@settings(max_examples=300, deadline=None)
@given(histories())
def test_a_score_fires_exactly_when_a_recount_says_that_it_rises(events):
    assert told(replay(ENGINE, "u:ann", events, UNTIL).decisions) == expected(events)


@settings(max_examples=200, deadline=None)
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
@given(histories(longest_delay=0), st.data())
def test_whatever_order_events_arrive_in_the_score_is_the_same_afterwards(events, data):
    """Handed over in any order while the watermark stands still; and then there is one more event."""
    at = max((millis(one.received_at) for one in events), default=START) + 1
    last = an_event("View", instant(at), message_id="last", properties={"price": 100, "thing": "a"})
    kept = []
    for order in (events, data.draw(st.permutations(events))):
        state = PersonState("u:ann")
        for event in [*order, last]:
            ENGINE.feed(state, [event], millis(event.received_at))
        looked_at = (("intent", ""), ("intent-until-order", ""), ("thing", "a"))
        kept.append([state.trackers[rule][key].marks for rule, key in looked_at])
    assert kept[0] == kept[1]


@settings(max_examples=200, deadline=None)
@given(histories(longest_delay=0, names=("View", "View", "Demo", "Other")), st.data())
def test_what_only_speaks_for_somebody_fires_once_in_an_hour_whatever_order_it_arrives_in(events, data):
    """All of it inside the shortest window, so that nothing runs out on the way."""
    events = [one for one in events if millis(one.timestamp) < START + HOUR]
    shuffled = data.draw(st.permutations(events))

    def fired(order):
        decisions = live(ENGINE, order, watermark_lags=LATENESS)
        return {(one.rule_id, one.entry_key) for one in decisions if one.rule_id in ("intent", "intent-once", "thing")}

    assert fired(shuffled) == fired(events)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_a_state_survives_being_written_down_and_stays_small(events):
    most = {"intent": 3 + 2 + 1 + 2, "content": 10 + 10, "thing": 3}
    state = PersonState("u:ann")
    for event in events:
        ENGINE.feed(state, [event], millis(event.received_at))
        assert states.decode(states.encode(state)) == state
        for name, bound in most.items():
            assert all(len(tracker.marks) <= bound + 1 for tracker in state.trackers.get(name, {}).values())


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_send_id_is_decided_twice(events):
    decisions = replay(ENGINE, "u:ann", events, UNTIL).decisions
    assert len({one.send_id for one in decisions}) == len(decisions)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_in_the_end_nothing_is_remembered_but_that_a_rule_has_fired_once(events):
    state = PersonState("u:ann")
    for event in events:
        ENGINE.feed(state, [event], millis(event.received_at))
    while state.wake_at <= START + 100 * 24 * HOUR:
        ENGINE.wake(state, state.wake_at)
    assert set(state.trackers) <= {"intent-once"}
