"""What is SQLite's alone: files that cannot be opened, written or understood."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.contracts.samples import NOON, a_decision, together
from tidings.adapters.sqlite_access import SCHEMA_VERSION, SCHEMAS, micros
from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import StoreError
from tidings.settings import SettingsError
from tidings.store import LedgerEntry, ProfileUpdate
from tidings.versions import follow


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
    """Version 1 had no segments, version 2 no versions, and nobody could ask for the sends of a rule."""
    path = tmp_path / "store.db"
    older = sqlite3.connect(path)
    for schema in SCHEMAS[:version]:
        older.executescript(schema)
    entry = LedgerEntry(send_id="send-1", status="sent", decision=a_decision(), updated_at=NOON, lease_until=NOON)
    record = msgspec.json.encode(entry).decode()
    older.execute("INSERT INTO ledger VALUES ('send-1', 'u:1', ?, ?)", (micros(NOON), record))
    older.execute("INSERT INTO rules (rule_id, document) VALUES ('cart', '{}')")
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
