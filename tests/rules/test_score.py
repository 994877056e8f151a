"""`score`: when exactly it fires."""

import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.errors import InvalidRuleError
from tidings.rules.models import MODELS
from tidings.rules.rule import load

PRICING = {"page": "Pricing", "weight": 1, "within": "1h", "at_most": 3}
DEMO = {"event": "Demo", "weight": 2, "within": "4h"}
TICKET = {"event": "Ticket", "weight": -3, "within": "30m"}
INTENT = a_rule(
    id="intent",
    trigger={"score": {"model": "linear", "features": [PRICING, DEMO, TICKET], "above": 3}},
    frequency_cap="off",
)


def scoring(**changes):
    """The rule, with some of its score changed."""
    return {**INTENT, "trigger": {"score": {**INTENT["trigger"]["score"], **changes}}}


def pricing(when, received=None, **more):
    return an_event("Pricing", when, received, type="page", **more)


def demo(when, received=None, **more):
    return an_event("Demo", when, received, **more)


def ticket(when, received=None):
    return an_event("Ticket", when, received)


def fired(events, rule=INTENT, until="+3d 00:00"):
    """When each decision was due, as clock times of the day."""
    return [f"{one.due_at:%H:%M}" for one in replay(an_engine(rule), "u:ann", events, ms(until)).decisions]


def test_it_fires_on_the_event_that_lifts_the_score_above_the_threshold():
    assert fired([demo("10:00"), pricing("10:01"), pricing("10:02")]) == ["10:02"]


def test_to_reach_the_threshold_is_not_enough():
    assert fired([demo("10:00"), pricing("10:01")]) == []


def test_more_events_than_count_add_nothing():
    assert fired([pricing(f"10:{minute:02}") for minute in range(30)]) == []
    assert fired(
        [pricing(f"10:{minute:02}") for minute in range(4)], scoring(features=[{**PRICING, "at_most": 4}])
    ) == ["10:03"]


def test_the_window_is_half_open_so_an_event_exactly_an_hour_old_no_longer_counts():
    assert fired([demo("10:00"), pricing("10:01"), pricing("11:01")]) == []
    assert fired([demo("10:00"), pricing("10:01:00.001"), pricing("11:01")]) == ["11:01"]


def test_while_the_score_stays_above_nothing_fires_again():
    assert fired([demo("10:00"), *(pricing(f"10:{minute:02}") for minute in range(10, 60, 5))]) == ["10:15"]


def test_it_fires_again_after_the_score_has_sunk_to_the_threshold_by_itself():
    events = [demo("10:00"), pricing("10:01"), pricing("10:02"), pricing("11:30"), pricing("11:31")]
    assert fired(events) == ["10:02", "11:31"]


def test_what_weighs_against_somebody_holds_it_back_until_it_leaves_its_window():
    events = [ticket("10:00"), demo("10:01"), pricing("10:02"), pricing("10:03")]
    assert fired(events) == ["10:30"]
    assert fired([*events, ticket("10:20")]) == ["10:50"]


def test_an_event_at_the_very_instant_at_which_the_score_turns_is_judged_with_what_is_left():
    events = [ticket("10:00"), demo("10:01"), pricing("10:02"), pricing("10:03")]
    assert fired([*events, pricing("10:30")]) == ["10:30"]
    sinks = [demo("10:00"), pricing("10:01"), pricing("10:02")]
    rule = scoring(features=[DEMO, PRICING, {"event": "Nothing Much", "weight": 0, "within": "1h"}])
    both_at_once = [an_event("Nothing Much", "11:01", message_id="a"), pricing("11:01", message_id="b")]
    assert fired([*sinks, *both_at_once], rule) == ["10:02", "11:01"]


def test_what_has_been_decided_is_not_decided_again_while_its_events_still_count_elsewhere():
    """Both are still remembered for a longer window after the short ones that mattered have gone by."""
    short = [{"event": "Demo", "weight": 2, "within": "1h"}, {"event": "Ticket", "weight": -3, "within": "10m"}]
    long = [{"event": "Demo", "weight": 0, "within": "4h"}, {"event": "Ticket", "weight": 0, "within": "4h"}]
    assert fired([demo("09:30"), ticket("10:00")], scoring(features=[*short, *long], above=1)) == ["09:30", "10:10"]


def test_events_that_never_fit_into_one_window_do_not_fire_in_whatever_order_they_come():
    engine, state = an_engine(scoring(features=[PRICING], above=2)), PersonState("u:ann")
    for event in [pricing("11:10"), pricing("10:01"), pricing("10:02")]:
        assert not engine.feed(state, [event], event.at).decisions


def test_a_score_that_rises_by_itself_names_the_score_instead_of_an_event():
    events = [ticket("10:00"), demo("10:01"), pricing("10:02"), pricing("10:03")]
    [decision] = replay(an_engine(INTENT), "u:ann", events, ms("11:00")).decisions
    assert (decision.event.name, bytes(decision.event.properties)) == ("Score Risen", b'{"score":4.0}')
    assert decision.evidence == ()


def test_the_event_that_lifts_the_score_is_the_evidence_and_what_the_template_sees():
    last = pricing("10:02", message_id="m-1", properties={"path": "/pricing"})
    [decision] = replay(an_engine(INTENT), "u:ann", [demo("10:00"), pricing("10:01"), last], ms("11:00")).decisions
    assert decision.evidence == ("m-1",)
    assert (decision.event.name, bytes(decision.event.properties)) == ("Pricing", b'{"path":"/pricing"}')


def test_somebody_may_begin_above_the_threshold_and_fires_only_after_a_fall():
    assert fired([pricing("10:00"), ticket("11:00"), pricing("11:10")], scoring(bias=4)) == ["11:30"]


def test_an_event_may_speak_for_several_features_at_once():
    dear = {"event": "Demo", "where": {"path": "properties.price", "gte": 100}, "weight": 2, "within": "1h"}
    rule = scoring(features=[DEMO, dear])
    assert fired([demo("10:00", properties={"price": 99})], rule) == []
    assert fired([demo("10:00", properties={"price": 100})], rule) == ["10:00"]


def test_one_sort_of_events_may_count_in_two_windows():
    rule = scoring(features=[DEMO, {**DEMO, "weight": 1, "within": "10m"}], above=2)
    assert fired([demo("10:00"), demo("10:20")], rule) == ["10:00", "10:20"]


def test_three_times_a_tenth_is_not_above_three_tenths():
    rule = scoring(features=[{**PRICING, "weight": 0.1}], above=0.3)
    assert fired([pricing(f"10:0{minute}") for minute in range(3)], rule) == []


def test_by_keeps_a_score_for_each_value():
    view = {"event": "View", "weight": 1, "within": "1h"}
    rule = scoring(features=[view], above=1, by="properties.category")
    events = [an_event("View", f"10:0{n}", properties={"category": what}) for n, what in enumerate("abca")]
    assert [one.entry_key for one in replay(an_engine(rule), "u:ann", events, ms("11:00")).decisions] == ["a"]
    assert fired([an_event("View", f"10:0{n}") for n in range(5)], rule) == []


def test_an_ending_event_begins_the_score_anew_and_never_fires_itself():
    events = [demo("10:00"), pricing("10:01"), an_event("Order", "10:02"), pricing("10:03"), pricing("10:04")]
    assert fired(events, {**INTENT, "exit_on": ["Order"]}) == []
    assert fired([*events, demo("10:05")], {**INTENT, "exit_on": ["Order"]}) == ["10:05"]
    content = {**scoring(bias=4), "exit_on": ["Order"]}
    assert fired([ticket("10:00"), an_event("Order", "10:01")], content) == []


def test_an_event_from_before_the_ending_that_arrives_after_it_does_not_count():
    events = [demo("10:00"), an_event("Order", "10:02"), demo("10:03"), pricing("10:01", "10:04"), pricing("10:05")]
    assert fired(events, {**INTENT, "exit_on": ["Order"]}) == []


def test_it_may_fire_once_or_not_again_for_a_while():
    again = [event for hour in range(10, 16) for event in (demo(f"{hour}:00"), demo(f"{hour}:01"))]
    rule = scoring(features=[{**DEMO, "within": "30m"}])
    assert fired(again, rule) == [f"{hour}:01" for hour in range(10, 16)]
    assert fired(again, {**rule, "re_entry": "once"}) == ["10:01"]
    assert fired(again, {**rule, "re_entry": {"after": "2h"}}) == ["10:01", "12:01", "14:01"]


def test_a_late_event_from_within_the_pause_fires_nothing_after_it():
    events = [
        demo("10:00"),
        demo("10:01"),
        demo("11:40"),
        demo("11:41"),
        demo("11:58", "12:45"),
        demo("11:59", "12:46"),
    ]
    rule = {**scoring(features=[{**DEMO, "within": "1h"}]), "re_entry": {"after": "2h"}}
    assert fired(events, rule) == ["10:01"]


def test_a_late_event_counts_in_the_window_that_ends_now():
    assert fired([demo("10:00"), pricing("10:40"), pricing("10:20", "10:50")]) == ["10:20"]
    assert fired([demo("10:00"), pricing("11:10"), pricing("10:20", "11:30")]) == []


def test_a_backlog_makes_no_score_sink_that_an_event_in_the_queue_would_have_kept_up():
    """Two looks at the prices keep it above until eleven; those of 10:50 are handed over behind something of 11:05."""
    engine, state = an_engine(scoring(features=[PRICING, {**DEMO, "weight": 0.1}], above=1)), PersonState("u:ann")
    decisions = []
    for event in [pricing("10:00"), pricing("10:01"), demo("11:05"), pricing("10:50"), pricing("10:55")]:
        decisions += engine.feed(state, [event], event.at).decisions
    while state.wake_at <= ms("11:49"):
        decisions += engine.wake(state, state.wake_at).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["10:01"]


def test_after_a_backlog_it_has_sunk_as_soon_as_the_watermark_says_so():
    engine, state = an_engine(scoring(features=[PRICING, {**DEMO, "weight": 0.1}], above=1)), PersonState("u:ann")
    for event in [pricing("10:00"), pricing("10:01"), demo("11:05")]:
        engine.feed(state, [event], event.at)
    while state.wake_at <= ms("11:10"):
        assert not engine.wake(state, state.wake_at).decisions
    decisions = engine.feed(state, [pricing("11:20"), pricing("11:21")], ms("11:21")).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["11:20"]


def test_it_may_rise_at_once_although_the_watermark_lags_behind():
    engine, state = an_engine(INTENT), PersonState("u:ann")
    engine.feed(state, [ticket("10:00"), demo("10:01")], ms("10:01"))
    decisions = engine.feed(state, [demo("10:40")], ms("10:40")).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["10:40"]
    assert not engine.wake(state, ms("10:31")).decisions


def test_time_that_has_passed_in_one_leap_fires_the_same():
    engine, state = (
        an_engine(scoring(bias=4, features=[TICKET, {**TICKET, "event": "Complaint"}])),
        PersonState("u:ann"),
    )
    engine.feed(state, [ticket("10:00")], ms("10:00"))
    assert [f"{one.due_at:%H:%M}" for one in engine.wake(state, ms("+9d 00:00")).decisions] == ["10:30"]
    assert not state.trackers


def test_an_edited_weight_counts_from_the_next_event_on_and_an_edit_mails_nobody():
    state = PersonState("u:ann")
    an_engine(INTENT).feed(state, [demo("10:00"), pricing("10:01")], ms("10:01"))
    lower = an_engine(scoring(above=2))
    assert not lower.feed(state, [pricing("10:02")], ms("10:02")).decisions
    state = PersonState("u:ann")
    an_engine(INTENT).feed(state, [demo("10:00")], ms("10:00"))
    heavier = an_engine(scoring(features=[{**PRICING, "weight": 2}, DEMO, TICKET]))
    assert len(heavier.feed(state, [pricing("10:02")], ms("10:02")).decisions) == 1


def test_an_edit_that_moves_features_about_keeps_what_was_counted():
    state = PersonState("u:ann")
    an_engine(INTENT).feed(state, [demo("10:00"), pricing("10:01")], ms("10:01"))
    edited = an_engine(scoring(features=[TICKET, PRICING, {**DEMO, "within": "5h"}]))
    assert len(edited.feed(state, [pricing("10:02")], ms("10:02")).decisions) == 1


def test_an_edit_mails_nobody_by_time_either():
    state = PersonState("u:ann")
    engine, events = an_engine(INTENT), [ticket("10:00"), demo("10:01"), pricing("10:02"), pricing("10:03")]
    engine.feed(state, events, ms("10:03"))
    lower = an_engine(scoring(above=0))
    while state.wake_at <= ms("+3d 00:00"):
        assert not lower.wake(state, state.wake_at).decisions
    assert not state.trackers


def test_no_more_is_remembered_than_can_count():
    engine, state = an_engine(scoring(above=99)), PersonState("u:ann")
    events = [pricing(f"{hour}:{minute:02}") for hour in (10, 11) for minute in range(60)]
    for event in events:
        engine.feed(state, [event], event.at)
    [marks] = [tracker.marks for tracker in state.trackers["intent"].values()]
    assert [f"{(mark.at - ms('11:00')) // 60_000}" for mark in marks] == ["57", "58", "59"]
    engine.wake(state, ms("+3d 00:00"))
    assert state.is_empty


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"model": "forest"}, "trigger.score.model", "there is no such model; there are: linear"),
        ({"features": []}, "trigger.score.features", "at least 1 item"),
        ({"features": [PRICING] * 13}, "trigger.score.features", "at most 12 items"),
        ({"features": [{**PRICING, "weight": float("nan")}]}, "trigger.score.features[0].weight", "finite number"),
        ({"features": [{**PRICING, "at_most": 0}]}, "trigger.score.features[0].at_most", "greater than or equal to 1"),
        ({"features": [{"page": "A", "weight": 1}]}, "trigger.score.features[0].within", "is missing"),
        ({"above": None}, "trigger.score.above", "valid number"),
    ],
)
def test_every_fault_of_a_score_is_named(changes, path, reason):
    with pytest.raises(InvalidRuleError) as refused:
        load(scoring(**changes))
    assert [fault["path"] for fault in refused.value.faults] == [path]
    assert reason in refused.value.faults[0]["reason"]


def test_a_new_model_is_one_class_and_one_line(monkeypatch):
    """Here: the strongest single feature, and the rest for nothing."""

    class Strongest:
        can_rise = False

        def __init__(self, weights, bias):
            self._weights, self._bias = weights, bias

        def score(self, counts):
            return max(weight * count for weight, count in zip(self._weights, counts, strict=True)) + self._bias

    monkeypatch.setitem(MODELS, "strongest", Strongest)
    assert fired([demo("10:00"), pricing("10:01"), pricing("10:02"), demo("10:03")], scoring(model="strongest")) == [
        "10:03"
    ]
