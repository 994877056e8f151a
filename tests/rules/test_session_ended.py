"""`session_ended`: when exactly it fires."""

import msgspec
import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding import state as states
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.errors import InvalidRuleError
from tidings.rules.rule import load
from tidings.wire.events import millis


def session(**fields):
    """A rule about sessions with a gap of half an hour."""
    names = ("exit_on", "re_entry", "entry_key")
    around = {name: fields.pop(name) for name in names if name in fields}
    return a_rule(trigger={"session_ended": {"gap": "30m", **fields}}, frequency_cap="off", **around)


THREE_VIEWS = session(having=[{"event": "View", "at_least": 3}], none_of=["Order"])
SAME_CATEGORY = session(having=[{"event": "View", "at_least": 3, "by": "properties.category"}])


HELLO = an_event("", "10:31:30", type="identify", user_id="ann", anonymous_id="web")


def anonymously(event):
    return msgspec.structs.replace(event, user_id=None, anonymous_id="web")


def events(line, **fields):
    """`View10:00 Order10:05`: a view at ten, an order five minutes later."""
    words = line.split()
    return [an_event(word.rstrip("0123456789:."), _clock(word), message_id=word, **fields) for word in words]


def _clock(word):
    return word[len(word.rstrip("0123456789:.")) :]


def view(when, received=None, category=None, **more):
    properties = {"category": category, **more} if category is not None else more
    return an_event("View", when, received, properties=properties)


def decided(history, rule, until="23:59"):
    return replay(an_engine(rule), "u:ann", history, ms(until)).decisions


def fired(history, rule=THREE_VIEWS, until="23:59"):
    return [f"{one.due_at:%H:%M:%S}" for one in decided(history, rule, until)]


def test_a_session_with_enough_views_fires_when_it_has_ended():
    assert fired(events("View10:00 View10:20 View10:45")) == ["11:15:00"]


def test_a_session_with_too_few_does_not():
    assert fired(events("View10:00 View10:20")) == []


def test_nothing_fires_before_the_watermark_has_passed_the_end_of_the_session():
    history = events("View10:00 View10:20 View10:45")
    assert fired(history, until="11:15") == []
    assert fired(history, until="11:15:00.001") == ["11:15:00"]


def test_events_exactly_the_gap_apart_belong_to_two_sessions():
    assert fired(events("View10:00 View10:20 View10:50")) == []
    assert fired(events("View10:00 View10:20 View10:49:59.999")) == ["11:19:59"]


def test_whatever_the_person_does_prolongs_the_session():
    assert fired(events("View10:00 Search10:25 View10:50 View11:10")) == ["11:40:00"]


def test_calls_that_only_say_who_it_is_and_reports_about_our_mail_do_not():
    seen = events("View10:00 View10:20")
    identify = an_event("", "10:45", type="identify")
    assert fired([*seen, identify, *events("View11:00")]) == []
    assert fired([*seen, *events("View11:00"), an_event("Email Delivered", "10:45")]) == []
    assert fired([*seen, *events("View11:00"), an_event("Email Link Clicked", "10:45")]) == ["11:30:00"]


def test_pages_and_screens_do():
    for call in ("page", "screen"):
        browsing = an_event("Home", "10:45", type=call)
        assert fired([*events("View10:00 View10:20 View11:00"), browsing]) == ["11:30:00"]


def test_of_says_which_events_make_the_session():
    rule = session(of=["View"], having=[{"event": "View", "at_least": 3}])
    assert fired(events("View10:00 Search10:25 View10:50 View11:10"), rule) == []
    assert fired(events("View10:00 Search10:25 View10:25 View10:50"), rule) == ["11:20:00"]


def test_what_is_counted_belongs_to_the_session_also_when_of_does_not_name_it():
    rule = session(of=[{"page": "*"}], having=[{"event": "View", "at_least": 2}])
    assert fired(events("View10:00 View10:20"), rule) == ["10:50:00"]


def test_every_session_fires_when_nothing_is_asked_of_it():
    assert fired(events("View10:00 View11:00"), session()) == ["10:30:00", "11:30:00"]


def test_a_forbidden_event_in_the_session_keeps_it_from_firing():
    assert fired(events("View10:00 View10:20 Order10:30 View10:45")) == []


def test_a_forbidden_event_in_another_session_does_not():
    assert fired(events("Order09:00 View10:00 View10:20 View10:45 Order11:15")) == ["11:15:00"]


def test_a_forbidden_event_that_is_no_part_of_the_session_counts_until_the_session_has_ended():
    rule = session(of=["View"], none_of=["Order"])
    assert fired(events("View10:00 Order10:29:59.999"), rule) == []
    assert fired(events("View10:00 Order10:30"), rule) == ["10:30:00"]
    assert fired(events("Order09:59:59.999 View10:00"), rule) == ["10:30:00"]
    assert fired(events("View10:00 Order10:20 View10:29"), rule) == []
    assert fired(events("View10:00 Order10:20 View10:40"), rule) == ["11:10:00"]


def test_a_forbidden_event_that_arrives_before_the_session_is_remembered():
    late = view("10:00", received="10:06")
    assert fired([*events("Order10:05"), late], session(of=["View"], none_of=["Order"])) == []
    assert fired([*events("Order10:00"), late], session(of=["View"], none_of=["Order"])) == []


def test_a_forbidden_event_is_remembered_for_as_long_as_the_session_lasts_in_which_it_may_lie():
    engine, state = an_engine(session(gap="3h", of=["View"], none_of=["Order"])), PersonState("u:ann")
    engine.feed(state, events("Order13:20 View10:00 View13:10 View13:40"), ms("13:40"))
    assert [f"{one.due_at:%H:%M}" for one in engine.wake(state, ms("16:30")).decisions] == ["13:00"]
    assert not engine.wake(state, ms("16:41")).decisions


def test_an_exit_counts_like_a_forbidden_event():
    rule = session(exit_on=["Unsubscribed"])
    assert fired(events("View10:00 Unsubscribed10:10 View10:20 View11:00"), rule) == ["11:30:00"]


def test_at_most_bounds_a_count_from_above():
    rule = session(having=[{"event": "View", "at_least": 1}, {"event": "Search", "at_most": 1}])
    assert fired(events("View10:00 Search10:01"), rule) == ["10:31:00"]
    assert fired(events("View10:00 Search10:01 Search10:02"), rule) == []
    assert fired(events("View10:00"), rule) == ["10:30:00"]


def test_none_at_all_can_be_asked_for_too():
    rule = session(having=[{"event": "Search", "at_most": 0}])
    assert fired(events("View10:00 View11:00 Search11:10"), rule) == ["10:30:00"]


def test_a_count_has_conditions_of_its_own():
    rule = session(having=[{"event": "View", "where": {"path": "properties.price", "gt": 100}, "at_least": 2}])
    assert fired([view("10:00", price=200), view("10:01", price=5)], rule) == []
    assert fired([view("10:00", price=200), view("10:01", price=5), view("10:02", price=101)], rule) == ["10:32:00"]


def test_by_asks_for_a_count_of_one_and_the_same_value():
    mixed = [view("10:00", category="lamps"), view("10:01", category="rugs"), view("10:02", category="lamps")]
    assert fired([*mixed, view("10:03")], SAME_CATEGORY) == []
    third = view("10:04", category="lamps")
    [decision] = decided([*mixed, third], SAME_CATEGORY)
    assert decision.evidence == (mixed[0].message_id, mixed[2].message_id, third.message_id)


def test_the_template_is_given_the_last_event_of_the_value_that_was_most_frequent():
    lamps = [view(f"10:0{minute}", category="lamps", name=f"Lamp {minute}") for minute in range(3)]
    rugs = [view(f"10:0{minute}:30", category="rugs", name="Rug") for minute in (1, 5)]
    for history in ([*lamps, *rugs], [*rugs, *reversed(lamps)]):
        engine, state = an_engine(SAME_CATEGORY), PersonState("u:ann")
        engine.feed(state, history, ms("10:05:30"))
        [decision] = engine.wake(state, ms("11:00")).decisions
        assert msgspec.json.decode(decision.event.properties)["name"] == "Lamp 2"


def test_of_very_many_values_the_most_frequent_one_is_still_shown():
    others = [view(f"10:{minute:02}", category=f"c{minute}") for minute in range(30)]
    lamps = [view(f"10:{minute:02}:30", category="lamps") for minute in (0, 14, 28)]
    [decision] = decided([*others, *lamps], SAME_CATEGORY)
    assert msgspec.json.decode(decision.event.properties) == {"category": "lamps"}
    assert decision.evidence == (others[0].message_id, *(one.message_id for one in lamps))


def test_numbers_and_texts_that_look_alike_are_the_same_value():
    history = [view(f"10:0{n}", category=value) for n, value in enumerate([7, "7", 7])]
    assert fired(history, SAME_CATEGORY) == ["10:32:00"]


@pytest.mark.parametrize("value", [["lamps"], {"name": "lamps"}])
def test_a_list_or_an_object_is_no_value_to_count_by(value):
    assert fired([view(f"10:0{n}", category=value) for n in range(3)], SAME_CATEGORY) == []


def test_a_value_may_lie_deep_inside():
    rule = session(having=[{"event": "View", "at_least": 2, "by": "properties.product.category.id"}])
    deep = {"product": {"category": {"id": 4}}}
    assert fired([view("10:00", **deep), view("10:01", **deep)], rule) == ["10:31:00"]
    flat = {"product": {"category": 4}}
    assert fired([view("10:00", **flat), view("10:01", **flat)], rule) == []


def test_an_event_in_between_makes_one_session_of_two():
    bridged = [*events("View10:00 View10:50 View11:00"), an_event("Search", "10:25", received="11:05")]
    assert fired(bridged) == []  # the first half was decided at 10:30, before the search was heard of
    engine, state = an_engine(THREE_VIEWS), PersonState("u:ann")
    for event in bridged:
        engine.feed(state, [event], ms("10:00"))
    [decision] = engine.wake(state, ms("11:30:00.001")).decisions
    assert f"{decision.due_at:%H:%M}" == "11:30"
    assert decision.evidence == ("View10:00", "View10:50", "View11:00")


def test_a_late_event_that_still_arrives_in_time_is_counted_in_its_own_place():
    assert fired([*events("View10:00 View10:20"), view("10:10", received="10:40")]) == ["10:50:00"]


def test_a_late_event_of_a_session_that_has_been_decided_changes_nothing():
    assert fired([*events("View10:00 View10:20"), view("10:10", received="10:55")]) == []
    again = [*events("View10:00 View10:20 View10:30"), view("10:10", received="11:10"), view("10:59", received="11:11")]
    assert fired(again) == ["11:00:00"]
    assert fired(again, session()) == ["11:00:00"]


def test_what_an_app_did_while_it_was_offline_is_one_session_when_it_arrives_all_at_once():
    offline = [view("10:00", "10:50"), view("10:01", "10:50:02"), view("10:02", "10:50:02")]
    [decision] = decided(offline, THREE_VIEWS)
    assert (f"{decision.due_at:%H:%M}", f"{decision.decided_at:%H:%M}") == ("10:32", "10:51")
    assert fired([*offline, an_event("Order", "10:03", "10:50:03")]) == []


def test_a_backlog_delays_the_decision_and_never_falsifies_it():
    """The order was made in time, but is handed over after newer events: the watermark has not moved."""
    engine, state = an_engine(THREE_VIEWS), PersonState("u:ann")
    for event in [*events("View10:00 View10:10 View10:20 View12:00"), *events("Order10:25")]:
        assert not engine.feed(state, [event], millis(event.received_at)).decisions
    assert not engine.wake(state, ms("12:01")).decisions


def test_the_same_message_twice_counts_once():
    [one, other] = events("View10:00 View10:01")
    assert fired([one, one, other, other]) == []


def test_a_rule_that_fires_once_does_so_once():
    assert fired(events("View10:00 View11:00 View12:00"), session(re_entry="once")) == ["10:30:00"]


def test_a_pause_skips_the_sessions_that_end_within_it():
    rule = session(re_entry={"after": "2h"})
    assert fired(events("View10:00 View11:00 View12:00 View13:00"), rule) == ["10:30:00", "12:30:00"]


def test_sessions_of_different_keys_are_kept_apart_and_an_ending_event_without_a_key_ends_them_all():
    rule = session(of=["View"], none_of=["Order"], entry_key="properties.category")
    lamps, rugs = view("10:00", category="lamps"), view("10:20", category="rugs")
    assert fired([lamps, rugs], rule) == ["10:30:00", "10:50:00"]
    order = an_event("Order", "10:25", properties={"category": "rugs"})
    assert fired([lamps, rugs, order], rule) == ["10:30:00"]
    assert fired([lamps, rugs, *events("Order10:25")], rule) == []
    assert fired([*events("Order10:25"), view("10:24", received="10:26", category="late")], rule) == []
    assert fired([*events("View10:24 Order10:25"), view("10:24", received="10:26", category="late")], rule) == []


def test_the_evidence_names_the_first_event_those_that_were_counted_and_the_last_that_was():
    history = events("Search10:00 View10:01 View10:02 Search10:03 View10:04 View10:05 View10:06 Search10:07")
    [decision] = decided(history, THREE_VIEWS)
    assert decision.evidence == ("Search10:00", "View10:01", "View10:02", "View10:04", "View10:06")


def test_the_template_is_given_the_last_event_that_was_counted():
    history = [
        view("10:00", name="Lamp"),
        view("10:01", name="Rug"),
        view("10:02", name="Chair"),
        *events("Search10:03"),
    ]
    [decision] = decided(history, THREE_VIEWS)
    assert msgspec.json.decode(decision.event.properties) == {"name": "Chair"}
    [decision] = decided(history, session())
    assert decision.event.name == "Search"


def test_a_session_costs_the_same_however_long_it_is():
    engine, state, sizes = an_engine(THREE_VIEWS), PersonState("u:ann"), []
    for minute in range(10 * 60):
        event = view(f"{8 + minute // 60:02}:{minute % 60:02}")
        engine.feed(state, [event], millis(event.received_at))
        sizes.append(len(states.encode(PersonState("u:ann", trackers=state.trackers))))
    assert sizes[-1] <= sizes[10] + 10


def test_a_session_with_very_many_values_keeps_the_frequent_ones():
    engine, state = an_engine(SAME_CATEGORY), PersonState("u:ann")
    history = [view(f"10:{n // 60:02}:{n % 60:02}", category=f"c{n}" if n % 100 else "same") for n in range(300)]
    for event in history:
        engine.feed(state, [event], millis(event.received_at))
    [session] = state.trackers["a-rule"][""].sessions
    assert len(session.counts[0]) <= 50
    assert session.counts[0]["same"].total == 3


def test_very_many_ending_events_outside_of_any_session_cost_a_bounded_amount():
    engine, state = an_engine(session(of=["View"], none_of=["Order"])), PersonState("u:ann")
    for number in range(300):
        event = an_event("Order", f"10:{number // 60:02}:{number % 60:02}")
        engine.feed(state, [event], millis(event.received_at))
    assert len(state.trackers["a-rule"][""].marks) <= 100


def test_a_session_that_has_begun_ends_under_the_version_with_which_it_began():
    state, edited = PersonState("u:ann"), session(having=[{"event": "View", "at_least": 2}], none_of=["Order"])
    history = events("View10:00 View10:10 View11:00 View11:01")
    before, after = load(THREE_VIEWS), load(edited)
    first, both = Engine(RuleBook([before])), Engine(RuleBook([after], superseded=[before]))
    first.feed(state, history[:1], ms("10:00"))
    both.feed(state, history[1:2], ms("10:10"))
    assert not both.wake(state, ms("10:59")).decisions
    both.feed(state, history[2:], ms("11:01"))
    assert [one.rule_version for one in both.wake(state, ms("12:00")).decisions] == [after.version]


def test_a_version_that_nobody_remembers_is_no_reason_to_fail():
    state = PersonState("u:ann")
    an_engine(session()).feed(state, events("View10:00"), ms("10:00"))
    edited = an_engine(THREE_VIEWS)
    assert not edited.feed(state, events("View10:10 View10:20 View10:25"), ms("10:25")).decisions
    assert len(edited.wake(state, ms("11:00")).decisions) <= 1


@pytest.mark.parametrize("re_entry", ["every_time", {"after": "24h"}])
def test_when_nothing_more_can_happen_nothing_is_kept(re_entry):
    engine, state = an_engine(session(of=["View"], none_of=["Order"], re_entry=re_entry)), PersonState("u:ann")
    for event in events("Order09:00 View10:00 View10:10 View11:00 Order12:00"):
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+5d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


def test_what_somebody_did_before_they_were_known_is_part_of_their_session():
    anonymous = [anonymously(view("10:00")), anonymously(view("10:20"))]
    assert fired([*anonymous, HELLO, view("10:40")]) == ["11:10:00"]
    assert fired([*anonymous, HELLO, view("10:40"), *events("Order10:41")]) == []
    assert fired([view("10:05"), *anonymous, HELLO]) == ["10:50:00"]
    assert fired([*events("Order10:05"), *anonymous, HELLO, view("10:40")]) == []


def test_what_belongs_to_a_session_that_has_been_decided_already_comes_too_late_from_another_id_too():
    late = anonymously(view("10:10", received="10:31"))
    assert fired([view("10:00"), late, HELLO], session()) == ["10:30:00"]


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({}, "trigger.session_ended.gap", "is missing"),
        ({"gap": "30m", "of": []}, "trigger.session_ended.of", "at least 1"),
        (
            {"gap": "30m", "having": ["View", {"event": "V", "at_least": 0}]},
            "trigger.session_ended.having[1].at_least",
            "",
        ),
        (
            {"gap": "30m", "having": [{"event": "V", "at_least": 3, "at_most": 2}]},
            "trigger.session_ended.having[0]",
            "never",
        ),
        (
            {"gap": "30m", "having": [{"event": "V", "by": "traits.plan"}]},
            "trigger.session_ended.having[0].by",
            "properties",
        ),
        ({"gap": "30m", "none_of": [{"evnt": "V"}]}, "trigger.session_ended.none_of[0].evnt", "no such field"),
    ],
)
def test_every_fault_is_named_by_its_path(document, path, words):
    with pytest.raises(InvalidRuleError) as caught:
        load(a_rule(trigger={"session_ended": document}))
    assert any(fault["path"] == path and words in fault["reason"] for fault in caught.value.faults), caught.value.faults
