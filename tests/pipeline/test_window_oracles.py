"""Beam's own windows as the oracle: the same events, the same answer.

Beam runs once for all histories, because a run costs a second: each made-up person is a key.
"""

import random

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import Sessions, SlidingWindows, TimestampedValue

from tests.people import a_rule, an_engine, an_event
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.events import instant, millis

MINUTE = 60_000
START = 1_772_400_000_000
UNTIL = START + 24 * 60 * MINUTE
GAP, WITHIN = 30, 15
PEOPLE = 60

SESSION = {"gap": f"{GAP}m", "having": [{"event": "View", "at_least": 3}], "none_of": ["Order"]}
THINGS = {"event": "View", "times": 3, "within": f"{WITHIN}m", "by": "properties.thing"}
RULES = [
    a_rule(id="sessions", trigger={"session_ended": {"gap": f"{GAP}m"}}, frequency_cap="off"),
    a_rule(id="views", trigger={"session_ended": SESSION}, frequency_cap="off"),
    a_rule(id="things", trigger={"performed": THINGS}, re_entry="once", frequency_cap="off"),
]


def histories():
    """Of each person some doings; many of them exactly the gap apart, or a minute more or less."""
    rng = random.Random(11)
    for person in range(PEOPLE):
        minute, doings = 0, []
        for number in range(rng.randint(1, 40)):
            minute += rng.choice([0, 1, 2, 3, 5, 7, 7, 8, GAP - 1, GAP, GAP + 1])
            at = START + minute * MINUTE
            name = rng.choices(["View", "Search", "Order"], [8, 3, 1])[0]
            thing = rng.choice(["lamp", "rug"])
            doings.append(
                an_event(name, instant(at), user_id=f"{person}", message_id=f"{number:03}", properties={"thing": thing})
            )
        yield f"u:{person}", doings


@pytest.fixture(scope="module")
def people():
    return dict(histories())


def as_one_backlog(engine, person, events):
    """Everything in any order, and then all of the time."""
    state, decisions = PersonState(person), []
    for event in random.Random(3).sample(events, len(events)):
        decisions += engine.feed(state, [event], millis(event.received_at)).decisions
    while state.wake_at <= UNTIL:
        decisions += engine.wake(state, state.wake_at).decisions
    return decisions


def as_it_happens(engine, person, events):
    """In the order of a network that holds some of it up, with a watermark that knows of what is held up."""
    rng = random.Random(5)
    held_up = sorted(events, key=lambda one: millis(one.timestamp) + rng.choice([0, 0, 20, 59]) * MINUTE)
    state, decisions = PersonState(person), []
    for place, event in enumerate(held_up):
        watermark = min(millis(one.timestamp) for one in held_up[place:])
        while state.wake_at <= watermark:
            decisions += engine.wake(state, state.wake_at).decisions
        decisions += engine.feed(state, [event], millis(event.received_at)).decisions
    while state.wake_at <= UNTIL:
        decisions += engine.wake(state, state.wake_at).decisions
    return decisions


def in_order(engine, person, events):
    return list(replay(engine, person, events, UNTIL).decisions)


def decided(people, how):
    """(rule, person, key, the instant at which it was due, when the first event behind it happened)."""
    engine = an_engine(*RULES)
    times = {(person, one.message_id): millis(one.timestamp) for person, events in people.items() for one in events}
    return {
        (one.rule_id, person, one.entry_key, millis(one.due_at), times[person, one.evidence[0]])
        for person, events in people.items()
        for one in how(engine, person, events)
    }


def span(window):
    return window.start.micros // 1000, window.end.micros // 1000


def timestamped(people):
    return [
        TimestampedValue((person, one), millis(one.timestamp) / 1000)
        for person, events in people.items()
        for one in events
    ]


def test_sessions_end_where_those_of_beam_end(people):
    def as_beam_has_them(sessions):
        expected = set()
        for person, names, (start, end) in sessions:
            expected.add(("sessions", person, "", end, start))
            if names.count("View") >= 3 and "Order" not in names:
                expected.add(("views", person, "", end, start))
        assert len(expected) > 2 * PEOPLE
        for how in (in_order, as_one_backlog, as_it_happens):
            assert {one for one in decided(people, how) if one[0] != "things"} == expected, how.__name__

    with BeamPipeline(runner="FnApiRunner") as pipeline:
        sessions = (
            pipeline
            | beam.Create(timestamped(people))
            | beam.MapTuple(lambda person, event: (person, event.event))
            | beam.WindowInto(Sessions(GAP * 60))
            | beam.GroupByKey()
            | beam.MapTuple(lambda person, names, window=beam.DoFn.WindowParam: (person, [*names], span(window)))
        )
        assert_that(sessions, as_beam_has_them)


def test_a_count_is_reached_in_the_first_sliding_window_of_beam_that_holds_so_many(people):
    """Windows of 15 minutes, one each minute: on a grid of minutes that of (t - 15, t] ends at t + 1."""

    def as_beam_counts(windows):
        first = {}
        for (person, thing), count, (_, end) in windows:
            if count >= 3:
                first[person, thing] = min(end - MINUTE, first.get((person, thing), end))
        assert len(first) > PEOPLE / 2
        for how in (in_order, as_one_backlog):
            fired = {one[1:3]: one[3] for one in decided(people, how) if one[0] == "things"}
            assert fired.keys() == first.keys(), how.__name__
            if how is in_order:
                assert fired == first

    with BeamPipeline(runner="FnApiRunner") as pipeline:
        windows = (
            pipeline
            | beam.Create(timestamped(people))
            | beam.Filter(lambda one: one[1].event == "View")
            | beam.MapTuple(lambda person, event: ((person, event.read("properties")["thing"]), 1))
            | beam.WindowInto(SlidingWindows(WITHIN * 60, 60))
            | beam.CombinePerKey(sum)
            | beam.MapTuple(lambda key, count, window=beam.DoFn.WindowParam: (key, count, span(window)))
        )
        assert_that(windows, as_beam_counts)
