"""What surrounds a trigger: whom a rule is for, and who is held out."""

from tests.deciding.surroundings import HELLO, told
from tests.people import an_engine, an_event, ms
from tidings.deciding.state import PersonState


def test_a_rule_is_only_for_its_audience():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    assert told([an_event("Hello", "10:00")], rule) == []
    assert told([free, an_event("Hello", "10:00")], rule) == [("03 10:00", "welcome", "send")]


def test_an_older_trait_that_arrives_later_changes_nothing():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    now_free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    once_paid = an_event("", "08:00", received="09:30", type="identify", traits={"plan": "paid"})
    assert len(told([now_free, once_paid, an_event("Hello", "10:00")], rule)) == 1


def test_a_trait_that_cannot_be_compared_is_not_in_the_audience():
    rule = {**HELLO, "audience": {"path": "traits.age", "gte": 18}}
    text = an_event("", "09:00", type="identify", traits={"age": "old enough"})
    assert told([text, an_event("Hello", "10:00")], rule) == []


def test_traits_that_no_rule_asks_about_are_not_kept():
    rule = {**HELLO, "audience": {"path": "traits.plan", "equals": "free"}}
    state = PersonState("u:ann")
    traits = {"plan": "free", "email": "ann@shop.example"}
    an_engine(rule).feed(state, [an_event("", "09:00", type="identify", traits=traits)], ms("09:00"))
    assert set(state.traits) == {"plan"}


def test_the_holdout_is_about_as_large_as_it_says_and_always_the_same_people():
    rule = {**HELLO, "holdout": 20}
    engine = an_engine(rule)
    held = [
        person
        for person in range(1000)
        for one in engine.feed(PersonState(f"u:{person}"), [an_event("Hello", "10:00")], ms("10:00")).decisions
        if one.reason == "holdout"
    ]
    assert 150 < len(held) < 250
    again = engine.feed(PersonState(f"u:{held[0]}"), [an_event("Hello", "11:00")], ms("11:00")).decisions
    assert again[0].reason == "holdout"
