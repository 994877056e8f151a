"""The archive forgets a person and nobody else: what BigQuery is told, and what a real database finds by it."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from tests.adapters.bigquery_answers import Archive, bigquery
from tidings.adapters.bigquery_archive import EMULATOR
from tidings.adapters.bigquery_erasure import DELETE, PEOPLE, Erased, erase, patterns, people
from tidings.errors import StoreError
from tidings.history.sources import HistoryError

TABLE = "p.tidings.events"
IDS = ["u:ann", "a:browser-1", "a:browser-2"]
ADDRESS = "Ann.Lee@example.com"


@pytest.fixture
def archive(monkeypatch):
    held = Archive()
    with bigquery(held) as address:
        monkeypatch.setenv(EMULATOR, address)
        yield held


def test_it_says_how_many_rows_went(archive):
    archive.deletes = 7
    assert erase(TABLE, IDS, [ADDRESS], sharing=["u:max", "a:browser-3"]) == Erased(7, complete=True)
    [said] = archive.parameters
    assert (said["users"], said["anonymous"]) == (["ann"], ["browser-1", "browser-2"])
    assert (said["addresses"], said["sharing"]) == (patterns(ADDRESS), ["max"])


def test_rows_that_cannot_be_deleted_yet_are_left_and_that_is_said(archive):
    archive.deletes, archive.buffered = 3, True
    assert erase(TABLE, IDS, []) == Erased(3, complete=False)
    assert ["INTERVAL 90 MINUTE" in one for one in archive.asked] == [False, True]


def test_a_table_that_is_none_is_refused_and_an_archive_that_is_away_is_asked_later(archive):
    with pytest.raises(HistoryError, match="PROJECT"):
        erase("events` WHERE true; --", IDS, [])
    archive.fails = (403, "accessDenied")
    with pytest.raises(HistoryError) as refused:
        erase(TABLE, IDS, [ADDRESS])
    assert "Ann" not in str(refused.value)
    archive.fails = (400, "invalidQuery")
    with pytest.raises(HistoryError):
        erase(TABLE, IDS, [])


def test_without_a_network_it_is_for_later(monkeypatch):
    monkeypatch.setenv(EMULATOR, "http://127.0.0.1:1")
    monkeypatch.setattr("tidings.adapters.bigquery_erasure.patiently", None)
    with pytest.raises(StoreError):
        erase(TABLE, IDS, [])


GOES = {
    "of the user": {"userId": "ann"},
    "of the user on any browser": {"userId": "ann", "anonymousId": "elsewhere"},
    "of a browser before it was known": {"anonymousId": "browser-1"},
    "of a browser, and the userId is null": {"anonymousId": "browser-2", "userId": None},
    "of a browser, and the userId is empty": {"anonymousId": "browser-2", "userId": ""},
    "address in traits": {"userId": "x", "traits": {"email": ADDRESS.upper()}},
    "address in a url": {
        "userId": "x",
        "context": {"page": {"url": "https://a.example/?to=Ann.Lee%40example.com&b=1"}},
    },
    "address in a sentence": {"userId": "x", "properties": {"text": f"mail\n{ADDRESS}."}},
    "address without a userId": {"anonymousId": "elsewhere", "traits": {"email": ADDRESS}},
    "address escaped": '{"userId": "x", "traits": {"email": "Ann.Lee\\u0040example.com"}}',
}
STAYS = {
    "of somebody else": {"userId": "bob"},
    "of somebody else on their browser": {"userId": "bob", "anonymousId": "browser-1"},
    "of somebody whose id begins so": {"userId": "anna"},
    "their own address, of somebody who shares it": {"userId": "max", "traits": {"email": ADDRESS}},
    "an address that ends so": {"userId": "x", "traits": {"email": "Jo" + ADDRESS}},
    "an address that begins so": {"userId": "x", "traits": {"email": ADDRESS + ".au"}},
    "another separator": {"userId": "x", "traits": {"email": "Ann-Lee@example.com"}},
}


def found(rows, until=1):
    """The rows that the statement's WHERE finds, asked of DuckDB, whose regular expressions are RE2 as well."""
    where = sqlglot.parse_one(DELETE.format(table=TABLE, recent="INTERVAL 0 MINUTE"), read="bigquery").find(exp.Where)
    given: dict[str, object] = {"users": ["ann"], "anonymous": ["browser-1", "browser-2"], "sharing": ["max"]}
    given["addresses"] = patterns(ADDRESS)
    given["until"] = datetime.now(UTC) - timedelta(hours=until)
    database = duckdb.connect()
    database.execute("CREATE TABLE events (name TEXT, data TEXT, publish_time TIMESTAMPTZ)")
    for name, row in rows.items():
        data = row if isinstance(row, str) else json.dumps(row)
        database.execute("INSERT INTO events VALUES (?, ?, now() - INTERVAL 1 DAY)", [name, data])
    query = f"SELECT name FROM events {where.sql(dialect='duckdb')} ORDER BY rowid"
    return [name for (name,) in database.execute(query, given).fetchall()]


def test_the_statement_finds_what_is_theirs_and_nothing_else():
    assert found({**GOES, **STAYS}) == list(GOES)


def test_what_was_published_later_stays():
    """Who came back after an erasure is somebody new."""
    assert found(GOES, until=25) == []


def test_it_says_of_whom_there_are_events(archive):
    archive.rows = [
        (json.dumps(row), None, False)
        for row in ({"userId": "ann", "anonymousId": "x"}, {}, {"anonymousId": "x", "userId": ""})
    ]
    assert sorted(people(TABLE)) == ["a:x", "u:ann"]
    archive.fails = (403, "accessDenied")
    with pytest.raises(HistoryError):
        [*people(TABLE)]
    with pytest.raises(HistoryError):
        [*people("events` WHERE true; --")]


def test_the_question_is_one_that_a_database_understands():
    database = duckdb.connect()
    database.execute("CREATE TABLE events (data TEXT)")
    for row in ({"userId": "ann"}, {"userId": "ann"}, {"anonymousId": "x", "userId": None}):
        database.execute("INSERT INTO events VALUES (?)", [json.dumps(row)])
    asked = sqlglot.transpile(PEOPLE.format(table="events"), read="bigquery", write="duckdb")[0]
    assert sorted(database.execute(asked).fetchall(), key=str) == [("ann", None), (None, "x")]
