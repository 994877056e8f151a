"""The archive in BigQuery, asked as a source of past events."""

from datetime import timedelta

import pytest

from tests.adapters.bigquery_answers import Archive, at, bigquery
from tests.drawn import lines_of
from tests.people import an_event
from tidings.adapters import bigquery_archive
from tidings.adapters.bigquery_archive import EMULATOR, units
from tidings.errors import StoreError
from tidings.history import run
from tidings.history.gather import Window
from tidings.history.sources import HistoryError

TABLE = "p.tidings.events"


@pytest.fixture
def archive(monkeypatch):
    held = Archive()
    for number in range(7):
        event = an_event("X", at(1 + number // 3), user_id=f"u{number}", message_id=f"m{number}")
        held.rows.append((lines_of([event])[0].decode(), at(1 + number // 3) + timedelta(seconds=2), False))
    held.rows.append((held.rows[0][0], at(1), True))
    with bigquery(held) as address:
        monkeypatch.setenv(EMULATOR, address)
        yield held


def test_every_day_of_the_archive_is_a_piece_of_its_own_and_copies_are_left_out(archive):
    pieces = units(TABLE, Window())
    assert [(one.since.day, one.events) for one in pieces] == [(1, 3), (2, 3), (3, 1)]
    assert [len(list(one.lines())) for one in pieces] == [3, 3, 1]
    assert pieces[0].source == "bigquery:p.tidings.events"
    assert "copyOf" in archive.asked[0]
    assert "copyOf" in archive.asked[1]


def test_only_the_days_of_a_window_are_read_and_what_was_published_late_belongs_to_it(archive):
    late = an_event("X", at(1, 23), user_id="late", message_id="late")
    archive.rows.append((lines_of([late])[0].decode(), at(2, 0) + timedelta(minutes=20), False))
    window = Window(at(1, 13), at(2, 0))
    pieces = units(TABLE, window)
    assert sum(one.events for one in pieces) == 1
    with run.gathered(pieces, window, 1, lambda *_: None) as past:
        assert past.found.events == 1


def test_the_archive_goes_through_a_replay_on_two_processes(archive):
    with run.gathered(units(TABLE, Window()), Window(), 2, lambda *_: None) as past:
        assert (past.found.events, past.found.broken) == (7, 0)


@pytest.mark.parametrize("name", ["events", "p.events", "p.d.events; DROP TABLE x", "p.d.`e`", ""])
def test_a_name_that_is_no_table_is_refused_before_anybody_is_asked(archive, name):
    with pytest.raises(HistoryError, match="must be bigquery:PROJECT"):
        units(name, Window())
    assert archive.asked == []


def test_a_table_that_is_not_there_or_not_ours_is_the_callers_fault(archive):
    for fails in ((404, "notFound"), (403, "accessDenied")):
        archive.fails = fails
        with pytest.raises(HistoryError, match=r"bigquery:p\.tidings\.events"):
            units(TABLE, Window())


def test_a_bigquery_that_is_away_is_asked_again_later(archive, monkeypatch):
    monkeypatch.setattr(bigquery_archive, "patiently", bigquery_archive.patiently.with_timeout(1))
    archive.fails = (503, "backendError")
    with pytest.raises(StoreError, match="BigQuery cannot be asked now"):
        units(TABLE, Window())


def test_without_credentials_it_cannot_be_asked(monkeypatch):
    monkeypatch.delenv(EMULATOR, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(StoreError, match="DefaultCredentialsError"):
        units(TABLE, Window())
