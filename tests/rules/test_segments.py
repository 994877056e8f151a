"""Segments: who belongs to one, when exactly that changes, and the rules that fire on it."""

import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.errors import InvalidRuleError
from tidings.rules.rule import load as load_rule
from tidings.rules.segments import load

THREE_VIEWS = {"performed": {"event": "View", "times": 3, "within": "1h"}}
RECENT = {"performed": {"event": "View", "within": "20m"}}
PRO = {"path": "traits.plan", "equals": "pro"}


def watching(segments):
    """An engine with these segments, and a rule for every way into and out of them."""
    rules = [
        a_rule(id=f"{name}-{on}", trigger={"segment": {"id": name, "on": on}}, frequency_cap="off")
        for name in segments
        for on in ("enter", "leave")
    ]
    return an_engine(*rules, segments=segments)


def changes(events, until="+3d 00:00", **segments):
    """What changed, and when it was due."""
    decisions = replay(watching(segments), "u:ann", events, ms(until)).decisions
    return [f"{one.rule_id} {one.due_at:%H:%M}" for one in decisions]


def views(*times, **fields):
    return [an_event("View", when, **fields) for when in times]


def plan(value, when, received=None):
    return an_event("", when, received, type="identify", traits={"plan": value})


def wake_until(engine, state, when):
    """Let time pass; return what was decided."""
    decisions = []
    while state.wake_at <= ms(when):
        decisions += engine.wake(state, state.wake_at).decisions
    return decisions


# --- counts and recency ---


def test_somebody_enters_on_the_event_that_completes_the_count_and_leaves_when_it_runs_out():
    assert changes(views("10:00", "10:20", "10:30"), fans=THREE_VIEWS) == ["fans-enter 10:30", "fans-leave 11:00"]


def test_every_further_event_keeps_them_in():
    times = ["10:00", "10:20", "10:30", "10:50", "11:10"]
    assert changes(views(*times), fans=THREE_VIEWS) == ["fans-enter 10:30", "fans-leave 11:30"]


def test_the_window_is_half_open_so_an_event_exactly_an_hour_old_no_longer_counts():
    assert changes(views("10:00", "10:30", "11:00"), fans=THREE_VIEWS) == []
    assert changes(views("10:00:00.001", "10:30", "11:00"), until="11:00", fans=THREE_VIEWS) == ["fans-enter 11:00"]


def test_an_event_at_the_very_instant_at_which_a_count_runs_out_keeps_them_in():
    times = ["10:00", "10:20", "10:30", "11:00"]
    assert changes(views(*times), fans=THREE_VIEWS) == ["fans-enter 10:30", "fans-leave 11:20"]


def test_recency_is_once_within():
    assert changes(views("10:00", "10:15"), recent=RECENT) == ["recent-enter 10:00", "recent-leave 10:35"]


def test_without_a_window_it_counts_for_four_hundred_days():
    events, buyers = [an_event("Order", "10:00")], {"performed": "Order"}
    assert changes(events, until="+400d 10:00", buyers=buyers) == ["buyers-enter 10:00"]
    assert changes(events, until="+400d 10:01", buyers=buyers) == ["buyers-enter 10:00", "buyers-leave 10:00"]


def test_only_events_that_carry_what_is_asked_for_count():
    dear = {"performed": {"event": "View", "where": {"path": "properties.price", "gte": 100}}}
    assert changes(views("10:00", properties={"price": 99}), dear=dear) == []
    assert changes(views("10:00", properties={"price": 100}), until="11:00", dear=dear) == ["dear-enter 10:00"]


def test_pages_and_any_name_can_be_counted():
    browsing = {"performed": {"page": "*", "times": 2, "within": "1h"}}
    pages = [an_event("Home", "10:00", type="page"), an_event("Prices", "10:01", type="page")]
    assert changes(pages, until="10:30", browsing=browsing) == ["browsing-enter 10:01"]


def test_an_event_whose_value_has_the_wrong_type_is_reported_and_counts_for_nothing():
    dear = {"performed": {"event": "View", "where": {"path": "properties.price", "gte": 100}}}
    engine, state = watching({"dear": dear, "fans": THREE_VIEWS}), PersonState("u:ann")
    outcome = engine.feed(state, views("10:00", properties={"price": "a lot"}), ms("10:00"))
    faults = [(one.rule_id, one.detail) for one in outcome.faults]
    assert faults == [("segment:dear", "properties.price: expected a number, found str")]
    assert [len(times) for times in state.standing.counts.values()] == [1]


# --- traits and other segments ---


def test_traits_make_members_and_unmake_them():
    assert changes([plan("pro", "10:00"), plan("free", "11:00")], pro=PRO) == ["pro-enter 10:00", "pro-leave 11:00"]


def test_an_older_trait_that_arrives_later_changes_nothing():
    assert changes([plan("pro", "10:00"), plan("free", "09:00", received="10:05")], pro=PRO) == ["pro-enter 10:00"]


def test_a_trait_that_cannot_be_compared_is_not_what_was_asked_for():
    assert changes([plan("old", "10:00")], grown={"path": "traits.plan", "gte": 18}) == []


def test_segments_can_ask_about_segments_in_whatever_order_they_stand():
    segments = {"a-guests": {"all": [{"segment": "z-fans"}, {"not": {"segment": "m-pro"}}]}, "m-pro": PRO}
    events = [*views("10:00", "10:20", "10:30"), plan("pro", "10:40")]
    assert changes(events, **segments, **{"z-fans": THREE_VIEWS}) == [
        "a-guests-enter 10:30",
        "z-fans-enter 10:30",
        "a-guests-leave 10:40",
        "m-pro-enter 10:40",
        "z-fans-leave 11:00",
    ]


# --- time ---

LAPSED = {"all": [{"performed": {"event": "View", "within": "5h"}}, {"not": RECENT}]}


def test_time_alone_makes_members_and_unmakes_them():
    assert changes(views("10:00"), lapsed=LAPSED) == ["lapsed-enter 10:20", "lapsed-leave 15:00"]


def test_what_nothing_but_time_has_changed_names_the_segment_instead_of_an_event():
    decision = replay(watching({"lapsed": LAPSED}), "u:ann", views("10:00"), ms("12:00")).decisions[0]
    assert (decision.event.name, bytes(decision.event.properties)) == ("Segment Entered", b'{"segment":"lapsed"}')
    assert decision.evidence == ()


def test_time_that_has_passed_in_one_leap_changes_the_same_in_the_same_order():
    engine, state = watching({"lapsed": LAPSED, "recent": RECENT}), PersonState("u:ann")
    engine.feed(state, views("10:00"), ms("10:00"))
    decisions = engine.wake(state, ms("+2d 00:00")).decisions
    assert [f"{one.due_at:%H:%M} {one.rule_id}" for one in decisions] == [
        "10:20 lapsed-enter",
        "10:20 recent-leave",
        "15:00 lapsed-leave",
    ]


def test_a_backlog_makes_nobody_leave_while_the_event_that_keeps_them_is_still_in_the_queue():
    """Three views made a fan of them until eleven; one of 10:50 is handed over after one of 11:15."""
    engine, state = watching({"fans": THREE_VIEWS}), PersonState("u:ann")
    for event in views("10:00", "10:20", "10:30", "11:15", "10:50", "10:51"):
        decisions = engine.feed(state, [event], max(ms("10:00"), event.at)).decisions
        assert [one.rule_id for one in decisions] == (["fans-enter"] if event.at == ms("10:30") else [])
    left = wake_until(engine, state, "23:00")
    assert [f"{one.rule_id} {one.due_at:%H:%M}" for one in left] == ["fans-leave 11:50"]


def test_a_backlog_makes_nobody_leave_early_either():
    """What was received after eleven is handed over first, and does not fit into one window with the views before."""
    engine = watching({"fans": {"performed": {"event": "View", "times": 4, "within": "1h"}}})
    state = PersonState("u:ann")
    engine.feed(state, views("10:20", "10:23", "10:24", "10:25"), ms("10:25"))
    for event in views("11:26", "11:27", "10:50"):
        engine.feed(state, [event], event.at)
    left = wake_until(engine, state, "23:00")
    assert [f"{one.rule_id} {one.due_at:%H:%M}" for one in left] == ["fans-leave 11:23"]


def test_nobody_leaves_before_the_watermark_has_passed_the_instant():
    engine, state = watching({"recent": RECENT}), PersonState("u:ann")
    engine.feed(state, views("10:00"), ms("10:00"))
    assert not engine.wake(state, ms("10:20")).decisions
    assert engine.wake(state, ms("10:20") + 1).decisions


def test_a_late_event_counts_at_its_own_time_in_the_window_that_ends_now():
    late = an_event("View", "09:50", "10:40")
    assert changes([*views("10:00", "10:20"), late], fans=THREE_VIEWS) == ["fans-enter 09:50", "fans-leave 10:50"]
    too_late = an_event("View", "09:30", "10:40")
    assert changes([*views("10:00", "10:20"), too_late], fans=THREE_VIEWS) == []


# --- before anything is known, after an edit, after all is forgotten ---


def test_to_be_somewhere_from_the_start_is_not_to_enter():
    """Whoever never ordered is a prospect. Nobody becomes one by their first visit; who comes back to it, does."""
    prospects = {"not": {"performed": {"event": "Order", "within": "2h"}}}
    events = [*views("09:00"), an_event("Order", "10:00")]
    assert changes(events, prospects=prospects) == ["prospects-leave 10:00", "prospects-enter 12:00"]


def test_an_audience_can_ask_for_those_of_whom_nothing_is_known():
    rule = a_rule(trigger={"performed": {"event": "View"}}, audience={"not": {"segment": "buyers"}})
    engine = an_engine(rule, segments={"buyers": {"performed": "Order"}})
    assert len(replay(engine, "u:ann", views("10:00"), ms("11:00")).decisions) == 1
    ordered = [an_event("Order", "09:00"), *views("10:00")]
    assert not replay(engine, "u:ann", ordered, ms("11:00")).decisions


def test_an_audience_sees_what_the_event_at_hand_has_changed():
    rule = a_rule(trigger={"performed": {"event": "View"}}, audience={"segment": "fans"}, frequency_cap="off")
    engine = an_engine(rule, segments={"fans": THREE_VIEWS})
    decisions = replay(engine, "u:ann", views("10:00", "10:20", "10:30"), ms("11:00")).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["10:30"]


def test_an_edit_moves_people_at_their_next_event_and_mails_nobody():
    state = PersonState("u:ann")
    watching({"fans": THREE_VIEWS}).feed(state, views("10:00", "10:10"), ms("10:10"))
    edited = watching({"fans": {"performed": {"event": "View", "times": 2, "within": "2h"}}})
    assert not edited.feed(state, [an_event("View", "10:20")], ms("10:20")).decisions
    assert state.member_of == {"fans"}
    assert [one.rule_id for one in wake_until(edited, state, "23:00")] == ["fans-leave"]


def test_an_edit_hides_nothing_that_happens_after_it():
    state = PersonState("u:ann")
    watching({"recent": RECENT}).feed(state, views("10:00"), ms("10:00"))
    edited = watching({"recent": RECENT, "new": PRO})
    assert [one.rule_id for one in wake_until(edited, state, "23:00")] == ["recent-leave"]


def test_a_segment_that_is_gone_takes_along_what_was_counted_for_it():
    state = PersonState("u:ann")
    watching({"fans": THREE_VIEWS, "pro": PRO}).feed(state, views("10:00", "10:10"), ms("10:10"))
    watching({"pro": PRO}).wake(state, ms("10:20"))
    assert state.standing.counts == {}
    an_engine().wake(state, ms("10:30"))
    assert state.standing is None


def test_what_can_change_nothing_any_more_is_not_kept():
    engine, state = watching({"fans": THREE_VIEWS, "lapsed": LAPSED}), PersonState("u:ann")
    engine.feed(state, views(*(f"10:{minute:02}" for minute in range(60))), ms("10:59"))
    assert [len(times) for times in state.standing.counts.values()] == [3]
    wake_until(engine, state, "+3d 00:00")
    assert state.is_empty


# --- rules ---

ENTER = a_rule(id="hello", trigger={"segment": {"id": "recent", "on": "enter"}}, frequency_cap="off")
COMES_BACK = views("10:00", "11:00", "12:00")


def hello(events, until="+3d 00:00", **rule):
    engine = an_engine({**ENTER, **rule}, segments={"recent": RECENT})
    return replay(engine, "u:ann", events, ms(until)).decisions


def test_the_event_that_made_the_change_is_the_evidence_and_what_the_template_sees():
    [decision] = hello(views("10:00", message_id="m-1", properties={"name": "Lamp"}))
    assert decision.evidence == ("m-1",)
    assert (decision.event.name, bytes(decision.event.properties)) == ("View", b'{"name":"Lamp"}')


def test_every_change_is_an_episode_of_its_own():
    assert len({one.send_id for one in hello(COMES_BACK)}) == 3


def test_it_may_fire_once_or_not_again_for_a_while():
    assert [f"{one.due_at:%H:%M}" for one in hello(COMES_BACK, re_entry="once")] == ["10:00"]
    assert [f"{one.due_at:%H:%M}" for one in hello(COMES_BACK, re_entry={"after": "90m"})] == ["10:00", "12:00"]


def test_the_entry_key_is_read_from_the_event_that_made_the_change():
    [decision] = hello(views("10:00", properties={"cart": "c1"}), entry_key="properties.cart")
    assert decision.entry_key == "c1"


def test_an_ending_event_ends_the_steps_that_are_left():
    rule = {key: value for key, value in ENTER.items() if key != "send"}
    steps = [{"send": "one"}, {"wait": "1h"}, {"send": "two"}]
    engine = an_engine({**rule, "steps": steps, "exit_on": ["Order"]}, segments={"recent": RECENT})
    ordered = [*views("10:00"), an_event("Order", "10:30")]
    assert [one.template for one in replay(engine, "u:ann", views("10:00"), ms("23:00")).decisions] == ["one", "two"]
    assert [one.template for one in replay(engine, "u:ann", ordered, ms("23:00")).decisions] == ["one"]


def test_time_runs_faster_for_segments_too():
    fast = an_engine(ENTER, {**ENTER, "id": "bye", "trigger": {"segment": {"id": "recent", "on": "leave"}}},
                     segments={"recent": RECENT}, time_scale=60)  # fmt: skip
    decisions = replay(fast, "u:ann", views("10:00"), ms("11:00")).decisions
    assert [f"{one.rule_id} {one.due_at:%H:%M:%S}" for one in decisions] == ["hello 10:00:00", "bye 10:00:20"]


def test_a_rule_about_a_segment_that_does_not_exist_is_refused():
    with pytest.raises(InvalidRuleError, match=r"trigger\.segment\.id: there is no such segment; there are: none"):
        Engine(RuleBook([load_rule(ENTER)]))
    rule = a_rule(trigger={"performed": {"event": "A"}}, audience={"any": [{"not": {"segment": "fans"}}]})
    with pytest.raises(InvalidRuleError) as refused:
        load_rule(rule, segments={"recent"})
    assert refused.value.faults == [
        {
            "path": "audience.any[0].not.segment",
            "value": "fans",
            "reason": "there is no such segment; there are: recent",
        }
    ]


def test_a_bare_on_that_yaml_takes_for_true_is_understood():
    rule = load_rule({**ENTER, "trigger": {"segment": {"id": "recent", True: "leave"}}})
    assert rule.trigger.chosen[1].on == "leave"


def test_a_count_keeps_its_name_when_the_document_is_written_another_way():
    short, long = load({"where": {"performed": "View"}}, "a"), load({"where": [{"performed": {"event": "View"}}]}, "a")
    assert next(short.leaves).leaf == next(long.leaves).leaf
