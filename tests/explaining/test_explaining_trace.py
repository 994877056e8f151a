"""What each event meant to a rule, in words; and which events of an archive are a person's."""

import json

import msgspec
import pytest

from tests.drawn import lines_of
from tests.explaining.test_explaining_laws import ALL, Lines
from tests.people import a_rule, an_event, at, ms
from tidings.explaining.archive import history_of, of_person
from tidings.explaining.trace import trace
from tidings.history.gather import Window
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import load

OFF = {"frequency_cap": "off", "kind": "transactional"}


def traced(events, until="+3d 0:00", near=None, **rule):
    rules = RuleSet({"a-rule": load(a_rule(**{**OFF, **rule}))}, {})
    return trace(rules, "a-rule", "u:ann", events, ms(until), near)


def words(told):
    return [one.text for line in told.lines for one in line.said]


def test_a_count_is_told_as_far_as_it_has_come():
    performed = {"trigger": {"performed": {"event": "View", "times": 3, "within": "1h"}}, "exit_on": ["Buy"]}
    views = [an_event("View", clock) for clock in ("10:00", "10:10", "11:05")]
    assert words(traced(views, **performed)) == ["counted (1 of 3)", "counted (2 of 3)", "counted (2 of 3)"]
    bought = [*views[:2], an_event("Buy", "10:15"), an_event("View", "10:20")]
    told = traced(bought, **performed)
    assert words(told)[2:] == ["ended the count (Buy)", "counted (1 of 3)"]
    assert told.ending == "ended"


def test_a_sequence_is_told_by_the_events_that_have_come():
    sequence = {"trigger": {"sequence": {"steps": ["Demo", {"event": "Prices", "times": 2}], "within": "1h"}}}
    events = [an_event("Prices", "9:59"), an_event("Demo", "10:00"), an_event("Prices", "10:10")]
    told = traced(events, **sequence)
    assert words(told)[1:] == ["counted (1 of 3)", "counted (2 of 3)"]
    assert told.ending == "counted"
    assert "Prices at 2025-03-03 10:10:00 UTC counted (2 of 3)" in told.verdict


def test_a_visit_that_does_not_add_up_is_over_without_a_mail():
    visit = {"trigger": {"session_ended": {"gap": "30m", "having": [{"event": "View", "at_least": 2}]}}}
    told = traced([an_event("View", "10:00"), an_event("Home", "10:20")], **visit)
    assert words(told) == [
        "started the clock: due 2025-03-03 10:30:00 UTC",
        "moved the clock to 2025-03-03 10:50:00 UTC",
        "the time was over, and it did not come to a mail",
    ]
    assert told.ending == "ended"


def test_a_run_that_waits_is_told_and_what_ends_it():
    later = {"trigger": {"performed": {"event": "Start"}}, "exit_on": ["Stop"]}
    later["steps"] = [{"wait": "1h"}, {"send": "one"}, {"wait": "1h"}, {"send": "two", "unless": ["Seen"]}]
    start = an_event("Start", "10:00")
    waits = traced([start], until="10:30", **later)
    assert (waits.ending, words(waits)) == ("waits", ["the trigger fired: the mail is due 2025-03-03 11:00:00 UTC"])
    assert "the archive reaches until 2025-03-03 10:30:00 UTC" in waits.verdict
    ended = traced([start, an_event("Stop", "10:30")], **later)
    assert (ended.ending, words(ended)[1:]) == ("ended", ["the run ended: nothing more of it is sent"])
    assert "Stop at 2025-03-03 10:30:00 UTC ended it" in ended.verdict
    fired = traced([start, an_event("Seen", "11:30")], **later)
    assert words(fired)[1:] == [
        "fired: a mail is to go out",
        "the next mail is due 2025-03-03 12:00:00 UTC",
        "the run ended: nothing more of it is sent",
    ]


def test_a_night_is_told():
    night = {"trigger": {"performed": {"event": "Start"}}, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    told = traced([an_event("Start", "22:00")], **night)
    assert words(told) == [
        "the trigger fired: held in the night, until 2025-03-04 08:00:00 UTC",
        "fired: a mail is to go out",
    ]


def test_what_came_before_and_what_cannot_be_read_is_told():
    once = an_event("View", "10:00", properties={"n": 3})
    odd = an_event("View", "10:05", properties={"n": "many"})
    performed = {"event": "View", "where": {"path": "properties.n", "gt": 5}}
    told = traced([once, once, odd], trigger={"performed": performed})
    assert words(told) == [
        "had come before, and counts once",
        "could not be read: properties.n: expected a number, found str",
    ]
    assert told.ending == "unreadable"


def test_a_draft_is_not_run():
    told = traced([an_event("Start", "10:00")], trigger={"performed": {"event": "Start"}}, status="draft")
    assert (told.ending, told.lines) == ("draft", ())


def test_the_verdict_is_about_what_is_nearest_to_the_instant_that_somebody_asks_about():
    events = [an_event("Start", clock) for clock in ("10:00", "+1d 10:00", "+2d 10:00")]
    about = {"trigger": {"performed": {"event": "Start"}}}
    assert traced(events, **about).verdict.endswith("2025-03-05 10:00:00 UTC")
    assert traced(events, near=at("+1d 9:00"), **about).verdict.endswith("2025-03-04 10:00:00 UTC")


@pytest.mark.parametrize("name", ["ann", 'a"n\\n', "\N{SNOWMAN}", "u", "\U0001f6d2"])
def test_an_archive_is_searched_for_a_person_however_their_id_is_written(name):
    events = [an_event("View", "10:00", user_id=name), an_event("View", "10:01", user_id="somebody else")]
    escaped = [b'{"x":1,' + line[1:].replace(b"View", rb"Vi\u0065w") for line in lines_of(events)]
    ascii_only = [msgspec.json.decode(line) for line in lines_of(events)]
    dumped = [json.dumps(one).encode() for one in ascii_only]
    for lines in (lines_of(events), escaped, dumped):
        found = of_person(f"u:{name}", [Lines([*lines, b"", b"{"])], ALL)
        assert [one.user_id for one in found.heard] == [name]
        assert (found.events, found.broken) == (2, 1)


def test_what_a_shared_browser_did_is_only_theirs_while_it_was_theirs():
    def anonymous(clock):
        return an_event("View", clock, user_id=None, anonymous_id="x")

    def joins(clock, who):
        return an_event("", clock, type="identify", user_id=who, anonymous_id="x")

    events = [anonymous("10:00"), joins("10:05", "ann"), anonymous("10:10"), joins("10:20", "bob"), anonymous("10:30")]
    found = of_person("u:ann", [Lines(lines_of(reversed(events)))], ALL)
    assert len(found.heard) == 5
    assert {one.timestamp for one in history_of("u:ann", found.heard)} == {at("10:00"), at("10:05"), at("10:10")}
    assert {one.timestamp for one in history_of("a:x", found.heard)} == {one.timestamp for one in events}


def test_what_lies_outside_the_window_is_not_theirs_either():
    events = [an_event("View", clock) for clock in ("10:00", "11:00", "12:00")]
    found = of_person("u:ann", [Lines(lines_of(events))], Window(at("10:30"), at("12:00")))
    assert [one.timestamp for one in found.heard] == [at("11:00")]
    assert found.newest == at("11:00")
