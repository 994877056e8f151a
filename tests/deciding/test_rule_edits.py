"""Rules that are edited while somebody is in the middle of them."""

from tests.deciding.surroundings import CART, THREE_STEPS, added
from tests.people import a_rule, an_engine, an_event, at, ms
from tidings.deciding.engine import Engine
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.rules.rule import load


def edited(old, **changes):
    """An engine where `old` was superseded by an edit."""
    return Engine(RuleBook([load({**old, **changes})], superseded=[load(old)]))


def test_an_episode_that_runs_is_finished_under_the_version_it_began_with():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    slower = {"not_performed": {**CART["trigger"]["not_performed"], "within": "2h"}}
    engine = edited(CART, trigger=slower, send={"template": "new"})
    engine.feed(state, [added("10:05"), added("10:06", cart="c2")], ms("10:06"))
    first = engine.wake(state, ms("10:21")).decisions
    assert [(one.entry_key, one.template, one.due_at) for one in first] == [("c1", "welcome", at("10:20"))]
    second = engine.wake(state, ms("13:00")).decisions
    assert [(one.entry_key, one.template, one.due_at) for one in second] == [("c2", "new", at("12:06"))]
    assert first[0].rule_version == load(CART).version


def test_an_ending_event_of_the_old_version_still_ends_it():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    other = {"not_performed": {**CART["trigger"]["not_performed"], "none_of": ["Something Else"]}}
    engine = edited(CART, trigger=other)
    engine.feed(state, [an_event("Ordered", "10:05", properties={"cart": "c1"})], ms("10:05"))
    assert not engine.wake(state, ms("11:00")).decisions


def test_steps_that_are_left_are_those_of_the_version_that_began():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    shorter = {key: value for key, value in THREE_STEPS.items() if key != "steps"}
    engine = Engine(RuleBook([load({**shorter, "send": {"template": "new"}})], superseded=[load(THREE_STEPS)]))
    assert [one.template for one in engine.wake(state, ms("+1d 10:16")).decisions] == ["second"]


def test_a_count_that_has_not_fired_follows_the_rule_of_today():
    views = a_rule(id="views", trigger={"performed": {"event": "View", "times": 3, "within": "1h"}})
    state = PersonState("u:ann")
    an_engine(views).feed(state, [an_event("View", "10:00")], ms("10:00"))
    engine = edited(views, trigger={"performed": {"event": "View", "times": 2, "within": "1h"}})
    assert len(engine.feed(state, [an_event("View", "10:01")], ms("10:01")).decisions) == 1


def test_pausing_a_rule_pauses_its_earlier_versions_too():
    state = PersonState("u:ann")
    an_engine(CART).feed(state, [added("10:00")], ms("10:00"))
    engine = edited(CART, status="paused", send={"template": "new"})
    assert [one.reason for one in engine.wake(state, ms("11:00")).decisions] == ["rule_paused"]


def test_a_rule_that_is_gone_takes_its_runs_along():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    assert state.runs
    assert not an_engine().wake(state, ms("+1d 11:00")).decisions
    assert not state.runs


def test_an_event_that_ends_an_episode_of_before_an_edit_begins_one_of_after_it():
    form = a_rule(
        id="form",
        trigger={"not_performed": {"after": "Step", "none_of": ["Step"], "within": "30m"}},
        frequency_cap="off",
    )
    state = PersonState("u:ann")
    an_engine(form).feed(state, [an_event("Step", "10:00")], ms("10:00"))
    engine = edited(form, trigger={"not_performed": {"after": "Step", "none_of": ["Step"], "within": "2h"}})
    engine.feed(state, [an_event("Step", "10:20")], ms("10:20"))
    assert engine.wake(state, ms("12:00")).decisions == ()
    assert [one.due_at for one in engine.wake(state, ms("12:21")).decisions] == [at("12:20")]


def test_a_run_whose_version_is_forgotten_ends_when_the_newest_has_fewer_steps():
    state = PersonState("u:ann")
    before = an_engine(THREE_STEPS)
    before.feed(state, [added("10:00")], ms("10:00"))
    before.wake(state, state.wake_at)
    assert an_engine(CART).wake(state, ms("+1d 10:16")).decisions == ()
    assert not state.runs


def test_a_run_whose_version_is_forgotten_goes_on_under_the_newest_and_hears_what_ends_it():
    rule = a_rule(
        id="later", trigger={"performed": {"event": "Hello"}}, exit_on=["Bye"], steps=[{"wait": "2h"}, {"send": "one"}]
    )
    newest = an_engine({**rule, "steps": [{"wait": "3h"}, {"send": "two"}]})
    for bye in ([], [an_event("Bye", "10:30")]):
        state = PersonState("u:ann")
        an_engine(rule).feed(state, [an_event("Hello", "10:00")], ms("10:00"))
        newest.feed(state, bye, ms("10:30"))
        assert [one.template for one in newest.wake(state, ms("15:00")).decisions] == ([] if bye else ["two"])
