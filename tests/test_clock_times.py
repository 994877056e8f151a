"""Times as people type them, by clocks that go forward and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tidings.clock_times import read

OSLO, NUUK = ZoneInfo("Europe/Oslo"), ZoneInfo("America/Nuuk")


@pytest.mark.parametrize(
    ("text", "zone", "wanted"),
    [
        ("2026-03-02", OSLO, datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("2026-03-02 14:00", OSLO, datetime(2026, 3, 2, 13, tzinfo=UTC)),
        ("2026-07-02T14:00:30", OSLO, datetime(2026, 7, 2, 12, 0, 30, tzinfo=UTC)),
        ("2026-03-02T14:00Z", OSLO, datetime(2026, 3, 2, 14, tzinfo=UTC)),
        ("2026-03-02T14:00-05:00", OSLO, datetime(2026, 3, 2, 19, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_by_its_offset_or_else_by_the_clocks_of_the_place(text, zone, wanted):
    assert read(text, zone) == wanted


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "14:00"])
def test_what_is_no_time_is_refused_with_what_one_looks_like(text):
    with pytest.raises(ValueError, match="must look like 2026-03-02"):
        read(text, OSLO)


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "3000-01-01", "9999-12-31T23:00-05:00"])
def test_a_year_that_no_event_is_of_is_refused(text):
    with pytest.raises(ValueError, match="of the years 1970 to 2999"):
        read(text, ZoneInfo("Asia/Tokyo"))


def test_an_hour_that_happens_twice_is_refused_with_both_readings():
    """In Nuuk the clocks went back at 23:00, so that 22:00 to 23:00 came twice."""
    with pytest.raises(ValueError, match="happens twice in America/Nuuk") as refusal:
        read("2022-10-29 22:30", NUUK)
    said = str(refusal.value).rpartition("say ")[2].split(" or ")
    first, second = (read(one, NUUK) for one in said)
    assert [first, second] == [datetime(2022, 10, 30, 0, 30, tzinfo=UTC), datetime(2022, 10, 30, 1, 30, tzinfo=UTC)]


def test_an_hour_that_never_happens_is_refused_with_the_instants_around_it():
    with pytest.raises(ValueError, match="never happens in Europe/Oslo") as refusal:
        read("2026-03-29 02:30", OSLO)
    said = str(refusal.value).rpartition("say ")[2].split(" or ")
    assert said == ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]
