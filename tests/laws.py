"""What holds for every engine and history, whatever the rules are; and the engine as Beam runs it.

Two days of one person, `u:ann`, from `START` to `UNTIL`; times are milliseconds.
"""

from collections import Counter

from hypothesis import strategies as st

from tidings.deciding import state as states
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.events import millis

START = 1_772_400_000_000
MINUTE = 60_000
UNTIL = START + 48 * 60 * MINUTE


def live(engine, events, *, watermark_lags=0, until=UNTIL):
    """As Beam runs it: events one by one in the given order, timers only when the watermark allows."""
    state, decisions = PersonState("u:ann"), []
    for position, event in enumerate(events):
        state = states.decode(states.encode(state))
        decisions += engine.feed(state, [event], millis(event.received_at)).decisions
        coming = [millis(one.received_at) for one in events[position + 1 :]]
        watermark = min(coming, default=START) - watermark_lags
        while coming and state.wake_at <= watermark:
            decisions += engine.wake(state, state.wake_at).decisions
    while state.wake_at <= until:
        decisions += engine.wake(state, state.wake_at).decisions
    return decisions


def what_fired(decisions):
    """How often each rule fired for each key, which the order of arrival must not change."""
    return Counter((one.rule_id, one.entry_key) for one in decisions)


def in_order(events):
    """As they are received."""
    return sorted(events, key=lambda one: (one.received_at, one.message_id))


def assert_live_decides_what_a_replay_decides(engine, events):
    assert live(engine, in_order(events)) == replay(engine, "u:ann", events, UNTIL).decisions


def assert_a_batch_equals_one_by_one(engine, events):
    batch, single = PersonState("u:ann"), PersonState("u:ann")
    now = max((millis(one.received_at) for one in events), default=START)
    together = engine.feed(batch, events, now)
    apart = [decision for event in events for decision in engine.feed(single, [event], now).decisions]
    assert list(together.decisions) == apart
    assert batch == single


def assert_a_state_survives_being_written_down(engine, events):
    state = PersonState("u:ann")
    for event in events:
        engine.feed(state, [event], millis(event.received_at))
        assert states.decode(states.encode(state)) == state


def assert_repeats_change_nothing(engine, events, data):
    """Of up to ten events that come twice, everything is decided as if they had come once, and they are counted."""
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    once = replay(engine, "u:ann", events, UNTIL)
    twice = replay(engine, "u:ann", [*events, *repeats], UNTIL)
    assert twice.decisions == once.decisions
    assert twice.duplicates == len(repeats)
