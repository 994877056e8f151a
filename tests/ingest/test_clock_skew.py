"""When an event happened, from clocks that nobody set."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.ingest.clock_skew import EARLIEST, LONGEST_DELAY, Moment, happened_at, read_time

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANTS = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-01T11:00:00Z", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01T11:00:00+00:00", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01T13:00:00+02:00", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01T11:00:00.5Z", datetime(2026, 3, 1, 11, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01T11:00:00.123456789Z", datetime(2026, 3, 1, 11, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-01t11:00:00z", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01 11:00:00", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01T11:00:00", datetime(2026, 3, 1, 11, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (1_772_362_800, datetime(2026, 3, 1, 11, tzinfo=UTC)),
        (1_772_362_800_250, datetime(2026, 3, 1, 11, 0, 0, 250_000, tzinfo=UTC)),
        (1_772_362_800.5, datetime(2026, 3, 1, 11, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_its_writer_meant_it(written: object, meant: datetime) -> None:
    assert read_time(written) == meant


@pytest.mark.parametrize(
    "written", ["yesterday", "", "2026", "2026-13-01", "0001-01-01T00:00:00+14:00", 1e300, float("nan"), True, [], {}]
)
def test_what_is_no_time_is_none(written: object) -> None:
    assert read_time(written) is None


@given(st.text() | st.integers() | st.floats() | st.none())
def test_reading_a_time_never_fails(written: object) -> None:
    time = read_time(written)
    assert time is None or time.utcoffset() == timedelta(0)


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_any_time_of_any_zone_is_read_back(instant: datetime, offset: int) -> None:
    try:
        local = instant.astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError:
        return
    assert read_time(local.isoformat()) == instant


@pytest.mark.parametrize("clock", [NOW, NOW - timedelta(hours=5), datetime(1970, 1, 2, tzinfo=UTC), NOW.replace(2099)])
def test_a_wrong_clock_is_put_right_by_what_it_said_at_sending(clock: datetime) -> None:
    moment = happened_at(((clock - MINUTE).isoformat(),), clock, NOW)
    assert moment == Moment(NOW - MINUTE, clock - MINUTE, None)


def test_without_a_time_of_sending_the_client_is_believed() -> None:
    assert happened_at((None, "2026-02-01"), None, NOW).timestamp == datetime(2026, 2, 1, tzinfo=UTC)


def test_without_any_time_it_happened_on_receipt() -> None:
    assert happened_at((None, ""), NOW, NOW) == Moment(NOW, None, None)


def test_the_first_claim_that_can_be_read_counts() -> None:
    assert happened_at(("rubbish", "2026-02-01"), None, NOW).timestamp == datetime(2026, 2, 1, tzinfo=UTC)


def test_a_time_that_cannot_be_read_is_the_time_of_receipt_and_says_so() -> None:
    assert happened_at(("yesterday",), NOW, NOW) == Moment(NOW, None, "unreadable")


def test_a_clock_that_was_never_set_is_not_believed() -> None:
    boot = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert happened_at((boot.isoformat(),), NOW, NOW) == Moment(NOW, boot, "unset_clock")
    assert happened_at((30,), None, NOW) == Moment(NOW, boot, "unset_clock")


@pytest.mark.parametrize("sent_at", [None, NOW])
def test_the_future_has_not_happened_yet(sent_at: datetime | None) -> None:
    assert happened_at(("2099-01-01T00:00:00Z",), sent_at, NOW).timestamp == NOW


@pytest.mark.parametrize("sent_at", [NOW.replace(2099), datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_time_of_sending_years_away_from_the_event_is_not_believed(sent_at: datetime) -> None:
    claim = NOW - MINUTE
    assert happened_at((claim.isoformat(),), sent_at, NOW).timestamp == claim


def test_an_import_of_history_keeps_its_dates_to_the_second() -> None:
    assert happened_at(("2011-05-05T10:00:00Z",), NOW + MINUTE, NOW).timestamp == datetime(2011, 5, 5, 10, tzinfo=UTC)


@given(INSTANTS, st.none() | INSTANTS)
def test_whatever_the_clocks_say_the_result_lies_between_2000_and_receipt(
    claim: datetime, sent_at: datetime | None
) -> None:
    moment = happened_at((claim.isoformat(),), sent_at, NOW)
    assert EARLIEST <= moment.timestamp <= NOW
    assert moment.original == claim


@given(INSTANTS, st.timedeltas(timedelta(0), LONGEST_DELAY - MINUTE))
def test_a_constant_error_of_the_clock_cancels_out(clock: datetime, delay: timedelta) -> None:
    try:
        claim = clock - delay
    except OverflowError:
        return
    assert happened_at((claim.isoformat(),), clock, NOW).timestamp == NOW - delay
