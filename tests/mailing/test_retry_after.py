"""Retry-After, as anybody may write it, and a provider that wants to be left alone by all workers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import StoreError
from tidings.mailing.retry_after import LEAST, LOOK_EVERY, MOST, Busy, busy_until, read
from tidings.records.store import Store

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("007", 7),
        ("0", 1),
        ("3600", 3600),
        ("3601", 3600),
        ("99999", 3600),
        ("9" * 5000, 3600),
    ],
)
def test_seconds_are_read_within_bounds(value: str, seconds: int) -> None:
    assert read(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "Tue, 01 Dec 2026 09:02:00 GMT",
        "Tuesday, 01-Dec-26 09:02:00 GMT",  # the two forms that the RFC calls obsolete, and wants read
        "Tue Dec  1 09:02:00 2026",
    ],
)
def test_a_date_is_read_in_all_three_forms(value: str) -> None:
    assert read(value, NOW) == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("Tue, 01 Dec 2026 08:00:00 GMT", LEAST),
        ("Fri, 31 Dec 1999 23:59:59 GMT", LEAST),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST),
    ],
)
def test_a_date_that_is_past_or_far_is_bounded(value: str, wait: timedelta) -> None:
    assert read(value, NOW) == wait


@pytest.mark.parametrize(
    "value",
    ["", "-5", "+5", "1.5", "1e3", "soon", "30, 60", "30 s", "\N{ARABIC-INDIC DIGIT THREE}", "Tue, 99 Dec 2026", "inf"],
)
def test_what_the_rfc_does_not_know_is_as_if_nothing_was_said(value: str) -> None:
    assert read(value, NOW) is None


@given(
    st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2,5}, \d{1,4}[ -][A-Z][a-z]{2}[ -]-?\d{1,12} [\d:]{1,20}( \S+)?"))
)
def test_whatever_it_is_it_is_bounded_or_nothing(value: str) -> None:
    wait = read(value, NOW)
    assert wait is None or LEAST <= wait <= MOST


@given(st.integers(2, 3599))
def test_seconds_and_their_date_mean_the_same(seconds: int) -> None:
    until = NOW + timedelta(seconds=seconds)
    assert read(str(seconds), NOW) == read(format_datetime(until, usegmt=True), NOW)


# Left alone by everybody


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """What two workers share, as each of them has it."""
    both = SqliteStore(f"{tmp_path}/store.db"), SqliteStore(f"{tmp_path}/store.db")
    yield both
    for one in both:
        one.close()


def test_what_one_worker_was_told_all_of_them_know_within_seconds(stores: tuple[Store, Store]) -> None:
    told, other = Busy(stores[0], "sendgrid"), Busy(stores[1], "sendgrid")
    assert (told.until(NOW), other.until(NOW)) == (None, None)
    until = told.begin(timedelta(minutes=2), NOW)
    assert until == NOW + timedelta(minutes=2)
    assert told.until(NOW) == until
    assert other.until(NOW + LOOK_EVERY) == until
    assert other.until(until) is None
    assert Busy(stores[1], "mailgun").until(NOW + LOOK_EVERY) is None


def test_a_longer_wait_takes_the_place_of_a_shorter_one(stores: tuple[Store, Store]) -> None:
    """And the other way round it does not: both were said, and who is asked too early says so again."""
    busy = Busy(stores[0], "ses")
    busy.begin(timedelta(minutes=1), NOW)
    busy.begin(timedelta(minutes=2), NOW)
    busy.begin(timedelta(seconds=5), NOW)
    assert busy.until(NOW) == busy_until(stores[1], "ses", NOW) == NOW + timedelta(minutes=2)


def test_nobody_waits_for_a_clock_that_was_wrong(stores: tuple[Store, Store]) -> None:
    """It was an hour ahead; the provider will say again how long it wants to be left alone, and be heard."""
    Busy(stores[0], "ses").begin(timedelta(minutes=30), NOW + timedelta(hours=1))
    busy = Busy(stores[1], "ses")
    assert busy.until(NOW) is None
    assert busy.begin(timedelta(minutes=1), NOW) == busy.until(NOW) == busy_until(stores[0], "ses", NOW)


def test_who_cannot_tell_the_others_knows_at_least_itself(stores: tuple[Store, Store]) -> None:
    """What is known of the mail must not be lost for that."""

    class Away(SqliteStore):
        """Writes nothing."""

        def put_note(self, *_: object) -> None:
            """Fail."""
            raise StoreError("the store is away")

    away = Away(":memory:")
    busy = Busy(away, "ses")
    assert busy.begin(timedelta(minutes=1), NOW) == busy.until(NOW) == busy.until(NOW + LOOK_EVERY)
    away.close()
