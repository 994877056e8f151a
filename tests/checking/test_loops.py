"""Rules that begin each other with reports about their mail: found, and named, whenever the engine would go on."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.people import a_rule, an_engine
from tests.sends import NOW, a_decision
from tidings.checking import loops
from tidings.deciding.state import PersonState
from tidings.feedback import email_events
from tidings.feedback.email_events import NAMES
from tidings.records.store import LedgerEntry
from tidings.rules.rule import load
from tidings.wire.events import Event, millis

SENT, SUPPRESSED, OPENED, CLICKED = "Email Sent", "Email Suppressed", "Email Opened", "Email Link Clicked"


def of(campaign, event=SENT, **more):
    """A selector of reports about the mail of one rule, or of one of several."""
    operator = "in" if isinstance(campaign, list) else "equals"
    conditions = [{"path": "properties.campaign_id", operator: campaign}]
    conditions += [{"path": f"properties.{name}", "equals": value} for name, value in more.items()]
    return {"event": event, "where": conditions}


def rule(rule_id, event=None, **fields):
    """A rule of nothing but its trigger; transactional, so no cap slows it down."""
    trigger = {} if event is None else {"trigger": {"performed": {"event": event} if isinstance(event, str) else event}}
    return a_rule(id=rule_id, **{"kind": "transactional", **trigger, **fields})


def remarks(*documents):
    return loops.remarks([load(one) for one in documents])


def severities(*documents):
    return {name: one.severity for name, one in remarks(*documents).items()}


def test_two_rules_that_begin_with_each_others_mail_are_refused_by_name():
    found = remarks(rule("a", of("b")), rule("b", of("a")), rule("c", of("a")))
    assert found.keys() == {"a", "b"}, "c sends for ever too, and ends with them"
    assert found["a"].severity == "error"
    assert (found["a"].path, found["a"].value) == ("trigger.performed", SENT)
    assert found["a"].reason == (
        "this can go on for ever: Email Sent of a begins b and Email Sent of b begins a; nothing slows it down"
    )


def test_a_rule_never_begins_with_reports_about_its_own_mail_but_for_clicks():
    assert severities(rule("a", SENT)) == {}
    assert severities(rule("a", of("a"))) == {}
    assert severities(rule("a", {"type": "track"}), rule("b", {"type": "track"})) == {}
    found = remarks(rule("a", CLICKED))
    assert found["a"].severity == "warning"
    assert found["a"].reason.endswith("Email Link Clicked of a begins a, as long as somebody clicks")


@pytest.mark.parametrize("name", [SENT, SUPPRESSED, OPENED, "Email Delivered", "Email Bounced"])
def test_whatever_a_mail_brings_about_by_itself_goes_round(name):
    assert severities(rule("a", name), rule("b", name)).keys() == {"a", "b"}


@pytest.mark.parametrize("name", [NAMES["complained"], NAMES["unsubscribed"]])
def test_who_has_turned_away_gets_no_mail_to_turn_away_from(name):
    assert severities(rule("a", name), rule("b", name)) == {}


@pytest.mark.parametrize(
    "where",
    [
        of("c"),
        of("b", category="another"),
        of("b", event=SUPPRESSED, reason="tired"),
        of("b", event="Email Bounced", permanent=True),
        of("b", event=OPENED, agent="scanner"),
        of("b", link_id="1"),
        {"event": SENT, "where": {"path": "traits.plan", "equals": "pro"}},
        {"event": SENT, "by": "properties.product_id", "times": 2, "within": "1h"},
    ],
)
def test_what_no_report_about_that_mail_says_begins_nothing(where):
    assert severities(rule("a", where), rule("b", of("a"))) == {}


@pytest.mark.parametrize(
    "ends",
    [
        {"re_entry": "once"},
        {"re_entry": "once", "entry_key": "properties.campaign_id"},
        {"send": {"template": "welcome", "to": "support"}},
        {"status": "shadow", "shadow_of": "c"},
        {"audience": {"path": "traits.plan", "equals": "free"}},
    ],
)
def test_what_ends_the_circle_takes_the_remark_away(ends):
    first = rule("a", of("b"), audience={"path": "traits.plan", "equals": "pro"})
    assert severities(first, rule("b", of("a"))) == {"a": "error", "b": "error"}
    assert severities(first, rule("b", of("a"), **ends)) == {}


def test_once_for_each_mail_is_no_end():
    again = {"re_entry": "once", "entry_key": "properties.email_id"}
    assert severities(rule("a", of("b"), **again), rule("b", of("a"), **again)) == {"a": "error", "b": "error"}


@pytest.mark.parametrize(
    "slow",
    [
        {"kind": "marketing"},
        {"re_entry": {"after": "1d"}},
        {"steps": [{"wait": "20h"}, {"send": "welcome"}]},
        {"trigger": {"not_performed": {"after": of("b"), "none_of": ["Ordered"], "within": "1d"}}},
        {"trigger": {"inactive": {"for": "30d", "of": [of("b")]}}},
        {"trigger": {"session_ended": {"gap": "16h", "having": [of("b")]}}},
        {"trigger": {"performed": {**of("b"), "times": 2, "within": "1h"}}},
        {"trigger": {"sequence": {"steps": [of("b"), of("b", OPENED)], "within": "1h"}}},
        {"trigger": {"performed": of("b", email_subject="Welcome")}},
    ],
)
def test_a_circle_that_is_slowed_down_or_may_not_close_is_a_warning(slow):
    assert severities(rule("a", of("b"), **slow), rule("b", of("a"))) == {"a": "warning", "b": "warning"}


@pytest.mark.parametrize(
    "fast",
    [
        {"kind": "marketing", "frequency_cap": "off"},
        {"kind": "marketing", "frequency_cap": {"max": 20, "per": "16h"}},
        {"re_entry": {"after": "10m"}},
        {"re_entry": {"after": "7d"}, "entry_key": "properties.email_id"},
        {"trigger": {"not_performed": {"after": of("b"), "none_of": ["Ordered"], "within": "1h"}}},
    ],
)
def test_what_hardly_slows_it_down_is_no_excuse(fast):
    assert severities(rule("a", of("b"), **fast), rule("b", of("a"))) == {"a": "error", "b": "error"}


def test_the_frequency_cap_does_not_slow_down_what_begins_with_a_mail_that_it_stopped():
    both = [rule(name, SUPPRESSED, kind="marketing") for name in "ab"]
    assert severities(*both) == {"a": "error", "b": "error"}


def test_who_clicks_slowly_may_go_on():
    clicks = {"trigger": {"performed": of("a", CLICKED)}}
    assert severities(rule("a", **clicks)) == {"a": "warning"}
    assert severities(rule("a", kind="marketing", **clicks)) == {}


@pytest.mark.parametrize(
    "trigger",
    [
        {"sequence": {"steps": [of("b"), "Ordered"], "within": "1h"}},
        {"session_ended": {"gap": "1h", "of": [of("b")], "having": ["Ordered"]}},
        {"session_ended": {"gap": "1h"}},
        {"inactive": {"for": "1d"}},
        {"score": {"features": [{**of("b"), "weight": 1, "within": "1h"}], "above": 0}},
        {"segment": {"id": "mailed", "on": "enter"}},
    ],
)
def test_what_needs_more_than_mail_to_begin_does_not_go_on_by_itself(trigger):
    assert severities(rule("a", trigger=trigger), rule("b", of("a"))) == {}


def named(graph):
    """Rules that each begin with the mail of those that the graph names for them."""
    return [rule(name, of(sorted(sources)) if sources else "Signed Up") for name, sources in graph.items()]


@st.composite
def acyclic(draw):
    names = draw(st.permutations([f"r{number}" for number in range(draw(st.integers(1, 7)))]))
    return {name: draw(st.sets(st.sampled_from(names[:at]))) if at else set() for at, name in enumerate(names)}


@settings(max_examples=150, deadline=None)
@given(acyclic())
def test_rules_that_lead_nowhere_back_are_never_remarked_upon(graph):
    assert remarks(*named(graph)) == {}


@settings(max_examples=150, deadline=None)
@given(acyclic().filter(lambda graph: len(graph) > 1), st.data())
def test_a_circle_is_always_found_and_told_from_each_rule_back_to_itself(graph, data):
    ring = data.draw(st.lists(st.sampled_from(sorted(graph)), min_size=2, unique=True))
    for before, after in zip(ring, [*ring[1:], ring[0]], strict=True):
        graph[after].add(before)
    found = remarks(*named(graph))
    assert found.keys() >= set(ring)
    for name, one in found.items():
        told, _, _ = one.reason.removeprefix("this can go on for ever: ").partition(";")
        steps = [step.removeprefix("Email Sent of ").split(" begins ") for step in told.split(" and ")]
        assert steps[0][0] == steps[-1][1] == name
        assert all(source in graph[target] for source, target in steps)
        assert all(one[1] == other[0] for one, other in pairwise(steps))


def reports(rule_id: str, number: int) -> list[Event]:
    """What becomes of a mail of a rule: that it was sent, and that it was not."""
    decision = a_decision(send_id=f"{number:032}", rule_id=rule_id, category="marketing", person="u:ann")
    entry = LedgerEntry(
        send_id=decision.send_id, status="sent", decision=decision, updated_at=NOW, lease_until=NOW, reason=None
    )
    kept = [entry, replace(entry, status="suppressed", reason="frequency_capped")]
    return [event for event in map(email_events.of_ending, kept) if event is not None]


def goes_on(documents):
    """Whether the engine still decides something after far more turns than a way that ends can have."""
    engine, state, waiting, decided = an_engine(*documents), PersonState("u:ann"), [], 0
    for number, one in enumerate(documents):
        waiting += reports(one["id"], number)
    while waiting and decided < 100:
        event = waiting.pop()
        for decision in engine.feed(state, [event], millis(event.received_at)).decisions:
            decided += 1
            waiting += reports(decision.rule_id, 1000 + decided)
    return bool(waiting)


selectors = st.sampled_from(
    [
        SENT,
        SUPPRESSED,
        *[of(name, event) for name in ("r0", "r1", "r2", ["r0", "r1"]) for event in (SENT, SUPPRESSED)],
        of("r0", SUPPRESSED, reason="frequency_capped"),
        of(["r1", "r2"], SENT, reason="frequency_capped"),
        of("r1", email_subject="None of them has one"),
        {"type": "track"},
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(selectors, st.sampled_from(["every_time", "every_time", "once"])), min_size=1, max_size=3))
def test_what_goes_on_in_the_engine_is_found_and_what_is_refused_goes_on(drawn):
    documents = [rule(f"r{at}", event, re_entry=again) for at, (event, again) in enumerate(drawn)]
    found = severities(*documents)
    if goes_on(documents):
        assert found
    else:
        assert "error" not in found.values()
