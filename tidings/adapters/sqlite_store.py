"""The store in one SQLite file: the embedded default. See `sqlite_access` for how the file is shared."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from tidings.adapters.sqlite_access import as_json, instant, keep_origin, micros
from tidings.adapters.sqlite_mail import MailRecords
from tidings.mailing import ledger
from tidings.records import profiles
from tidings.records.feedback import Origin
from tidings.records.store import (
    ERASED,
    RESERVED,
    Activity,
    Claimed,
    ConsentRecord,
    DocumentKind,
    FinalStatus,
    LedgerEntry,
    Letter,
    Profile,
    ProfileUpdate,
    RuleRecord,
    Suppression,
    VersionRecord,
)
from tidings.wire.decisions import Decision, Reason

_T = TypeVar("_T")
_Table = Literal["rules", "segments"]


class SqliteStore(MailRecords):
    """`tidings.records.store.Store` in a file, or in memory (`:memory:`) for the threads of one process.

    Args:
        path: the file; it is created, its folder is not.
        timeout: seconds to wait for another writer before `StoreError`.

    Raises:
        StoreError: the file cannot be opened or written now.
        SettingsError: a newer Tidings wrote the file.
    """

    # --- people

    def profile(self, person: str) -> Profile | None:
        """See `Store.profile`."""
        rows = self.rows("SELECT record FROM profiles WHERE person = ?", person)
        return profiles.decode(rows[0][0]) if rows else None

    def update_profiles(self, updates: Sequence[ProfileUpdate]) -> None:
        """See `Store.update_profiles`. All of them go into one transaction."""
        with self.writing() as db:
            known: dict[str, Profile | None] = {}
            for update in updates:
                person = update.person
                if person not in known:
                    row = db.execute("SELECT record FROM profiles WHERE person = ?", (person,)).fetchone()
                    known[person] = profiles.decode(row[0]) if row else None
                known[person] = profiles.merge(known[person], update)
            rows = (
                (person, profiles.encode(profile).decode(), profiles.email(profile))
                for person, profile in known.items()
                if profile
            )
            db.executemany("INSERT OR REPLACE INTO profiles (person, record, email) VALUES (?, ?, ?)", rows)

    def record_consent(self, records: Sequence[ConsentRecord]) -> None:
        """See `Store.record_consent`."""
        with self.writing() as db:
            for record in records:
                row = (record.person, record.record_id, micros(record.at), as_json(replace(record, origin=None)))
                new = db.execute("INSERT OR IGNORE INTO consent VALUES (?, ?, ?, ?)", row).rowcount
                if new and record.origin:
                    keep_origin(db, record.person, f"consent:{record.record_id}", record.at, record.origin)

    def consent(self, person: str, *, origins: bool = False) -> list[ConsentRecord]:
        """See `Store.consent`."""
        query = (
            "SELECT c.record, o.record FROM consent c LEFT JOIN origins o ON o.person = c.person"
            " AND ? AND o.of = 'consent:' || c.record_id WHERE c.person = ? ORDER BY c.at, c.record_id"
        )
        return [_consent(record, origin) for record, origin in self.rows(query, origins, person)]

    def suppress(self, address_digest: str, reason: str, at: datetime) -> None:
        """See `Store.suppress`."""
        with self.writing() as db:
            row = (address_digest, reason, micros(at))
            if reason == ERASED:
                db.execute("DELETE FROM suppressions WHERE address_digest = ? AND reason <> ?", row[:2])
            db.execute("INSERT OR IGNORE INTO suppressions VALUES (?, ?, ?)", row)

    def suppression(self, address_digest: str) -> Suppression | None:
        """See `Store.suppression`."""
        rows = self.rows("SELECT reason, at FROM suppressions WHERE address_digest = ?", address_digest)
        return Suppression(reason=rows[0][0], at=instant(rows[0][1])) if rows else None

    def lift_suppression(self, address_digest: str) -> None:
        """See `Store.lift_suppression`."""
        with self.writing() as db:
            db.execute("DELETE FROM suppressions WHERE address_digest = ?", (address_digest,))

    # --- sends

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claimed:
        """See `Store.claim`."""
        claim_id = uuid4().hex

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry, Claimed]:
            claimed = ledger.claim(entry, decision, now, lease, claim_id)
            return claimed.entry, claimed

        return self._step(decision.send_id, step)

    def hand_over(self, held: LedgerEntry, now: datetime, letter: Letter | None = None) -> bool:
        """See `Store.hand_over`."""
        return self._move(held, lambda entry: ledger.hand_over(entry, held, now, letter)) is not None

    def release(self, held: LedgerEntry, now: datetime) -> bool:
        """See `Store.release`."""
        return self._move(held, lambda entry: ledger.release(entry, held, now)) is not None

    def wait(self, held: LedgerEntry, now: datetime, until: datetime) -> bool:
        """See `Store.wait`."""
        return self._move(held, lambda entry: ledger.wait(entry, held, now, until)) is not None

    def waiting(self, now: datetime, limit: int) -> list[LedgerEntry]:
        """See `Store.waiting`."""
        query = "SELECT record FROM ledger WHERE turn <= ? ORDER BY turn, send_id LIMIT ?"
        found = [_entry(record) for (record,) in self.rows(query, int(now.timestamp()), limit)]
        return [entry for entry in found if entry.lease_until <= now]  # the column counts whole seconds

    def finish(
        self,
        held: LedgerEntry,
        status: FinalStatus,
        now: datetime,
        reason: Reason | None = None,
        detail: str = "",
        decision: Decision | None = None,
    ) -> LedgerEntry | None:
        """See `Store.finish`."""
        return self._move(held, lambda entry: ledger.finish(entry, held, status, now, reason, detail, decision))

    def reopen(self, send_id: str, now: datetime, may_repeat: bool = False) -> LedgerEntry | None:
        """See `Store.reopen`."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry | None, LedgerEntry | None]:
            after = entry and ledger.reopen(entry, now, may_repeat)
            return after, after

        return self._step(send_id, step)

    def _move(self, held: LedgerEntry, move: Callable[[LedgerEntry], LedgerEntry]) -> LedgerEntry | None:
        """One step of the ledger; None when it has changed nothing."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry | None, LedgerEntry | None]:
            after = entry and move(entry)
            return after, None if after is entry else after

        return self._step(held.send_id, step)

    def _step(self, send_id: str, step: Callable[[LedgerEntry | None], tuple[LedgerEntry | None, _T]]) -> _T:
        with self.writing() as db:
            row = db.execute("SELECT record FROM ledger WHERE send_id = ?", (send_id,)).fetchone()
            before = _entry(row[0]) if row else None
            after, answer = step(before)
            if after is not None and after is not before:
                columns = (send_id, after.decision.person, micros(after.updated_at), as_json(after))
                db.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?)", columns)
            return answer

    def ledger_entry(self, send_id: str) -> LedgerEntry | None:
        """See `Store.ledger_entry`."""
        rows = self.rows("SELECT record FROM ledger WHERE send_id = ?", send_id)
        return _entry(rows[0][0]) if rows else None

    def ledger(self, person: str | None = None, limit: int = 1000) -> list[LedgerEntry]:
        """See `Store.ledger`."""
        if person is None:
            rows = self.rows("SELECT record FROM ledger ORDER BY updated_at DESC, send_id DESC LIMIT ?", limit)
        else:
            query = "SELECT record FROM ledger WHERE person = ? ORDER BY updated_at DESC, send_id DESC LIMIT ?"
            rows = self.rows(query, person, limit)
        return [_entry(record) for (record,) in rows]

    def ledger_of_rule(self, rule_id: str, since: datetime, limit: int) -> list[LedgerEntry]:
        """See `Store.ledger_of_rule`."""
        query = "SELECT record FROM ledger WHERE rule_id = ? AND updated_at >= ?"
        rows = self.rows(f"{query} ORDER BY updated_at DESC, send_id DESC LIMIT ?", rule_id, micros(since), limit)
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
        rows = self.rows(f"SELECT rule_id, document, last_good, report FROM {table} ORDER BY rule_id")  # noqa: S608
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
        text = as_json({field: value for field, value in document.items() if field != RESERVED})
        new = f"INSERT INTO {table} (rule_id, document) VALUES (?, ?)"  # noqa: S608
        with self.writing() as db:
            db.execute(f"{new} ON CONFLICT (rule_id) DO UPDATE SET document = excluded.document", (name, text))
            if version is not None:
                _keep(db, version)

    def _report_document(
        self, table: _Table, name: str, report: dict[str, Any], last_good: dict[str, Any] | None
    ) -> None:
        values = (as_json(report), None if last_good is None else as_json(last_good), name)
        with self.writing() as db:
            db.execute(f"UPDATE {table} SET report = ?, last_good = ? WHERE rule_id = ?", values)  # noqa: S608

    def _delete_document(self, table: _Table, name: str) -> None:
        with self.writing() as db:
            db.execute(f"DELETE FROM {table} WHERE rule_id = ?", (name,))  # noqa: S608

    def keep_version(self, version: VersionRecord) -> None:
        """See `Store.keep_version`."""
        with self.writing() as db:
            _keep(db, version)

    def versions(self, kind: DocumentKind, document_id: str, limit: int = 1000) -> list[VersionRecord]:
        """See `Store.versions`."""
        query = (
            "SELECT record FROM versions WHERE kind = ? AND document_id = ? ORDER BY at DESC, record_id DESC LIMIT ?"
        )
        rows = self.rows(query, kind, document_id, limit)
        return [msgspec.json.decode(record, type=VersionRecord) for (record,) in rows]

    # --- activity

    def append_activity(self, items: Sequence[Activity]) -> None:
        """See `Store.append_activity`."""
        rows = [(item.person, item.activity_id, micros(item.at), as_json(item)) for item in items]
        with self.writing() as db:
            db.executemany("INSERT OR IGNORE INTO activity VALUES (?, ?, ?, ?)", rows)

    def activity(self, person: str, limit: int = 100) -> list[Activity]:
        """See `Store.activity`."""
        query = "SELECT record FROM activity WHERE person = ? ORDER BY at DESC, activity_id DESC LIMIT ?"
        return [msgspec.json.decode(record, type=Activity) for (record,) in self.rows(query, person, limit)]


def _keep(db: sqlite3.Connection, version: VersionRecord) -> None:
    row = (version.kind, version.document_id, version.record_id, micros(version.at), as_json(version))
    db.execute("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?)", row)


def _entry(record: str) -> LedgerEntry:
    return msgspec.json.decode(record, type=LedgerEntry)


def _consent(record: str, origin: str | None) -> ConsentRecord:
    found = msgspec.json.decode(record, type=ConsentRecord)
    return replace(found, origin=msgspec.json.decode(origin, type=Origin)) if origin else found
