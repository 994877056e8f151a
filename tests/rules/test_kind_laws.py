"""Laws of `sequence`, `session_ended` and `inactive`, and of what they share with the other kinds.

Each kind is also told a second time, in a few lines that know the whole history at once, and the two must agree.
"""

from collections import Counter
from itertools import combinations

import msgspec
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
from tidings.wire.decisions import encode
from tidings.wire.events import instant, millis

NEVER_CAPPED = {"frequency_cap": "off"}
ABC = {"steps": ["A", {"event": "B", "times": 2}, "C"], "within": "40m"}
AT_ONCE = [
    a_rule(id="abc", trigger={"sequence": ABC}, **NEVER_CAPPED),
    a_rule(
        id="ab-by-thing", trigger={"sequence": {**ABC, "steps": ["A", "B"], "by": "properties.thing"}}, **NEVER_CAPPED
    ),
    a_rule(id="aa", trigger={"sequence": {**ABC, "steps": ["A", "A"]}}, **NEVER_CAPPED),
    a_rule(
        id="aa-paused", trigger={"sequence": {**ABC, "steps": ["A", "A"]}}, re_entry={"after": "1h"}, **NEVER_CAPPED
    ),
    a_rule(id="ca-once", trigger={"sequence": {**ABC, "steps": ["C", "A"]}}, re_entry="once", **NEVER_CAPPED),
    a_rule(id="two-of-a", trigger={"performed": {"event": "A", "times": 2, "within": "1h"}}, **NEVER_CAPPED),
]
SESSION = {"gap": "12m", "having": [{"event": "A", "at_least": 2}], "none_of": ["C"]}
AT_THE_END = [
    a_rule(id="session", trigger={"session_ended": {"gap": "12m"}}, **NEVER_CAPPED),
    a_rule(id="session-counts", trigger={"session_ended": SESSION}, **NEVER_CAPPED),
    a_rule(
        id="session-by",
        trigger={"session_ended": {**SESSION, "having": [{"event": "A", "at_least": 2, "by": "properties.thing"}]}},
        re_entry={"after": "1h"},
        **NEVER_CAPPED,
    ),
    a_rule(
        id="session-of",
        trigger={"session_ended": {**SESSION, "of": ["A", "B"]}},
        entry_key="properties.thing",
        exit_on=["D"],
        **NEVER_CAPPED,
    ),
    a_rule(id="session-once", trigger={"session_ended": SESSION}, re_entry="once", **NEVER_CAPPED),
    a_rule(id="silence", trigger={"inactive": {"for": "25m", "after_at_least": {"times": 2}}}, **NEVER_CAPPED),
    a_rule(
        id="silence-exit",
        trigger={"inactive": {"for": "10m", "of": ["A", "B"]}},
        exit_on=["C"],
        entry_key="properties.thing",
        re_entry={"after": "30m"},
        **NEVER_CAPPED,
    ),
]
ENGINE = an_engine(*AT_ONCE, *AT_THE_END)
ENDINGS = an_engine(*AT_THE_END)


@st.composite
def histories(draw, longest_delay=LATENESS, names="ABCD", most=30, minutes=240):
    """Up to 30 events of four hours, each received at most `longest_delay` after it happened."""
    events = []
    for number in range(draw(st.integers(0, most))):
        happened = START + draw(st.integers(0, minutes)) * MINUTE + draw(st.sampled_from([0, 0, 0, 1, MINUTE - 1]))
        delay = draw(st.sampled_from([0, 0, 1, MINUTE, 10 * MINUTE, longest_delay]))
        events.append(
            an_event(
                draw(st.sampled_from(names)),
                instant(happened),
                instant(happened + min(delay, longest_delay)),
                message_id=f"m{draw(st.integers(0, 999)):03}-{number}",
                properties={"thing": draw(st.sampled_from(["a", "a", "b", None]))},
            )
        )
    return events


def by_time(events):
    return sorted(events, key=lambda one: (one.timestamp, one.message_id))


def told(decisions):
    """Everything that a decision says but for the instant at which it was taken."""
    return {encode(msgspec.structs.replace(one, decided_at=one.due_at)) for one in decisions}


@settings(max_examples=300, deadline=None)
@given(histories(longest_delay=0, minutes=59), st.data())
def test_the_order_of_arrival_inside_the_lateness_bound_changes_nothing_that_finally_fires(events, data):
    shuffled = data.draw(st.permutations(events))
    in_order, any_order = live(ENGINE, events, watermark_lags=LATENESS), live(ENGINE, shuffled, watermark_lags=LATENESS)
    assert what_fired(in_order) == what_fired(any_order)
    assert told(one for one in in_order if one.rule_id.startswith("s")) == told(
        one for one in any_order if one.rule_id.startswith("s")
    )


@settings(max_examples=300, deadline=None)
@given(histories())
def test_a_sequence_fires_as_often_as_if_everything_that_came_within_an_hour_had_come_in_order(events):
    engine = an_engine(*AT_ONCE)
    punctual = [
        an_event(e.event, e.timestamp, message_id=e.message_id, properties=e.read("properties")) for e in events
    ]
    in_order = replay(engine, "u:ann", by_time(punctual), UNTIL).decisions
    assert what_fired(replay(engine, "u:ann", events, UNTIL).decisions) == what_fired(in_order)


@settings(max_examples=300, deadline=None)
@given(histories(longest_delay=0), st.data())
def test_a_backlog_changes_nothing_that_fires_at_the_end_of_something(events, data):
    shuffled = data.draw(st.permutations(events))
    assert told(live(ENDINGS, shuffled)) == told(replay(ENDINGS, "u:ann", events, UNTIL).decisions)


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


@settings(max_examples=300, deadline=None)
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
    while state.wake_at <= UNTIL + LATENESS:
        ENGINE.wake(state, state.wake_at)
    assert set(state.trackers) <= {"ca-once", "session-once"}
    assert not state.runs


NAMES = st.lists(st.tuples(st.integers(0, 90), st.sampled_from("ABCX")), max_size=25)


def at_minutes(history):
    history = sorted(history, key=lambda one: one[0])
    return [
        an_event(name, instant(START + minute * MINUTE), message_id=f"{n:03}")
        for n, (minute, name) in enumerate(history)
    ]


def sequence_rule(steps, within, **around):
    words = [{"event": name, "times": times} for name, times in steps]
    return a_rule(trigger={"sequence": {"steps": words, "within": f"{within}m"}}, **around, **NEVER_CAPPED)


STEPS = st.sampled_from(
    [[("A", 1), ("B", 1)], [("A", 1), ("B", 2)], [("A", 2), ("B", 1), ("A", 1)], [("A", 1), ("A", 2)]]
)


@settings(max_examples=300, deadline=None)
@given(NAMES, STEPS, st.integers(1, 60), st.sampled_from([0, 0, 20]))
def test_a_sequence_equals_a_brute_force_recount(history, steps, within, pause):
    """From every possible first event, take what comes next in order; the attempt that ends first fires, and so on."""
    wanted = [name for name, times in steps for _ in range(times)]
    history = sorted(history, key=lambda one: one[0])
    expected, begin = [], 0
    while True:
        ends = []
        for first in range(begin, len(history)):
            for last in range(first, len(history)):
                ready = not expected or history[last][0] >= expected[-1] + pause
                if (
                    ready
                    and history[last][0] - history[first][0] < within
                    and is_attempt(history[first : last + 1], wanted)
                ):
                    ends.append(last)
        if not ends:
            break
        expected.append(history[min(ends)][0])
        begin = min(ends) + 1
    rule = sequence_rule(steps, within, re_entry={"after": f"{pause}m"} if pause else "every_time")
    decisions = replay(an_engine(rule), "u:ann", at_minutes(history), UNTIL).decisions
    assert [(millis(one.due_at) - START) // MINUTE for one in decisions] == expected


def is_attempt(stretch, wanted):
    """Whether a stretch of history begins and ends with, and in between contains, what is wanted, in order."""
    names = [name for _, name in stretch]
    if len(names) < len(wanted) or (names[0], names[-1]) != (wanted[0], wanted[-1]):
        return False
    inside = iter(names[1:-1])
    return all(name in inside for name in wanted[1:-1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("AB")), max_size=9), st.integers(2, 30), st.data())
def test_a_sequence_fires_as_often_as_attempts_can_follow_one_another_whatever_arrives_first(history, within, data):
    """Every set of events that makes an attempt, and the largest number of them that do not overlap."""
    events = at_minutes(history)
    attempts = [
        (numbers[0], numbers[-1])
        for numbers in combinations(range(len(events)), 3)
        if "".join(events[number].event for number in numbers) == "AAB"
        and millis(events[numbers[-1]].timestamp) - millis(events[numbers[0]].timestamp) < within * MINUTE
    ]
    engine = an_engine(sequence_rule([("A", 2), ("B", 1)], within))
    state, fired = PersonState("u:ann"), 0
    for arrived, event in enumerate(data.draw(st.permutations(events))):
        now_fired = len(engine.feed(state, [event], START + arrived).decisions)
        assert now_fired <= 1
        fired += now_fired
    assert fired == most_disjoint(attempts)


def most_disjoint(spans, begin=-1):
    return max((1 + most_disjoint(spans, last) for first, last in spans if first > begin), default=0)


def recounted_sessions(history, gap, allow=None):
    """(first, last, names) of each session of a history of (minute, name)."""
    sessions = []
    for minute, name in sorted(history, key=lambda one: one[0]):
        if allow and name not in allow:
            continue
        if sessions and minute < sessions[-1][1] + gap:
            sessions[-1][1] = minute
            sessions[-1][2].append(name)
        else:
            sessions.append([minute, minute, [name]])
    return sessions


@settings(max_examples=300, deadline=None)
@given(NAMES, st.integers(1, 30), st.integers(1, 3), st.data())
def test_sessions_equal_a_brute_force_recount_whatever_arrives_first(history, gap, least, data):
    rule = a_rule(
        trigger={
            "session_ended": {
                "gap": f"{gap}m",
                "of": ["A", "B"],
                "having": [{"event": "A", "at_least": least}, {"event": "B", "at_most": 2}],
                "none_of": ["C"],
            }
        },
        **NEVER_CAPPED,
    )
    forbidden = [minute for minute, name in history if name == "C"]
    expected = [
        last + gap
        for first, last, names in recounted_sessions(history, gap, allow="AB")
        if names.count("A") >= least
        and names.count("B") <= 2
        and not any(first <= minute < last + gap for minute in forbidden)
    ]
    assert minutes_fired(rule, data.draw(st.permutations(at_minutes(history)))) == expected


@settings(max_examples=300, deadline=None)
@given(NAMES, st.integers(1, 30), st.integers(1, 3), st.data())
def test_silence_equals_a_brute_force_recount_whatever_arrives_first(history, wait, least, data):
    rule = a_rule(
        trigger={"inactive": {"for": f"{wait}m", "of": ["A", "B"], "after_at_least": {"times": least}}},
        exit_on=["C"],
        **NEVER_CAPPED,
    )
    exits = [minute for minute, name in history if name == "C"]
    expected = [
        last + wait
        for _, last, names in recounted_sessions(history, wait + 1, allow="AB")
        if len(names) >= least and not any(last <= minute <= last + wait for minute in exits)
    ]
    assert minutes_fired(rule, data.draw(st.permutations(at_minutes(history)))) == expected


def minutes_fired(rule, events):
    """All events first, in the given order, and then all of the time."""
    engine, state, decisions = an_engine(rule), PersonState("u:ann"), []
    for event in events:
        assert not engine.feed(state, [event], START).decisions
    while state.wake_at <= UNTIL:
        decisions += engine.wake(state, state.wake_at).decisions
    return [(millis(one.due_at) - START) // MINUTE for one in decisions]


@settings(max_examples=200, deadline=None)
@given(NAMES)
def test_counts_by_value_equal_a_brute_force_recount(history):
    """Names stand for values here: the one that is most frequent must be frequent enough."""
    rule = a_rule(
        trigger={"session_ended": {"gap": "10m", "having": [{"event": "V", "at_least": 3, "by": "properties.of"}]}},
        **NEVER_CAPPED,
    )
    expected = [last + 10 for _, last, names in recounted_sessions(history, 10) if max(Counter(names).values()) >= 3]
    events = [an_event("V", one.timestamp, properties={"of": one.event}) for one in at_minutes(history)]
    assert minutes_fired(rule, events) == expected
