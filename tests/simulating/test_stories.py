"""Stories: how they are read, and how they are played."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.people import a_rule, at
from tidings.errors import InvalidRuleError
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import load as load_rule
from tidings.rules.segments import load as load_segment
from tidings.simulating.playing import compare, play
from tidings.simulating.stories import json_schema, load
from tidings.simulating.story_documents import clock, told

STORIES = Path(__file__).parents[2] / "rules" / "stories"
SIGNED_UP = {"performed": {"event": "Signed Up"}}


def a_story(**fields):
    [story] = load({"story": "A story.", "given": [], **fields}, "a-rule")
    return story


def rules_of(*documents, segments=()):
    return RuleSet(
        {one["id"]: load_rule(one) for one in documents}, {name: load_segment(one, name) for name, one in segments}
    )


def decided(story, *documents, **more):
    """`(who, when, how)` of every decision."""
    played = play(story, story.chosen(rules_of(*documents, **more)))
    return sorted((one.person, story.when(one.due_at), one.reason or one.outcome) for one in played.decisions)


def test_the_schema_for_editors_is_fresh():
    fresh = "run: python -m tidings.simulating.stories > rules/stories/schema.json"
    assert (STORIES / "schema.json").read_text() == json_schema(), fresh


@given(st.integers(0, 5000 * 86_400_000 - 1).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_time_is_told_as_it_is_read(since):
    assert clock(told(since)) == since


@pytest.mark.parametrize("text", ["24:00", "10:60", "10", "-1d 10:00", "+1d", "10:00:00.0000", "", None, 600])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="must be a time in quotes"):
        clock(text)


def test_time_goes_on_after_the_last_event_or_up_to_a_time_and_what_is_due_then_is_decided():
    within = a_rule(trigger={"not_performed": {"after": "A", "none_of": ["B"], "within": "15m"}})
    done = [{"at": "10:00", "who": "ann", "did": "A"}]
    for enough in ("15m", "10:15", "+1d 00:00"):
        assert decided(a_story(given=done, until=enough), within) == [("u:ann", "10:15", "send")]
    for too_short in ("14m59s", "10:14:59.999"):
        assert decided(a_story(given=done, until=too_short), within) == []
    assert decided(a_story(given=done), within) == []


def test_a_story_may_be_on_another_day():
    story = a_story(day="2026-03-29", given=[{"at": "+1d 10:00", "who": "ann", "did": "Signed Up"}])
    assert [one.due_at.isoformat() for one in play(story, rules_of(a_rule(trigger=SIGNED_UP))).decisions] == [
        "2026-03-30T10:00:00+00:00"
    ]
    assert decided(story, a_rule(trigger=SIGNED_UP)) == [("u:ann", "+1d 10:00", "send")]


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "3000-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_the_calendar_is_refused(day):
    with pytest.raises(InvalidRuleError, match="day: must be a day of the years 1970 to 2999"):
        a_story(day=day)


def test_an_event_that_comes_late_is_received_later_than_it_happened():
    story = a_story(given=[{"at": "10:01", "received": "10:14", "who": "ann", "did": "A"}])
    [event] = story.events
    assert (event.timestamp, event.received_at) == (at("10:01"), at("10:14"))
    assert story.until == at("10:14")


def test_what_is_known_of_people_counts_from_the_start_and_is_no_activity_of_theirs():
    audience = {"path": "traits.plan", "equals": "pro"}
    people = {"ann": {"traits": {"plan": "pro"}}, "bob": {}}
    given = [{"at": "10:00", "who": who, "did": "Signed Up"} for who in ("ann", "bob")]
    story = a_story(people=people, given=given, until="20d")
    assert decided(story, a_rule(trigger=SIGNED_UP, audience=audience)) == [("u:ann", "10:00", "send")]
    silence = {"inactive": {"for": "14d", "after_at_least": {"times": 2}}}
    assert decided(story, a_rule(trigger=silence)) == []


def test_who_was_in_a_segment_before_the_story_does_not_enter_it():
    entering = a_rule(trigger={"segment": {"id": "payers", "on": "enter"}})
    payers = [("payers", {"where": {"path": "traits.plan", "equals": "pro"}})]
    given = [{"at": "10:00", "who": who, "identify": {"plan": "pro"}} for who in ("ann", "bob")]
    story = a_story(people={"ann": {"traits": {"plan": "pro"}}}, given=given)
    assert decided(story, entering, segments=payers) == [("u:bob", "10:00", "send")]


def test_a_time_zone_that_is_known_of_somebody_is_that_of_their_night():
    night = {"start": "21:00", "end": "08:00", "tz": "user", "on_miss": "drop"}
    people = {"ann": {"time_zone": "Asia/Tokyo"}}
    given = [{"at": "13:00", "who": who, "did": "Signed Up"} for who in ("ann", "bob")]
    assert decided(a_story(people=people, given=given), a_rule(trigger=SIGNED_UP, quiet_hours=night)) == [
        ("u:ann", "13:00", "quiet_hours_missed"),
        ("u:bob", "13:00", "send"),
    ]


def test_an_anonymous_visitor_who_identifies_is_one_person():
    twice = a_rule(trigger={"performed": {"event": "A", "times": 2, "within": "1h"}})
    given = [
        {"at": "10:00", "anonymous": "x", "did": "A"},
        {"at": "10:01", "who": "ann", "anonymous": "x", "identify": {}},
        {"at": "10:02", "who": "ann", "did": "A"},
    ]
    assert decided(a_story(given=given), twice) == [("u:ann", "10:02", "send")]


def test_the_same_message_twice_counts_once():
    twice = a_rule(trigger={"performed": {"event": "A", "times": 2, "within": "1h"}})
    given = [{"at": "10:00", "who": "ann", "did": "A", "id": "m"}, {"at": "10:01", "who": "ann", "did": "A", "id": "m"}]
    assert decided(a_story(given=given), twice) == []
    apart = [{name: value for name, value in one.items() if name != "id"} for one in given]
    assert decided(a_story(given=apart), twice) == [("u:ann", "10:01", "send")]


def test_what_comes_twice_must_be_expected_twice():
    fired = {"who": "ann", "due": "10:00"}
    given = [{"at": "10:00", "who": "ann", "did": "Signed Up"}] * 2
    rules = rules_of(a_rule(trigger=SIGNED_UP, frequency_cap="off"))
    once, both = (a_story(given=given, expect=[fired] * times) for times in (1, 2))
    assert compare(both.expected(rules.rules), play(both, rules)) == []
    [difference] = compare(once.expected(rules.rules), play(once, rules))
    assert (difference.person, len(difference.missing), len(difference.unexpected)) == ("u:ann", 0, 1)


def test_a_value_that_a_rule_cannot_read_is_hinted_at():
    dear = {"performed": {"event": "A", "where": {"path": "properties.price", "gt": 10}}}
    rules = rules_of(a_rule(trigger=dear))
    given = [{"at": "10:00", "who": "ann", "did": "A", "with": {"price": "12"}}]
    story = a_story(given=given, expect=[{"who": "ann", "due": "10:00"}])
    [difference] = compare(story.expected(rules.rules), play(story, rules))
    assert any("could not read A" in hint for hint in difference.hints)


def test_a_no_of_the_story_itself_is_heard_here_and_a_no_of_the_mailers_counts_as_sent():
    rules = rules_of(a_rule(trigger=SIGNED_UP, frequency_cap="off"))
    no, signed_up = (
        {"at": at, "who": "ann", "did": did} for at, did in (("09:00", "Unsubscribed"), ("10:00", "Signed Up"))
    )

    def differences(given, ends):
        story = a_story(given=given, expect=[{"who": "ann", "due": "10:00", "ends": ends}])
        return compare(story.expected(rules.rules), play(story, rules))

    assert differences([no, signed_up], "opted_out") == []
    [difference] = differences([no, signed_up], "send")
    assert [one.ends for one in difference.unexpected] == ["opted_out"]
    assert any("stopped by consent (marketing, since" in hint for hint in difference.hints)
    assert differences([signed_up], "opted_out") == differences([signed_up], "no_consent") == []
