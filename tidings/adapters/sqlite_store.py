"""The store in one SQLite file: the embedded default. Several threads and several processes share it.

One connection per store, behind a lock; between processes SQLite's own write lock rules, and whoever finds it taken
waits up to `timeout`. Readers never wait (WAL). The file must lie on a local disk (https://sqlite.org/wal.html), and a
store is opened after a fork, not before it. Nothing expires here: whoever keeps the file decides for how long.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from tidings import ledger, profiles
from tidings.decisions import Decision, Reason
from tidings.errors import StoreError
from tidings.settings import SettingsError
from tidings.store import (
    RESERVED,
    Activity,
    Claim,
    ConsentRecord,
    DocumentKind,
    FinalStatus,
    LedgerEntry,
    Profile,
    ProfileUpdate,
    RuleRecord,
    VersionRecord,
)

_SCHEMAS = (
    """
CREATE TABLE profiles (person TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE consent (person TEXT, record_id TEXT, at INTEGER, record TEXT NOT NULL, PRIMARY KEY (person, record_id))
    WITHOUT ROWID;
CREATE TABLE suppressions (address_digest TEXT PRIMARY KEY, reason TEXT, at INTEGER) WITHOUT ROWID;
CREATE TABLE ledger (send_id TEXT PRIMARY KEY, person TEXT, updated_at INTEGER, record TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX ledger_by_time ON ledger (updated_at);
CREATE INDEX ledger_by_person ON ledger (person, updated_at);
CREATE TABLE rules (rule_id TEXT PRIMARY KEY, document TEXT NOT NULL, last_good TEXT, report TEXT) WITHOUT ROWID;
CREATE TABLE activity (person TEXT, activity_id TEXT, at INTEGER, record TEXT NOT NULL,
    PRIMARY KEY (person, activity_id)) WITHOUT ROWID;
CREATE INDEX activity_by_time ON activity (person, at, activity_id);
""",
    """
CREATE TABLE segments (rule_id TEXT PRIMARY KEY, document TEXT NOT NULL, last_good TEXT, report TEXT) WITHOUT ROWID;
""",
    """
CREATE TABLE versions (kind TEXT, document_id TEXT, record_id TEXT, at INTEGER, record TEXT NOT NULL,
    PRIMARY KEY (kind, document_id, record_id)) WITHOUT ROWID;
CREATE INDEX versions_by_time ON versions (kind, document_id, at, record_id);
ALTER TABLE ledger ADD COLUMN rule_id TEXT GENERATED ALWAYS AS (json_extract(record, '$.decision.ruleId')) VIRTUAL;
CREATE INDEX ledger_by_rule ON ledger (rule_id, updated_at, send_id);
""",
)
"""What each version has added. Records are JSON; what is searched or sorted by stands beside them. Instants are
microseconds since 1970 UTC."""

SCHEMA_VERSION = len(_SCHEMAS)

_LATER = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
}  # fmt: skip
"""The primary result codes that another try may not meet again. Any other one is our own mistake, and crashes."""

_T = TypeVar("_T")
_Table = Literal["rules", "segments"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteStore:
    """`tidings.store.Store` in a file, or in memory (`:memory:`) for the threads of one process.

    Args:
        path: the file; it is created, its folder is not.
        timeout: seconds to wait for another writer before `StoreError`.

    Raises:
        StoreError: the file cannot be opened or written now.
        SettingsError: a newer Tidings wrote the file.
    """

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._lock = threading.Lock()
        self._timeout = timeout
        with _as_store_error():
            self._db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with _as_store_error():
            self._turn_wal_on()
            # FULL: what was committed survives a power cut too. A ledger that forgets sends twice.
            self._db.execute("PRAGMA synchronous = FULL")
        with self._writing() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise SettingsError(f"TIDINGS_STORE names a file of schema {version}; this is schema {SCHEMA_VERSION}")
            for schema in _SCHEMAS[version:]:
                for statement in schema.split(";"):
                    db.execute(statement)
            if version < SCHEMA_VERSION:
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _turn_wal_on(self) -> None:
        """Readers that wait for nobody. Unlike every other statement this one does not wait by itself for its turn."""
        until = time.monotonic() + self._timeout
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its start, so that what it reads stays true."""
        with self._lock, _as_store_error(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock, _as_store_error():
            return self._db.execute(query, values).fetchall()

    # --- people

    def profile(self, person: str) -> Profile | None:
        """See `Store.profile`."""
        rows = self._rows("SELECT record FROM profiles WHERE person = ?", person)
        return profiles.decode(rows[0][0]) if rows else None

    def update_profiles(self, updates: Sequence[ProfileUpdate]) -> None:
        """See `Store.update_profiles`. All of them go into one transaction."""
        with self._writing() as db:
            known: dict[str, Profile | None] = {}
            for update in updates:
                person = update.person
                if person not in known:
                    row = db.execute("SELECT record FROM profiles WHERE person = ?", (person,)).fetchone()
                    known[person] = profiles.decode(row[0]) if row else None
                known[person] = profiles.merge(known[person], update)
            rows = ((person, profiles.encode(profile).decode()) for person, profile in known.items() if profile)
            db.executemany("INSERT OR REPLACE INTO profiles VALUES (?, ?)", rows)

    def record_consent(self, records: Sequence[ConsentRecord]) -> None:
        """See `Store.record_consent`."""
        rows = [(record.person, record.record_id, _micros(record.at), _json(record)) for record in records]
        with self._writing() as db:
            db.executemany("INSERT OR IGNORE INTO consent VALUES (?, ?, ?, ?)", rows)

    def consent(self, person: str) -> list[ConsentRecord]:
        """See `Store.consent`."""
        rows = self._rows("SELECT record FROM consent WHERE person = ? ORDER BY at, record_id", person)
        return [msgspec.json.decode(record, type=ConsentRecord) for (record,) in rows]

    def suppress(self, address_digest: str, reason: str, at: datetime) -> None:
        """See `Store.suppress`."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO suppressions VALUES (?, ?, ?)", (address_digest, reason, _micros(at)))

    def is_suppressed(self, address_digest: str) -> bool:
        """See `Store.is_suppressed`."""
        return bool(self._rows("SELECT 1 FROM suppressions WHERE address_digest = ?", address_digest))

    # --- sends

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claim:
        """See `Store.claim`."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry, Claim]:
            return ledger.claim(entry, decision, now, lease)

        return self._step(decision.send_id, step)

    def release(self, send_id: str, now: datetime, handed_over: bool = True) -> None:
        """See `Store.release`."""
        self._step(send_id, lambda entry: (entry and ledger.release(entry, now, handed_over), None))

    def hand_over(self, send_id: str, now: datetime) -> bool:
        """See `Store.hand_over`."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry | None, bool]:
            after = entry and ledger.hand_over(entry, now)
            return after, after is not entry

        return self._step(send_id, step)

    def finish(
        self, send_id: str, status: FinalStatus, now: datetime, reason: Reason | None = None, detail: str = ""
    ) -> None:
        """See `Store.finish`."""
        self._step(send_id, lambda entry: (entry and ledger.finish(entry, status, now, reason, detail), None))

    def _step(self, send_id: str, step: Callable[[LedgerEntry | None], tuple[LedgerEntry | None, _T]]) -> _T:
        with self._writing() as db:
            row = db.execute("SELECT record FROM ledger WHERE send_id = ?", (send_id,)).fetchone()
            before = _entry(row[0]) if row else None
            after, answer = step(before)
            if after is not None and after is not before:
                columns = (send_id, after.decision.person, _micros(after.updated_at), _json(after))
                db.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?)", columns)
            return answer

    def ledger_entry(self, send_id: str) -> LedgerEntry | None:
        """See `Store.ledger_entry`."""
        rows = self._rows("SELECT record FROM ledger WHERE send_id = ?", send_id)
        return _entry(rows[0][0]) if rows else None

    def ledger(self, person: str | None = None, limit: int = 1000) -> list[LedgerEntry]:
        """See `Store.ledger`."""
        if person is None:
            rows = self._rows("SELECT record FROM ledger ORDER BY updated_at DESC, send_id DESC LIMIT ?", limit)
        else:
            query = "SELECT record FROM ledger WHERE person = ? ORDER BY updated_at DESC, send_id DESC LIMIT ?"
            rows = self._rows(query, person, limit)
        return [_entry(record) for (record,) in rows]

    def ledger_of_rule(self, rule_id: str, since: datetime, limit: int) -> list[LedgerEntry]:
        """See `Store.ledger_of_rule`."""
        query = "SELECT record FROM ledger WHERE rule_id = ? AND updated_at >= ?"
        rows = self._rows(f"{query} ORDER BY updated_at DESC, send_id DESC LIMIT ?", rule_id, _micros(since), limit)
        return [_entry(record) for (record,) in rows]

    # --- rules and segments

    def rules(self) -> list[RuleRecord]:
        """See `Store.rules`."""
        return self._documents("rules")

    def put_rule(self, rule_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """See `Store.put_rule`."""
        self._put_document("rules", rule_id, document, version)

    def report_rule(self, rule_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """See `Store.report_rule`."""
        self._report_document("rules", rule_id, report, last_good)

    def delete_rule(self, rule_id: str) -> None:
        """See `Store.delete_rule`."""
        self._delete_document("rules", rule_id)

    def segments(self) -> list[RuleRecord]:
        """See `Store.segments`."""
        return self._documents("segments")

    def put_segment(self, segment_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """See `Store.put_segment`."""
        self._put_document("segments", segment_id, document, version)

    def report_segment(self, segment_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """See `Store.report_segment`."""
        self._report_document("segments", segment_id, report, last_good)

    def delete_segment(self, segment_id: str) -> None:
        """See `Store.delete_segment`."""
        self._delete_document("segments", segment_id)

    def _documents(self, table: _Table) -> list[RuleRecord]:
        rows = self._rows(f"SELECT rule_id, document, last_good, report FROM {table} ORDER BY rule_id")  # noqa: S608
        decode = msgspec.json.decode
        return [
            RuleRecord(
                rule_id=name,
                document=decode(document),
                last_good=decode(last_good) if last_good else None,
                report=decode(report) if report else None,
            )
            for name, document, last_good, report in rows
        ]

    def _put_document(self, table: _Table, name: str, document: dict[str, Any], version: VersionRecord | None) -> None:
        text = _json({field: value for field, value in document.items() if field != RESERVED})
        new = f"INSERT INTO {table} (rule_id, document) VALUES (?, ?)"  # noqa: S608
        with self._writing() as db:
            db.execute(f"{new} ON CONFLICT (rule_id) DO UPDATE SET document = excluded.document", (name, text))
            if version is not None:
                _keep(db, version)

    def _report_document(
        self, table: _Table, name: str, report: dict[str, Any], last_good: dict[str, Any] | None
    ) -> None:
        values = (_json(report), None if last_good is None else _json(last_good), name)
        with self._writing() as db:
            db.execute(f"UPDATE {table} SET report = ?, last_good = ? WHERE rule_id = ?", values)  # noqa: S608

    def _delete_document(self, table: _Table, name: str) -> None:
        with self._writing() as db:
            db.execute(f"DELETE FROM {table} WHERE rule_id = ?", (name,))  # noqa: S608

    def keep_version(self, version: VersionRecord) -> None:
        """See `Store.keep_version`."""
        with self._writing() as db:
            _keep(db, version)

    def versions(self, kind: DocumentKind, document_id: str, limit: int = 1000) -> list[VersionRecord]:
        """See `Store.versions`."""
        query = (
            "SELECT record FROM versions WHERE kind = ? AND document_id = ? ORDER BY at DESC, record_id DESC LIMIT ?"
        )
        rows = self._rows(query, kind, document_id, limit)
        return [msgspec.json.decode(record, type=VersionRecord) for (record,) in rows]

    # --- activity

    def append_activity(self, items: Sequence[Activity]) -> None:
        """See `Store.append_activity`."""
        rows = [(item.person, item.activity_id, _micros(item.at), _json(item)) for item in items]
        with self._writing() as db:
            db.executemany("INSERT OR IGNORE INTO activity VALUES (?, ?, ?, ?)", rows)

    def activity(self, person: str, limit: int = 100) -> list[Activity]:
        """See `Store.activity`."""
        query = "SELECT record FROM activity WHERE person = ? ORDER BY at DESC, activity_id DESC LIMIT ?"
        return [msgspec.json.decode(record, type=Activity) for (record,) in self._rows(query, person, limit)]

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._db.close()


@contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _LATER:  # the low byte is the primary code
            raise
        raise StoreError(f"SQLite: {error.sqlite_errorname}") from error


def _keep(db: sqlite3.Connection, version: VersionRecord) -> None:
    row = (version.kind, version.document_id, version.record_id, _micros(version.at), _json(version))
    db.execute("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?)", row)


def _entry(record: str) -> LedgerEntry:
    return msgspec.json.decode(record, type=LedgerEntry)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
