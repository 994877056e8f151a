"""What a SQLite store keeps of feedback, of shared counts, and of people's requests about their data."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from tidings.adapters.sqlite_access import Access, as_json, instant, keep_origin, micros
from tidings.errors import StoreError
from tidings.records import retention
from tidings.records.feedback import Feedback, Origin
from tidings.records.store import Receipt

_OF_A_PERSON = ("profiles", "consent", "activity", "feedback", "ledger", "origins")
_KEPT = (
    ("ledger", "updated_at", retention.LEDGER),
    ("activity", "at", retention.ACTIVITY),
    ("feedback", "at", retention.FEEDBACK),
    ("origins", "at", retention.ORIGINS),
)


class MailRecords(Access):
    """The second half of `tidings.records.store.Store`."""

    # --- what comes back

    def append_feedback(self, items: Sequence[Feedback]) -> None:
        """See `Store.append_feedback`."""
        with self.writing() as db:
            for item in items:
                bare = replace(item, origin=None)
                row = (item.person, item.feedback_id, item.send_id, micros(item.at), as_json(bare))
                new = db.execute("INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?, ?)", row).rowcount
                if new and item.origin:
                    keep_origin(db, item.person, f"feedback:{item.feedback_id}", item.at, item.origin)

    def feedback(self, person: str, send_id: str = "", limit: int = 1000, *, origins: bool = False) -> list[Feedback]:
        """See `Store.feedback`."""
        query = (
            "SELECT f.record, o.record FROM feedback f LEFT JOIN origins o ON o.person = f.person"
            " AND ? AND o.of = 'feedback:' || f.feedback_id WHERE f.person = ? AND ? IN ('', f.send_id)"
            " ORDER BY f.at DESC, f.feedback_id DESC LIMIT ?"
        )
        return [_feedback(record, origin) for record, origin in self.rows(query, origins, person, send_id, limit)]

    def has_feedback(self, person: str, feedback_id: str) -> bool:
        """See `Store.has_feedback`."""
        query = "SELECT 1 FROM feedback WHERE person = ? AND feedback_id = ?"
        return bool(list(self.rows(query, person, feedback_id)))

    # --- small things that all workers share

    def use_once(self, name: str, expires_at: datetime) -> bool:
        """See `Store.use_once`."""
        with self.writing() as db:
            row = (name, micros(expires_at))
            return db.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", row).rowcount == 1

    def take(self, name: str, amount: int, limit: int, expires_at: datetime) -> int:
        """See `Store.take`."""
        with self.writing() as db:
            query = "SELECT count FROM tallies WHERE name = ? AND what = 'taken'"
            (taken,) = db.execute(query, (name,)).fetchone() or (0,)
            granted = max(min(amount, limit - taken), 0)
            row = (name, "taken", taken + granted, micros(expires_at))
            db.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?)", row)
            return granted

    def tally(self, name: str, counts: Mapping[str, int], expires_at: datetime) -> None:
        """See `Store.tally`."""
        rows = [(name, what, count, micros(expires_at)) for what, count in counts.items()]
        more = "INSERT INTO tallies VALUES (?, ?, ?, ?)"
        with self.writing() as db:
            db.executemany(f"{more} ON CONFLICT (name, what) DO UPDATE SET count = count + excluded.count", rows)

    def tallies(self, names: Sequence[str]) -> list[dict[str, int]]:
        """See `Store.tallies`."""
        return [dict(self.rows("SELECT what, count FROM tallies WHERE name = ?", name)) for name in names]

    def note(self, name: str) -> dict[str, Any] | None:
        """See `Store.note`."""
        rows = self.rows("SELECT value FROM notes WHERE name = ?", name)
        return msgspec.json.decode(rows[0][0]) if rows else None

    def put_note(self, name: str, value: dict[str, Any] | None) -> None:
        """See `Store.put_note`."""
        with self.writing() as db:
            if value is not None:
                db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, as_json(value)))
                return
            db.execute("DELETE FROM notes WHERE name = ?", (name,))
        self.forget_the_log()

    # --- rights of people

    def people_at(self, email: str) -> list[str]:
        """See `Store.people_at`."""
        query = "SELECT person FROM profiles WHERE email = ? ORDER BY person"
        return [person for (person,) in self.rows(query, email.lower())]

    def joined_to(self, person: str) -> list[str]:
        """See `Store.joined_to`."""
        query = "SELECT person FROM profiles WHERE joined = ? ORDER BY person"
        return [anonymous for (anonymous,) in self.rows(query, person)]

    def erase_person(self, person: str) -> dict[str, int]:
        """See `Store.erase_person`. While somebody goes on reading, what is gone still stands in the file: not done."""
        with self.writing() as db:
            counts = {
                table: db.execute(f"DELETE FROM {table} WHERE person = ?", (person,)).rowcount  # noqa: S608 our own
                for table in _OF_A_PERSON
            }
        if not self.forget_the_log():
            raise StoreError("SQLite: somebody reads for too long, so what was deleted cannot be overwritten yet")
        del counts["origins"]
        return counts

    def put_receipt(self, receipt: Receipt) -> None:
        """See `Store.put_receipt`."""
        row = (receipt.receipt_id, receipt.person_digest, receipt.kind, micros(receipt.at), as_json(receipt))
        with self.writing() as db:
            db.execute("INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?)", row)

    def receipts(self, person_digest: str | None = None, limit: int = 1000) -> list[Receipt]:
        """See `Store.receipts`."""
        query = "SELECT record FROM receipts WHERE coalesce(?, person_digest) = person_digest"
        rows = self.rows(f"{query} ORDER BY at DESC, receipt_id DESC LIMIT ?", person_digest, limit)
        return [msgspec.json.decode(record, type=Receipt) for (record,) in rows]

    def erased_at(self, person_digest: str) -> datetime | None:
        """See `Store.erased_at`."""
        [(at,)] = self.rows("SELECT max(at) FROM receipts WHERE person_digest = ? AND kind = 'erasure'", person_digest)
        return None if at is None else instant(at)

    def expire(self, now: datetime) -> dict[str, int]:
        """See `Store.expire`."""
        with self.writing() as db:
            counts = {
                table: db.execute(f"DELETE FROM {table} WHERE {column} < ?", (micros(now - kept),)).rowcount  # noqa: S608
                for table, column, kept in _KEPT
            }
            for table in ("used", "tallies"):
                db.execute(f"DELETE FROM {table} WHERE expires_at < ?", (micros(now),))  # noqa: S608
        return counts


def _feedback(record: str, origin: str | None) -> Feedback:
    found = msgspec.json.decode(record, type=Feedback)
    return replace(found, origin=msgspec.json.decode(origin, type=Origin)) if origin else found
