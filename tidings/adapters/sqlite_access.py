"""One SQLite file, shared by several threads and processes: how it is opened, read and written.

One connection per store, behind a lock; between processes SQLite's own write lock rules, and whoever finds it taken
waits up to `timeout`. Readers never wait (WAL). The file must lie on a local disk (https://sqlite.org/wal.html), and a
store is opened after a fork, not before it.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tidings.errors import StoreError
from tidings.records.feedback import Origin
from tidings.settings import SettingsError

SCHEMAS = (
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
    """
UPDATE consent SET record = json_remove(json_set(record, '$.action',
    CASE json_extract(record, '$.given') WHEN 1 THEN 'given' ELSE 'withdrawn' END), '$.given');
ALTER TABLE profiles ADD COLUMN email TEXT GENERATED ALWAYS AS (lower(json_extract(record, '$.traits.email'))) VIRTUAL;
ALTER TABLE profiles ADD COLUMN joined TEXT GENERATED ALWAYS AS (json_extract(record, '$.joined[1]')) VIRTUAL;
CREATE INDEX profiles_by_email ON profiles (email);
CREATE INDEX profiles_by_joined ON profiles (joined);
ALTER TABLE ledger ADD COLUMN turn INTEGER GENERATED ALWAYS AS (
    CASE json_extract(record, '$.status') WHEN 'waiting'
    THEN CAST(strftime('%s', json_extract(record, '$.lease_until')) AS INTEGER) END) VIRTUAL;
CREATE INDEX ledger_by_turn ON ledger (turn) WHERE turn IS NOT NULL;
CREATE TABLE feedback (person TEXT, feedback_id TEXT, send_id TEXT, at INTEGER, record TEXT NOT NULL,
    PRIMARY KEY (person, feedback_id)) WITHOUT ROWID;
CREATE INDEX feedback_by_time ON feedback (person, at, feedback_id);
CREATE TABLE origins (person TEXT, of TEXT, at INTEGER, record TEXT NOT NULL, PRIMARY KEY (person, of)) WITHOUT ROWID;
CREATE TABLE used (name TEXT PRIMARY KEY, expires_at INTEGER) WITHOUT ROWID;
CREATE TABLE tallies (name TEXT, what TEXT, count INTEGER, expires_at INTEGER, PRIMARY KEY (name, what)) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE receipts (receipt_id TEXT PRIMARY KEY, person_digest TEXT, kind TEXT, at INTEGER, record TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX receipts_by_person ON receipts (person_digest, at);
""",
    """
DROP INDEX profiles_by_email;
ALTER TABLE profiles DROP COLUMN email;
ALTER TABLE profiles ADD COLUMN email TEXT;
UPDATE profiles SET email = lower(json_extract(record, '$.traits.email'));
CREATE INDEX profiles_by_email ON profiles (email);
""",
)
"""What each version has added. Records are JSON; what is searched or sorted by stands beside them. Instants are
microseconds since 1970 UTC. Addresses are in lower case as Python has it: SQLite's `lower` leaves all but ASCII."""

SCHEMA_VERSION = len(SCHEMAS)

_LATER = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
}  # fmt: skip
"""The primary result codes that another try may not meet again. Any other one is our own mistake, and crashes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Access:
    """The file, and the manners of using it.

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
            # What is erased is overwritten, and not left in a page that is free again.
            self._db.execute("PRAGMA secure_delete = ON")
        with self.writing() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise SettingsError(f"TIDINGS_STORE names a file of schema {version}; this is schema {SCHEMA_VERSION}")
            for schema in SCHEMAS[version:]:
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
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its start, so that what it reads stays true."""
        with self._lock, _as_store_error(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def rows(self, query: str, *values: object) -> list[Any]:
        """What a query finds."""
        with self._lock, _as_store_error():
            return self._db.execute(query, values).fetchall()

    def forget_the_log(self) -> bool:
        """Empty the write-ahead log, in which what was deleted stands until then.

        Returns False when it could not be emptied, because somebody has been reading for longer than `timeout`.
        """
        [(is_busy, *_)] = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        return not is_busy

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


def as_json(value: object) -> str:
    """A record as it is stored."""
    return msgspec.json.encode(value).decode()


def micros(at: datetime) -> int:
    """An instant as it is stored: microseconds since 1970 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """The inverse of `micros`."""
    return _EPOCH + timedelta(microseconds=at)


def keep_origin(db: sqlite3.Connection, person: str, of: str, at: datetime, origin: Origin) -> None:
    """Where something came from, apart from the thing itself, because it is kept for a shorter time."""
    db.execute("INSERT OR IGNORE INTO origins VALUES (?, ?, ?, ?)", (person, of, micros(at), as_json(origin)))
