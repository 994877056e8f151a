"""Rules that can never fire. What is said of them is asked of the engine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.people import a_rule, an_engine, an_event, at
from tidings.checking import never
from tidings.deciding.replay import replay
from tidings.rules.rule import load
from tidings.rules.segments import load as load_segment
from tidings.wire.events import instant, millis

FIRES = "the rule never fires"
START = millis(at("10:00"))
MINUTE = 60_000


def remarks(segments=None, **fields):
    """Path and reason of all that is said of a rule."""
    rule = load(a_rule(**fields))
    known = {name: load_segment({"where": where}, name) for name, where in (segments or {}).items()}
    return {one.path: one.reason for one in never.in_rule(rule, known)}


def says_never(segments=None, **fields):
    return any(FIRES in reason for reason in remarks(segments, **fields).values())


def fires(names, segments=None, **fields):
    """Whether a person who does these things, a minute apart, makes the rule decide anything."""
    events = [an_event(name, instant(START + number * MINUTE)) for number, name in enumerate(names)]
    engine = an_engine({**fields, "frequency_cap": "off"}, segments=segments)
    return bool(replay(engine, "u:ann", events, START + 100 * 24 * 60 * MINUTE).decisions)


TWICE = {"performed": {"event": "A", "times": 2, "within": "1h"}}
NEVER = [
    {"trigger": TWICE, "exit_on": ["A"]},
    {"trigger": {"performed": {"event": "A"}}, "exit_on": ["A"], "re_entry": "once"},
    {"trigger": TWICE, "exit_on": [{"type": "track"}]},
    {"trigger": {"sequence": {"steps": ["A", "B"], "within": "1h"}}, "exit_on": ["B"]},
    {"trigger": {"sequence": {"steps": ["A", "B"], "within": "1h"}}, "exit_on": ["A"]},
    {"trigger": {"session_ended": {"gap": "10m", "having": ["A"], "none_of": ["A"]}}},
    {"trigger": {"session_ended": {"gap": "10m", "of": ["A", "B"]}}, "exit_on": ["A", "B"]},
    {"trigger": {"session_ended": {"gap": "10m", "of": ["A"], "having": [{"event": "A", "at_most": 0}]}}},
    {
        "trigger": {
            "session_ended": {"gap": "10m", "having": [{"event": "A", "at_least": 3}, {"event": "A", "at_most": 2}]}
        }
    },
    {"trigger": {"inactive": {"for": "1d", "of": ["A", "B"]}}, "exit_on": ["A", "B"]},
    {"trigger": {"inactive": {"for": "1d"}}, "exit_on": [{"type": "track"}, {"page": "*"}, {"screen": "*"}]},
    {"trigger": {"score": {"features": [{"event": "A", "weight": 1, "within": "1h", "at_most": 3}], "above": 3}}},
    {"trigger": {"score": {"features": [{"event": "A", "weight": 5, "within": "1h"}], "above": 3}}, "exit_on": ["A"]},
    {
        "trigger": {
            "score": {
                "features": [
                    {"event": "A", "weight": -1, "within": "1h", "at_most": 2},
                    {"event": "B", "weight": 1, "within": "1h"},
                ],
                "bias": 9,
                "above": 3,
            }
        }
    },
]
SOMETIMES = [
    ("A", {"trigger": {"performed": {"event": "A"}}, "exit_on": ["A"]}),
    ("AA", {"trigger": TWICE, "exit_on": ["B"]}),
    ("AA", {"trigger": TWICE, "exit_on": [{"event": "A", "where": {"path": "properties.x", "exists": True}}]}),
    ("AA", {"trigger": {"not_performed": {"after": "A", "none_of": ["A"], "within": "30m"}}}),
    ("A", {"trigger": {"not_performed": {"after": "A", "none_of": ["B"], "within": "30m"}}, "exit_on": ["A"]}),
    ("AB", {"trigger": {"sequence": {"steps": ["A", "B"], "within": "1h"}}, "exit_on": ["C"]}),
    ("B", {"trigger": {"session_ended": {"gap": "10m", "of": ["A", "B"], "none_of": ["A"]}}}),
    ("B", {"trigger": {"session_ended": {"gap": "10m", "having": [{"event": "A", "at_most": 0}]}}}),
    ("AB", {"trigger": {"inactive": {"for": "1d"}}, "exit_on": ["A"]}),
    ("AAAA", {"trigger": {"score": {"features": [{"event": "A", "weight": 1, "within": "1h"}], "above": 3}}}),
    (
        "AAB",
        {
            "trigger": {
                "score": {
                    "features": [
                        {"event": "A", "weight": -4, "within": "2m", "at_most": 2},
                        {"event": "B", "weight": 1, "within": "1h"},
                    ],
                    "bias": 9,
                    "above": 3,
                }
            }
        },
    ),
]


@pytest.mark.parametrize("rule", NEVER, ids=lambda rule: next(iter(rule["trigger"])))
@settings(max_examples=40, deadline=None)
@given(names=st.text(alphabet="ABC", max_size=12))
def test_a_rule_of_which_it_is_said_that_it_never_fires_does_not(rule, names):
    assert says_never(**rule)
    assert not fires(names, **rule)


@pytest.mark.parametrize(
    ("names", "rule"), SOMETIMES, ids=lambda one: next(iter(one["trigger"])) if isinstance(one, dict) else one
)
def test_a_rule_that_does_fire_is_not_said_to_be_unable_to(names, rule):
    assert not says_never(**rule)
    assert fires(names, **rule)


lists = st.lists(
    st.sampled_from(["A", "B", {"type": "track"}, {"event": "A", "where": {"path": "properties.x", "exists": True}}]),
    max_size=2,
)
triggers = st.one_of(
    st.builds(lambda n: {"performed": {"event": "A", "times": n, "within": "1h"}}, st.integers(1, 2)),
    st.builds(lambda steps: {"sequence": {"steps": list(steps), "within": "1h"}}, st.sampled_from(["AB", "AA", "BC"])),
    st.builds(
        lambda after, none: {"not_performed": {"after": after, "none_of": none or ["C"], "within": "10m"}},
        st.sampled_from("AB"),
        lists,
    ),
    st.builds(
        lambda of, least, none: {"session_ended": {"gap": "3m", "of": list(of), "having": least, "none_of": none}},
        st.sampled_from(["A", "AB"]),
        st.lists(
            st.builds(
                lambda e, n: {"event": e, **n},
                st.sampled_from("AB"),
                st.sampled_from([{"at_least": 2}, {"at_most": 0}, {"at_most": 1}]),
            ),
            max_size=2,
        ),
        lists,
    ),
    st.builds(lambda of: {"inactive": {"for": "5m", "of": list(of)}}, st.sampled_from(["A", "AB"])),
    st.builds(
        lambda a, b, above: {
            "score": {
                "features": [
                    {"event": "A", "weight": a, "within": "10m", "at_most": 2},
                    {"event": "B", "weight": b, "within": "10m", "at_most": 1},
                ],
                "above": above,
            }
        },
        st.integers(-2, 2),
        st.integers(-2, 2),
        st.integers(-3, 5),
    ),
)


@settings(max_examples=600, deadline=None)
@given(
    triggers,
    lists,
    st.sampled_from(["every_time", "once", {"after": "1h"}]),
    st.lists(st.text(alphabet="ABC", max_size=8), min_size=3, max_size=3),
)
def test_whatever_the_rule_says_the_engine_agrees_that_it_never_fires(trigger, exits, re_entry, histories):
    rule = {"trigger": trigger, "exit_on": exits, "re_entry": re_entry}
    if says_never(**rule):
        assert not any(fires(names, **rule) for names in histories)


def test_a_segment_that_nobody_can_be_in_is_never_entered():
    impossible = {"all": [{"performed": {"event": "A"}}, {"not": {"performed": {"event": "A"}}}]}
    trigger = {"segment": {"id": "s", "on": "enter"}}
    assert "nobody can ever be in" in remarks({"s": impossible}, trigger=trigger)["trigger.segment.id"]
    assert not fires("AAB", {"s": impossible}, trigger=trigger)


def test_a_segment_that_everybody_is_in_is_never_left():
    everybody = {"any": [{"performed": {"event": "A"}}, {"not": {"performed": {"event": "A"}}}]}
    for on in ("enter", "leave"):
        trigger = {"segment": {"id": "s", "on": on}}
        assert "everybody is in" in remarks({"s": everybody}, trigger=trigger)["trigger.segment.id"]
        assert not fires("AAB", {"s": everybody}, trigger=trigger)


def test_a_segment_that_people_enter_and_leave_is_left_alone():
    where = {"performed": {"event": "A", "within": "1d"}}
    for on in ("enter", "leave"):
        assert remarks({"s": where}, trigger={"segment": {"id": "s", "on": on}}) == {}
        assert fires("A", {"s": where}, trigger={"segment": {"id": "s", "on": on}})


def test_an_audience_that_contradicts_itself_is_named():
    both = {"all": [{"segment": "s"}, {"not": {"segment": "s"}}]}
    said = remarks(trigger=TWICE, audience=both)
    assert said == {"audience": "nobody is ever in this audience: segment s and not segment s are never true together"}
    assert remarks(trigger=TWICE, audience={"segment": "s"}) == {}


def test_a_condition_that_no_event_fits_is_named_with_its_place():
    where = {"all": [{"path": "properties.a", "equals": 3}, {"path": "properties.a", "equals": 4}]}
    assert list(remarks(trigger={"performed": {"event": "A", "where": where}})) == ["trigger.performed.where"]


def test_a_reset_that_also_ends_the_wait_does_not_start_it_again():
    trigger = {"after": "A", "none_of": ["B"], "within": "10m", "reset_on": ["B"]}
    assert (
        "never starts the clock again"
        in remarks(trigger={"not_performed": trigger})["trigger.not_performed.reset_on[0]"]
    )
    assert remarks(trigger={"not_performed": {**trigger, "reset_on": ["C"]}}) == {}


def test_unless_before_which_nothing_waits_never_skips():
    at_once = [{"send": "welcome", "unless": ["B"]}]
    assert "goes out at once" in remarks(trigger=TWICE, steps=at_once)["steps[0].unless[0]"]
    assert remarks(trigger=TWICE, steps=[{"wait": "1h"}, *at_once]) == {}


def test_unless_that_repeats_an_exit_has_no_effect():
    steps = [{"wait": "1h"}, {"send": "welcome", "unless": ["B"]}]
    assert "has no effect: exit_on[0]" in remarks(trigger=TWICE, steps=steps, exit_on=["B"])["steps[1].unless[0]"]


def test_the_event_that_began_a_run_does_not_skip_its_sends():
    rule = {"trigger": {"performed": {"event": "A"}}, "steps": [{"wait": "1h"}, {"send": "welcome", "unless": ["A"]}]}
    assert remarks(**rule) == {}
    assert fires("A", **rule)


def test_a_wait_that_nothing_follows_and_a_window_for_one_event_have_no_effect():
    assert "nothing follows" in remarks(trigger=TWICE, steps=[{"send": "welcome"}, {"wait": "1h"}])["steps[1].wait"]
    assert "no effect" in remarks(trigger={"performed": {"event": "A", "within": "1h"}})["trigger.performed.within"]
