"""What surrounds a trigger: the hours in which nobody is written to."""

import pytest

from tests.deciding.surroundings import HELLO, NIGHT, told
from tests.people import an_event


def test_a_send_at_night_waits_for_the_morning():
    assert told([an_event("Hello", "21:30")], NIGHT) == [("04 07:00", "welcome", "send")]


def test_by_day_it_goes_out_at_once_and_the_edges_are_half_open():
    assert told([an_event("Hello", "19:59:59")], NIGHT) == [("03 19:59", "welcome", "send")]
    assert told([an_event("Hello", "20:00")], NIGHT) == [("04 07:00", "welcome", "send")]
    assert told([an_event("Hello", "07:00")], NIGHT) == [("03 07:00", "welcome", "send")]


def test_a_send_at_night_may_be_dropped_instead():
    rule = {**NIGHT, "quiet_hours": {**NIGHT["quiet_hours"], "on_miss": "drop"}}
    assert told([an_event("Hello", "22:00")], rule) == [("03 22:00", "welcome", "quiet_hours_missed")]


def test_the_night_is_that_of_the_person():
    rule = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    in_tokyo = an_event("", "09:00", type="identify", traits={"timezone": "Asia/Tokyo"})
    assert told([in_tokyo, an_event("Hello", "12:30")], rule) == [("03 23:00", "welcome", "send")]
    by_browser = an_event("Home", "09:00", type="page", context={"timezone": "Asia/Tokyo"})
    assert told([by_browser, an_event("Hello", "12:30")], rule) == [("03 23:00", "welcome", "send")]
    assert told([an_event("Hello", "12:30")], rule) == [("03 12:30", "welcome", "send")]


@pytest.mark.parametrize("zone", ["GMT+0000", "", "../etc/passwd", "Mars/Olympus", 7])
def test_a_time_zone_that_is_none_counts_as_utc(zone):
    rule = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    odd = an_event("", "09:00", type="identify", traits={"timezone": zone})
    assert told([odd, an_event("Hello", "21:30")], rule) == [("04 08:00", "welcome", "send")]


def test_a_held_send_is_decided_again_in_the_morning():
    bye = an_event("Bye", "22:00")
    rule = {**NIGHT, "exit_on": ["Bye"]}
    assert told([an_event("Hello", "21:30"), bye], rule) == [("03 22:00", "welcome", "exited")]
    capped = {**NIGHT, "frequency_cap": "default"}
    other = {**HELLO, "id": "other", "trigger": {"performed": {"event": "Other"}}}
    events = [an_event("Hello", "21:30"), an_event("Other", "23:00")]
    assert [what for *_, what in told(events, capped, other)] == ["send", "frequency_capped"]


def test_a_held_send_is_not_for_somebody_who_has_left_the_audience():
    rule = {**NIGHT, "audience": {"path": "traits.plan", "equals": "free"}}
    free = an_event("", "09:00", type="identify", traits={"plan": "free"})
    paid = an_event("", "23:00", type="identify", traits={"plan": "paid"})
    assert told([free, an_event("Hello", "21:30"), paid], rule) == [("04 07:00", "welcome", "exited")]


def test_the_wait_after_a_held_send_counts_from_the_morning():
    steps = [{"send": "one"}, {"wait": "1h"}, {"send": "two"}]
    rule = {key: value for key, value in {**NIGHT, "steps": steps}.items() if key != "send"}
    assert told([an_event("Hello", "22:00")], rule) == [("04 07:00", "one", "send"), ("04 08:00", "two", "send")]


def test_a_night_of_the_clock_change_ends_by_the_clock_on_the_wall():
    """In Oslo the clock leaps from two to three on 30 March 2025: eight o'clock is six hours UTC, not seven."""
    assert told([an_event("Hello", "+26d 22:00")], NIGHT, until="+30d 00:00") == [("30 06:00", "welcome", "send")]
