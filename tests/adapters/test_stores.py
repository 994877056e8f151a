"""The setting `store` names one of the stores, or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidings.adapters.firestore_store import FirestoreStore
from tidings.adapters.sqlite_store import SqliteStore
from tidings.adapters.stores import open_store
from tidings.settings import SettingsError


def test_sqlite_takes_a_path(tmp_path: Path) -> None:
    """Everything behind the first colon, colons included."""
    store = open_store(f"sqlite:{tmp_path}/a:b.db", "unused")
    assert isinstance(store, SqliteStore)
    store.close()
    assert (tmp_path / "a:b.db").exists()


@pytest.mark.parametrize(("url", "database"), [("firestore", "(default)"), ("firestore:shop", "shop")])
def test_firestore_takes_a_database(monkeypatch: pytest.MonkeyPatch, url: str, database: str) -> None:
    """Opening it needs no network."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    store = open_store(url, "project-1")
    assert isinstance(store, FirestoreStore)
    assert (store.client.project, store.client._database) == ("project-1", database)
    store.close()


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:", "firestore:", "postgres://user:secret@host/db", "/tmp/x.db"])
def test_anything_else_is_the_operators_mistake(url: str) -> None:
    """The message names the variable and never its value, which may hold a password."""
    with pytest.raises(SettingsError, match="TIDINGS_STORE") as error:
        open_store(url, "project-1")
    assert "secret" not in str(error.value)


def test_a_laptop_with_sqlite_does_not_load_googles_client() -> None:
    """It costs a second and 60 MB."""
    program = "import sys; from tidings.adapters.stores import open_store; open_store('sqlite::memory:', 'x'); "
    program += "sys.exit(any(name.startswith('google.cloud.firestore') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
