"""`inactive`: when exactly it fires."""

import msgspec
import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding import state as states
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.errors import InvalidRuleError
from tidings.rules.rule import load
from tidings.wire.events import millis


def silence(**fields):
    """A rule about fourteen days of silence."""
    names = ("exit_on", "re_entry", "entry_key")
    around = {name: fields.pop(name) for name in names if name in fields}
    return a_rule(trigger={"inactive": {"for": "14d", **fields}}, frequency_cap="off", **around)


def visit(when, received=None, did="Visit", **fields):
    return an_event(did, when, received, **fields)


def fired(history, rule=None, until="+300d 00:00"):
    """Days and hours since the made-up day began."""
    decisions = replay(an_engine(rule or silence()), "u:ann", history, ms(until)).decisions
    return [f"+{(millis(one.due_at) - ms('00:00')) // 86_400_000}d {one.due_at:%H:%M}" for one in decisions]


def test_fourteen_days_after_the_last_event_it_fires():
    assert fired([visit("10:00"), visit("+3d 11:00")]) == ["+17d 11:00"]


def test_nobody_who_never_did_anything_is_inactive():
    assert fired([]) == []


def test_nothing_fires_before_the_watermark_has_passed_the_last_instant():
    assert fired([visit("10:00")], until="+14d 10:00") == []
    assert fired([visit("10:00")], until="+14d 10:00:00.001") == ["+14d 10:00"]


def test_an_event_at_the_very_last_instant_is_activity_still():
    assert fired([visit("10:00"), visit("+14d 10:00")]) == ["+28d 10:00"]
    assert fired([visit("10:00"), visit("+14d 10:00:00.001")]) == ["+14d 10:00", "+28d 10:00"]


def test_a_new_event_begins_the_wait_anew():
    assert fired([visit("10:00"), visit("+20d 10:00")]) == ["+14d 10:00", "+34d 10:00"]


def test_silence_fires_once_however_long_it_lasts():
    assert fired([visit("10:00")], until="+300d 00:00") == ["+14d 10:00"]


def test_who_has_done_too_little_before_is_left_alone():
    rule = silence(after_at_least={"times": 3})
    assert fired([visit("10:00"), visit("+1d 10:00")], rule) == []
    assert fired([visit("10:00"), visit("+1d 10:00"), visit("+2d 10:00")], rule) == ["+16d 10:00"]


def test_activity_before_a_silence_does_not_count_after_it():
    rule = silence(after_at_least={"times": 3})
    assert fired([visit("10:00"), visit("+1d 10:00"), visit("+30d 10:00")], rule) == []
    days = [0, 1, 2, 30]
    assert fired([visit(f"+{day}d 10:00") for day in days], rule) == ["+16d 10:00"]


def test_of_says_what_counts_as_activity():
    rule = silence(of=["Order"])
    assert fired([visit("10:00", did="Order"), visit("+5d 10:00"), visit("+20d 10:00")], rule) == ["+14d 10:00"]


def test_pages_and_screens_are_activity_and_calls_that_only_say_who_it_is_are_not():
    assert fired([visit("10:00"), visit("+5d 10:00", type="page")]) == ["+19d 10:00"]
    assert fired([visit("10:00"), visit("+5d 10:00", type="screen")]) == ["+19d 10:00"]
    for call in ("identify", "group", "alias"):
        assert fired([visit("10:00"), visit("+5d 10:00", type=call)]) == ["+14d 10:00"]


@pytest.mark.parametrize(
    "report",
    [
        *("Email Sent", "Email Suppressed", "Email Delivered", "Email Opened", "Email Bounced"),
        *("Email Marked as Spam", "Unsubscribed"),
    ],
)
def test_our_own_mail_does_not_wake_anybody_up(report):
    assert fired([visit("10:00"), visit("+14d 10:01", did=report)]) == ["+14d 10:00"]


def test_a_click_on_a_link_in_a_mail_does():
    assert fired([visit("10:00"), visit("+5d 10:00", did="Email Link Clicked")]) == ["+19d 10:00"]


def test_an_exit_ends_the_wait_and_the_next_activity_begins_another():
    rule = silence(of=["Visit"], exit_on=["Cancelled"])
    cancelled = visit("+3d 10:00", did="Cancelled")
    assert fired([visit("10:00"), cancelled], rule) == []
    assert fired([visit("10:00"), cancelled, visit("+4d 10:00")], rule) == ["+18d 10:00"]
    assert fired([visit("10:00"), visit("+14d 10:00", did="Cancelled")], rule) == []
    assert fired([visit("10:00"), visit("+14d 10:00:00.001", did="Cancelled")], rule) == ["+14d 10:00"]


def test_an_exit_is_no_activity_that_waits_even_when_any_event_counts():
    rule = silence(exit_on=["Cancelled"])
    assert fired([visit("10:00"), visit("+3d 10:00", did="Cancelled")], rule) == []


def test_an_exit_that_arrives_before_the_activity_that_it_follows_ends_the_wait():
    rule = silence(of=["Visit"], exit_on=["Cancelled"])
    assert fired([visit("10:05", did="Cancelled"), visit("10:00", received="10:10")], rule) == []
    assert fired([visit("09:55", did="Cancelled"), visit("10:00", received="10:10")], rule) == ["+14d 10:00"]


def test_a_late_event_that_arrives_in_time_moves_the_instant():
    assert fired([visit("10:00"), visit("+5d 10:00", received="+13d 10:00")]) == ["+19d 10:00"]


def test_a_late_event_does_not_move_it_back():
    assert fired([visit("+5d 10:00"), visit("10:00", received="+6d 10:00")]) == ["+19d 10:00"]


def test_a_late_event_that_has_been_judged_already_changes_nothing():
    assert fired([visit("10:00"), visit("+13d 10:00", received="+14d 10:30")]) == ["+14d 10:00"]


def test_the_same_message_twice_counts_once():
    once = visit("10:00", message_id="same")
    assert fired([once, once], silence(after_at_least={"times": 2})) == []


def test_a_rule_that_fires_once_does_so_once():
    assert fired([visit("10:00"), visit("+20d 10:00")], silence(re_entry="once")) == ["+14d 10:00"]


def test_a_pause_skips_a_silence_that_comes_too_soon():
    rule = silence(re_entry={"after": "30d"})
    assert fired([visit("10:00"), visit("+20d 10:00"), visit("+60d 10:00")], rule) == ["+14d 10:00", "+74d 10:00"]


def test_each_key_waits_for_itself():
    rule = silence(entry_key="properties.site")
    a, b = ({"site": site} for site in "ab")
    history = [visit("10:00", properties=a), visit("11:00", properties=b), visit("+5d 10:00", properties=b)]
    assert fired(history, rule) == ["+14d 10:00", "+19d 10:00"]


def test_an_exit_without_a_key_ends_every_wait_also_one_that_is_heard_of_later():
    rule = silence(of=["Visit"], exit_on=["Cancelled"], entry_key="properties.site")
    a, b = ({"site": site} for site in "ab")
    cancelled = visit("10:05", received="10:11", did="Cancelled")
    assert fired([visit("10:00", properties=a), visit("10:01", properties=b), cancelled], rule) == []
    late = visit("10:04", received="10:12", properties=a)
    assert fired([visit("10:00"), visit("10:10"), cancelled, late], rule) == ["+14d 10:10"]


def test_what_somebody_did_before_they_were_known_is_activity_of_theirs():
    hello = an_event("", "+3d 10:00", type="identify", user_id="ann", anonymous_id="web")
    assert fired([visit("10:00"), visit("+2d 10:00", anonymous_id="web"), hello]) == ["+16d 10:00"]


def test_the_evidence_and_the_template_show_the_last_event():
    history = [visit("10:00", properties={"x": 1}), visit("11:00", properties={"x": 2}, message_id="last")]
    [decision] = replay(an_engine(silence()), "u:ann", history, ms("+20d 00:00")).decisions
    assert decision.evidence == ("last",)
    assert msgspec.json.decode(decision.event.properties) == {"x": 2}


def test_activity_costs_the_same_however_much_there_is():
    engine, state, sizes = an_engine(silence()), PersonState("u:ann"), []
    for hour in range(24 * 30):
        event = visit(f"+{hour // 24}d {hour % 24:02}:00")
        engine.feed(state, [event], millis(event.received_at))
        sizes.append(len(states.encode(PersonState("u:ann", trackers=state.trackers))))
    assert sizes[-1] <= sizes[0] + 10 <= 150


def test_an_edit_counts_for_those_who_wait_already():
    state = PersonState("u:ann")
    an_engine(silence()).feed(state, [visit("10:00")], ms("10:00"))
    edited = an_engine(a_rule(trigger={"inactive": {"for": "20d"}}))
    assert not edited.wake(state, state.wake_at).decisions
    assert len(edited.wake(state, ms("+20d 10:01")).decisions) == 1


@pytest.mark.parametrize("re_entry", ["every_time", {"after": "24h"}])
def test_when_nothing_more_can_happen_nothing_is_kept(re_entry):
    engine, state = an_engine(silence(re_entry=re_entry, exit_on=["Cancelled"])), PersonState("u:ann")
    for event in [visit("10:00"), visit("+1d 10:00"), visit("+40d 10:00"), visit("+41d 10:00", did="Cancelled")]:
        while state.wake_at <= millis(event.received_at):
            engine.wake(state, state.wake_at)
        engine.feed(state, [event], millis(event.timestamp))
    while state.wake_at <= ms("+99d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({}, "trigger.inactive.for", "is missing"),
        ({"for": "two weeks"}, "trigger.inactive.for", "must be a duration"),
        ({"for": "14d", "of": []}, "trigger.inactive.of", "at least 1"),
        ({"for": "14d", "after_at_least": {"times": 0}}, "trigger.inactive.after_at_least.times", "greater"),
        ({"for": "14d", "after_at_least": 3}, "trigger.inactive.after_at_least", "must be a mapping"),
        ({"for_": "14d"}, "trigger.inactive.for_", "no such field"),
    ],
)
def test_every_fault_is_named_by_its_path(document, path, words):
    with pytest.raises(InvalidRuleError) as caught:
        load(a_rule(trigger={"inactive": document}))
    assert any(fault["path"] == path and words in fault["reason"] for fault in caught.value.faults), caught.value.faults
