"""`sequence`: when exactly it fires."""

import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.errors import InvalidRuleError
from tidings.rules.rule import load
from tidings.wire.events import millis

DEMO_THEN_PRICES = a_rule(
    trigger={"sequence": {"steps": ["Demo Watched", {"page": "Pricing", "times": 2}], "within": "7d"}},
    frequency_cap="off",
)
IN_A_DAY = {"steps": ["A", "B"], "within": "1d"}


def demo(when, received=None, **fields):
    return an_event("Demo Watched", when, received, **fields)


def prices(when, received=None, **fields):
    return an_event("Pricing", when, received, type="page", **fields)


def sequence(**fields):
    around = {name: fields.pop(name) for name in ("exit_on", "re_entry") if name in fields}
    return a_rule(trigger={"sequence": {**IN_A_DAY, **fields}}, frequency_cap="off", **around)


def events(line, **fields):
    """`A10:00 B10:05`: an A at ten, a B five minutes later."""
    return [an_event(word[0], word[1:], message_id=word, **fields) for word in line.split()]


def decided(history, rule, until="+9d 00:00"):
    return replay(an_engine(rule), "u:ann", history, ms(until)).decisions


def fired(history, rule=DEMO_THEN_PRICES):
    return [f"{one.due_at:%d %H:%M}" for one in decided(history, rule)]


def test_the_event_that_completes_the_last_step_fires_at_once():
    assert fired([demo("10:00"), prices("10:30"), prices("11:00")]) == ["03 11:00"]


def test_a_last_step_that_is_not_complete_does_not():
    assert fired([demo("10:00"), prices("10:30")]) == []


def test_the_order_of_the_steps_matters():
    assert fired([prices("10:00"), prices("10:30"), demo("11:00")]) == []
    assert fired([prices("10:00"), demo("10:30"), prices("11:00")]) == []


def test_other_events_may_lie_in_between():
    assert fired(events("A10:00 X10:01 B10:02"), sequence()) == ["03 10:02"]


def test_what_comes_before_its_turn_does_not_spoil_an_attempt():
    assert fired(events("A10:00 C10:01 B10:02 C10:03"), sequence(steps=["A", "B", "C"])) == ["03 10:03"]


def test_the_window_is_half_open_from_the_first_event_to_the_last():
    assert fired([demo("10:00"), prices("11:00"), prices("+7d 10:00")]) == []
    assert fired([demo("10:00:00.001"), prices("11:00"), prices("+7d 10:00")]) == ["10 10:00"]


def test_of_overlapping_attempts_the_latest_start_that_can_still_be_completed_wins():
    [decision] = decided(events("A10:00 A10:10 B10:20"), sequence())
    assert decision.evidence == ("A10:10", "B10:20")


def test_an_attempt_that_has_come_further_goes_on_although_a_later_one_has_begun():
    rule = sequence(steps=["A", "B", "C"], within="1h")
    [decision] = decided(events("A10:00 B10:10 A10:20 C10:30"), rule)
    assert decision.evidence == ("A10:00", "B10:10", "C10:30")


def test_a_later_attempt_fires_where_the_earlier_one_has_run_out_of_time():
    rule = sequence(steps=["A", "B", "C"], within="1h")
    assert fired(events("A10:00 B10:10 A10:50 B10:55 C11:30"), rule) == ["03 11:30"]
    assert fired(events("A10:00 B10:10 A10:50 C11:30"), rule) == []


def test_a_firing_uses_up_everything_that_happened_before_it():
    assert fired(events("A10:00 A10:01 B10:02 B10:03"), sequence()) == ["03 10:02"]
    assert fired(events("A10:00 B10:02 A10:03 B10:04"), sequence()) == ["03 10:02", "03 10:04"]


def test_the_same_event_can_be_meant_by_two_steps_and_takes_the_place_of_one():
    rule = sequence(steps=["A", "A"])
    assert fired(events("A10:00 A10:01 A10:02 A10:03"), rule) == ["03 10:01", "03 10:03"]


def test_each_step_has_its_own_conditions():
    cheap, dear = ({"event": "V", "where": {"path": "properties.price", op: 100}} for op in ("lt", "gte"))
    rule = sequence(steps=[cheap, {**dear, "times": 2}])
    seen = [an_event("V", f"10:0{minute}", properties={"price": price}) for minute, price in enumerate([200, 5, 150])]
    assert fired(seen, rule) == []
    assert fired([*seen, an_event("V", "10:07", properties={"price": 100})], rule) == ["03 10:07"]


def test_by_keeps_the_attempts_of_different_values_apart():
    rule = sequence(by="properties.product")
    [a] = events("A10:00", properties={"product": "lamp"})
    [other] = events("B10:01", properties={"product": "rug"})
    [same] = events("B10:02", properties={"product": "lamp"})
    [nothing] = events("B10:03")
    [decision] = decided([a, other, nothing, same], rule)
    assert decision.evidence == ("A10:00", "B10:02")
    assert decision.entry_key == "lamp"


def test_an_exit_ends_every_attempt():
    assert fired(events("A10:00 X10:01 B10:02"), sequence(exit_on=["X"])) == []
    assert fired(events("A10:00 X10:01 A10:02 B10:03"), sequence(exit_on=["X"])) == ["03 10:03"]


def test_an_exit_that_arrives_late_ends_what_was_begun_before_it():
    [a, b] = events("A10:00 B10:30")
    late = an_event("X", "10:10", received="10:20")
    assert fired([a, late, b], sequence(exit_on=["X"])) == []


def test_a_late_event_takes_its_own_place():
    [a] = events("A10:00")
    b = an_event("B", "10:05", received="10:20")
    assert fired([a, b], sequence()) == ["03 10:05"]
    assert fired([b, a], sequence()) == ["03 10:05"]


def test_the_first_step_may_arrive_last():
    [b] = events("B10:30")
    a = an_event("A", "10:00", received="11:29", message_id="late")
    [decision] = decided([b, a], sequence())
    assert (f"{decision.due_at:%H:%M}", decision.evidence) == ("10:30", ("late", "B10:30"))


def test_a_late_event_does_not_let_the_same_attempt_fire_again():
    history = [*events("A10:00 B10:10"), an_event("A", "10:05", received="10:20")]
    assert fired(history, sequence()) == ["03 10:10"]


def test_events_of_the_same_millisecond_are_ordered_by_their_message_id():
    a, b = (an_event(name, "10:00", message_id=name.lower()) for name in "AB")
    assert fired([b, a], sequence()) == ["03 10:00"]
    assert fired([a, b], sequence(steps=["B", "A"])) == []


def test_the_same_message_twice_counts_once():
    [a, b] = events("A10:00 B10:01")
    assert fired([a, a, b, b], sequence(steps=[{"event": "A", "times": 2}, "B"])) == []


def test_a_rule_that_fires_once_stays_silent_afterwards():
    assert fired(events("A10:00 B10:01 A10:02 B10:03"), sequence(re_entry="once")) == ["03 10:01"]


def test_a_pause_holds_back_what_would_be_complete_until_an_event_completes_it_again():
    rule = sequence(re_entry={"after": "1h"})
    assert fired(events("A10:00 B10:10 A10:20 B10:30 B11:09 B11:10 B11:11"), rule) == ["03 10:10", "03 11:10"]


def test_what_somebody_did_before_they_were_known_is_part_of_the_attempt():
    first = demo("10:00", anonymous_id="web")
    hello = an_event("", "10:10", type="identify", user_id="ann", anonymous_id="web")
    assert fired([first, hello, prices("10:20"), prices("10:30")]) == ["03 10:30"]
    twice = [prices("10:02", anonymous_id="web"), prices("10:03", anonymous_id="web")]
    assert fired([demo("09:00"), *twice, hello]) == ["03 10:03"]


def test_the_message_shows_the_event_that_completed_it():
    [decision] = decided([*events("A10:00"), an_event("B", "10:01", properties={"x": 7})], sequence())
    assert decision.event.name == "B"
    assert bytes(decision.event.properties) == b'{"x":7}'


def test_a_time_scale_shortens_the_window():
    engine = an_engine(sequence(within="1h"), time_scale=60)
    assert len(replay(engine, "u:ann", events("A10:00:00 B10:00:59"), ms("11:00")).decisions) == 1
    assert replay(engine, "u:ann", events("A10:00:00 B10:01:00"), ms("11:00")).decisions == []


def test_an_edit_alone_fires_nothing_and_what_is_under_way_is_judged_by_the_rule_as_it_is_now():
    state = PersonState("u:ann")
    [a, b, c] = events("A10:00 B10:10 C10:20")
    three_steps, two_steps = an_engine(sequence(steps=["A", "B", "C"])), an_engine(sequence())
    assert not three_steps.feed(state, [a, b], ms("10:10")).decisions
    assert not two_steps.feed(state, [*events("A10:15")], ms("10:15")).decisions
    assert len(two_steps.feed(state, [*events("B10:16")], ms("10:16")).decisions) == 1
    assert not three_steps.feed(state, [c], ms("10:20")).decisions


def test_a_person_who_never_gets_beyond_the_first_step_costs_a_bounded_amount():
    engine, state = an_engine(sequence(within="300d")), PersonState("u:ann")
    for number in range(2_000):
        event = an_event("A", f"+{number // 50}d {number % 50 // 3:02}:{number % 3 * 20:02}")
        engine.feed(state, [event], millis(event.received_at))
        [tracker] = state.trackers["a-rule"].values()
        assert len(tracker.marks) <= 103
    late, last = an_event("A", "+39d 16:05"), an_event("B", "+41d 10:00")
    assert not engine.feed(state, [late], ms("+39d 16:30")).decisions
    assert len(engine.feed(state, [last], millis(last.received_at)).decisions) == 1


def test_old_events_are_forgotten_but_for_those_that_an_attempt_builds_on():
    engine, state = an_engine(sequence(steps=["A", "B", "C"])), PersonState("u:ann")
    for event in events(" ".join(f"{'AB'[minute % 2]}10:{minute:02}" for minute in range(30))):
        engine.feed(state, [event], millis(event.received_at))
    engine.wake(state, ms("14:00"))
    [tracker] = state.trackers["a-rule"].values()
    assert [mark.message_id for mark in tracker.marks] == [b"A10:28", b"B10:29"]
    assert len(engine.feed(state, events("C15:00"), ms("15:00")).decisions) == 1


@pytest.mark.parametrize("re_entry", ["every_time", {"after": "24h"}])
def test_when_nothing_more_can_happen_nothing_is_kept(re_entry):
    engine, state = an_engine(sequence(re_entry=re_entry, exit_on=["X"])), PersonState("u:ann")
    for event in events("A10:00 B10:01 A10:02 X10:03 A10:04"):
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+9d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({"steps": ["A"], "within": "1d"}, "trigger.sequence.steps", "at least 2"),
        ({"steps": ["A", "B"]}, "trigger.sequence.within", "is missing"),
        ({"steps": ["A", {"event": "B", "times": 0}], "within": "1d"}, "trigger.sequence.steps[1].times", "greater"),
        ({"steps": ["A", {"evnt": "B"}], "within": "1d"}, "trigger.sequence.steps[1].evnt", "no such field"),
        ({"steps": ["A", {"event": "B", "times": 50}], "within": "1d"}, "trigger.sequence", "50 events altogether"),
        ({"steps": ["A", "B"], "within": "soon"}, "trigger.sequence.within", "must be a duration"),
    ],
)
def test_every_fault_is_named_by_its_path(document, path, words):
    with pytest.raises(InvalidRuleError) as caught:
        load(a_rule(trigger={"sequence": document}))
    assert any(fault["path"] == path and words in fault["reason"] for fault in caught.value.faults), caught.value.faults
