"""Laws of what surrounds a trigger: steps, waits, `unless`, exits, nights. They hold however far the watermark lags."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deciding.test_engine_laws import histories
from tests.laws import MINUTE, UNTIL, assert_repeats_change_nothing, live
from tests.people import a_rule, an_engine
from tidings.deciding.replay import replay
from tidings.rules.kinds.base import LATENESS
from tidings.wire.events import millis

STEPS = [
    {"send": "one"},
    {"wait": "20m"},
    {"send": "two", "unless": ["View"]},
    {"wait": "45m"},
    {"send": "three", "unless": ["Order", "View"]},
]
NIGHT = {"quiet_hours": {"start": "22:00", "end": "23:30", "tz": "UTC"}}
CART = {"not_performed": {"after": "Add", "none_of": ["Order"], "within": "15m"}}
ADDED = {"performed": {"event": "Add"}}
VISIT = {"session_ended": {"gap": "20m", "having": [{"event": "Add", "at_least": 2}], "none_of": ["Order"]}}
SILENCE = {"inactive": {"for": "30m"}}


def waiting(rule_id, trigger, **more):
    """A rule whose decisions all wait for the watermark."""
    its = {"steps": STEPS} if "steps" not in more and "send" not in more else {}
    return a_rule(id=rule_id, trigger=trigger, frequency_cap="off", exit_on=["Leave"], **its, **more)


RULES = [
    waiting("cart", CART, entry_key="properties.thing"),
    waiting("cart-by-night", CART, **NIGHT),
    waiting("cart-not-by-night", CART, quiet_hours={**NIGHT["quiet_hours"], "on_miss": "drop"}),
    waiting("cart-now-and-then", CART, entry_key="properties.thing", re_entry={"after": "90m"}),
    waiting("visit", VISIT),
    waiting("visit-by-night", VISIT, **NIGHT),
    waiting("silence", SILENCE),
    waiting("silence-by-night", SILENCE, send={"template": "one"}, **NIGHT),
    waiting("silence-once", SILENCE, steps=[{"wait": "1h"}, {"send": "one"}], re_entry="once"),
    waiting("silence-by-thing", SILENCE, entry_key="properties.thing", steps=[{"wait": "1h"}, *STEPS]),
    waiting("silence-of-views", {"inactive": {"for": "20m", "of": ["View"]}}, entry_key="properties.thing", **NIGHT),
    waiting("added", ADDED, steps=[{"wait": "30m"}, *STEPS]),
    waiting("added-by-night", ADDED, entry_key="properties.thing", steps=[{"wait": "30m"}, {"send": "one"}], **NIGHT),
]
ENGINE = an_engine(*RULES)


def what_was_decided(decisions):
    return sorted(
        (one.send_id, one.template, one.outcome, one.reason or "", one.evidence, one.due_at) for one in decisions
    )


@settings(max_examples=400, deadline=None)
@given(histories(longest_delay=0), st.data())
def test_a_backlog_in_any_order_ends_like_a_quiet_hour(events, data):
    """Events are handed over in any order, long before the watermark gets there; all that waits, waits for it."""
    shuffled = data.draw(st.permutations(events))
    lag = data.draw(st.sampled_from([0, MINUTE, LATENESS]))
    whole = replay(ENGINE, "u:ann", events, UNTIL).decisions
    assert what_was_decided(live(ENGINE, shuffled, watermark_lags=lag)) == what_was_decided(whole)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_send_goes_out_after_what_ends_its_run(events):
    for one in replay(ENGINE, "u:ann", events, UNTIL).decisions:
        if one.entry_key:
            continue  # somebody else's exit may be meant
        exits = [its for its in events if its.event == "Leave" and its.timestamp > one.due_at]
        assert not any(its.received_at < one.decided_at for its in exits) or one.reason == "exited"


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_duplicates_change_nothing(events, data):
    assert_repeats_change_nothing(ENGINE, events, data)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_step_is_decided_twice_and_steps_keep_their_distance(events):
    decisions = replay(ENGINE, "u:ann", events, UNTIL).decisions
    assert len({one.send_id for one in decisions}) == len(decisions)
    at = {(one.rule_id, one.entry_key, one.episode, one.step): millis(one.decided_at) for one in decisions}
    for (rule, key, episode, step), when in at.items():
        before = at.get((rule, key, episode, step - 1))
        assert before is None or when - before >= 20 * MINUTE
