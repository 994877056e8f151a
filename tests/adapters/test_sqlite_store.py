"""What is SQLite's alone: files that cannot be opened, written or understood."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.contracts.samples import NOON, a_decision, a_feedback, together
from tidings.adapters.sqlite_access import SCHEMA_VERSION, SCHEMAS, micros
from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import StoreError
from tidings.records import retention
from tidings.records.feedback import Origin
from tidings.records.store import Activity, ConsentRecord, LedgerEntry, Profile, ProfileUpdate
from tidings.rollout.versions import follow
from tidings.settings import SettingsError


def test_a_file_in_no_folder_is_a_store_error(tmp_path: Path) -> None:
    """The folder may be mounted a moment later; a store does not make folders up."""
    with pytest.raises(StoreError, match="SQLITE_CANTOPEN"):
        SqliteStore(str(tmp_path / "missing" / "store.db"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """The message names the fault and not the path."""
    with pytest.raises(StoreError) as error:
        SqliteStore(str(tmp_path))
    assert str(tmp_path) not in str(error.value)


def test_a_store_that_another_writer_holds_for_too_long_is_a_store_error(tmp_path: Path) -> None:
    """Reading goes on, and when the other one has finished so does writing."""
    store = SqliteStore(str(tmp_path / "store.db"), timeout=0.05)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="SQLITE_BUSY"):
        store.suppress("digest", "bounce", NOON)
    assert not store.suppression("digest")
    other.execute("ROLLBACK")
    other.close()
    store.suppress("digest", "bounce", NOON)
    assert store.suppression("digest")
    store.close()


def test_a_full_disk_is_a_store_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    """SQLite itself plays the full disk: its page limit gives the same answer."""
    store = SqliteStore(str(tmp_path / "store.db"))
    store._db.execute("PRAGMA max_page_count = 20")
    updates = [ProfileUpdate(person=f"u:{number}", at=NOON, traits={"t": "x" * 1000}) for number in range(200)]
    with pytest.raises(StoreError, match="SQLITE_FULL"):
        store.update_profiles(updates)
    assert store.profile("u:0") is None
    store.close()


def test_a_file_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An old program must not write into it, and trying again would not help."""
    path = tmp_path / "store.db"
    SqliteStore(str(path)).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(SettingsError, match="TIDINGS_STORE"):
        SqliteStore(str(path))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_file_of_an_earlier_schema_is_brought_up_to_date_and_keeps_what_it_holds(
    tmp_path: Path, version: int
) -> None:
    """Version 1 had no segments, version 2 no versions, and nobody could ask for the sends of a rule.

    In version 3 a word on consent was a yes or a no; in version 4 SQLite itself put addresses in lower case.
    """
    path = tmp_path / "store.db"
    older = sqlite3.connect(path)
    for schema in SCHEMAS[:version]:
        older.executescript(schema)
    entry = LedgerEntry(send_id="send-1", status="sent", decision=a_decision(), updated_at=NOON, lease_until=NOON)
    record = msgspec.json.encode(entry).decode()
    older.execute("INSERT INTO ledger VALUES ('send-1', 'u:1', ?, ?)", (micros(NOON), record))
    older.execute("INSERT INTO rules (rule_id, document) VALUES ('cart', '{}')")
    profile = Profile(person="u:1", traits={"email": "Ann@example.com"}, trait_times={"email": NOON})
    older.execute("INSERT INTO profiles (person, record) VALUES ('u:1', ?)", (msgspec.json.encode(profile).decode(),))
    for number, given in enumerate((True, False)):
        words = {"record_id": f"m-{number}", "person": "u:1", "category": "news", "source": "event"}
        words |= {"given": given} if version < 4 else {"action": "given" if given else "withdrawn"}
        record = msgspec.json.encode({**words, "at": NOON}).decode()
        older.execute("INSERT INTO consent VALUES ('u:1', ?, ?, ?)", (f"m-{number}", micros(NOON), record))
    older.execute(f"PRAGMA user_version = {version}")
    older.commit()
    older.close()
    store = SqliteStore(str(path))
    store.put_segment("buyers", {"where": {}}, follow(None, "segment", "buyers", "v1", {"where": {}}, NOON, "push"))
    assert [one.rule_id for one in (*store.rules(), *store.segments())] == ["cart", "buyers"]
    assert [one.note for one in store.versions("segment", "buyers")] == ["push"]
    assert store.ledger_of_rule("cart-abandoned", NOON, 10) == [entry]
    store.claim(a_decision("send-2"), NOON, timedelta(minutes=1))
    assert len(store.ledger_of_rule("cart-abandoned", NOON, 10)) == 2
    assert [one.action for one in store.consent("u:1")] == ["given", "withdrawn"]
    assert store.people_at("ann@example.com") == ["u:1"]
    store.close()


def test_an_entry_of_a_version_whose_claims_had_no_id_is_gone_on_with(tmp_path: Path) -> None:
    """By whoever claims it next."""
    store = SqliteStore(str(tmp_path / "store.db"))
    held = store.claim(a_decision(), NOON, timedelta(minutes=1)).entry
    with store.writing() as db:
        db.execute("UPDATE ledger SET record = json_remove(record, '$.claim_id')")
    assert store.ledger_entry("send-1") == replace(held, claim_id="")
    taken = store.claim(a_decision(), NOON + timedelta(minutes=1), timedelta(minutes=1)).entry
    assert store.finish(taken, "sent", NOON + timedelta(minutes=1)) is not None
    store.close()


def test_what_is_over_is_deleted_when_somebody_asks_for_it(tmp_path: Path) -> None:
    """Everything by its own time (`tidings.records.retention`), and consent never; where it came from goes first."""
    store = SqliteStore(str(tmp_path / "store.db"))
    origin = Origin(ip="192.0.2.7", user_agent="x")
    consent = ConsentRecord(
        record_id="m", person="u:1", category="news", action="given", at=NOON, source="event", origin=origin
    )
    store.record_consent([consent])
    store.append_feedback([a_feedback(origin=origin)])
    store.append_activity([Activity(activity_id="a", person="u:1", at=NOON, kind="event", label="Seen")])
    store.claim(a_decision(), NOON, timedelta(minutes=1))
    store.use_once("token", NOON)
    assert store.expire(NOON + retention.ORIGINS) == {"ledger": 0, "activity": 0, "feedback": 0, "origins": 0}
    assert store.use_once("token", NOON)
    after = NOON + retention.ORIGINS + timedelta(seconds=1)
    assert store.expire(after) == {"ledger": 0, "activity": 0, "feedback": 0, "origins": 2}
    assert store.consent("u:1", origins=True) == [replace(consent, origin=None)]
    after = NOON + retention.LEDGER + timedelta(seconds=1)
    assert store.expire(after) == {"ledger": 1, "activity": 1, "feedback": 1, "origins": 0}
    assert (store.feedback("u:1"), store.activity("u:1"), store.ledger()) == ([], [], [])
    assert len(store.consent("u:1")) == 1
    store.close()


def test_what_is_erased_is_nowhere_in_the_files(tmp_path: Path) -> None:
    """Neither in a page that is free again, nor in the log that SQLite writes ahead."""
    store = SqliteStore(str(tmp_path / "store.db"))
    for number in range(200):
        traits = {"email": f"ann-{number}@example.com", "padding": "x" * 500}
        store.update_profiles([ProfileUpdate(person=f"u:{number}", at=NOON, traits=traits)])
    assert b"ann-7@example.com" in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    store.erase_person("u:7")
    found = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"ann-7@example.com" not in found
    assert b"ann-8@example.com" in found
    store.close()


def test_a_file_of_another_kind_is_not_mistaken_for_a_passing_fault(tmp_path: Path) -> None:
    """Waiting does not turn it into a database."""
    path = tmp_path / "store.db"
    path.write_text("this is no database, and long enough to have a header of its own")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SqliteStore(str(path))


def test_memory_is_shared_by_the_threads_of_a_process() -> None:
    """One connection, one lock: every thread sees what the others wrote."""
    store = SqliteStore(":memory:")
    together([lambda n=n: store.suppress(f"digest-{n}", "bounce", NOON) for n in range(20)])  # type: ignore[misc]
    assert all(store.suppression(f"digest-{n}") for n in range(20))
    store.close()
