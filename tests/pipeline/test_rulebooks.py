"""The rules of a worker process: renewed while it runs, whatever happens to the store."""

import sqlite3

import grpc
import pytest

from pipeline import rulebooks
from pipeline.options import RulesSettings
from tests.adapters.scripted_firestore import ScriptedFirestore
from tests.people import a_rule, an_event, ms
from tests.support import eventually
from tidings.adapters.sqlite_store import SqliteStore
from tidings.state import PersonState

GREETING = a_rule(id="greeting", trigger={"performed": {"event": "Signed Up"}})


@pytest.fixture(autouse=True)
def _no_watcher_outlives_its_test():
    """It would go on to complain of a store that is gone, into the logs of other tests."""
    before = set(rulebooks._workers)
    yield
    for settings in set(rulebooks._workers) - before:
        rulebooks._workers.pop(settings).fault = InterruptedError()


@pytest.fixture
def path(tmp_path):
    """A store with one rule."""
    store = SqliteStore(f"{tmp_path}/store.db")
    store.put_rule("greeting", GREETING)
    store.close()
    return f"{tmp_path}/store.db"


def settings_of(path):
    return RulesSettings(store=f"sqlite:{path}", refresh_seconds=0.02)


def rename_table(path, before, after):
    db = sqlite3.connect(path, timeout=10)
    db.execute(f"ALTER TABLE {before} RENAME TO {after}")
    db.close()


def reacts_to(settings, event):
    engine, someone = rulebooks.engine(settings), PersonState("u:ann")
    return bool(engine.feed(someone, [an_event(event, "10:00")], ms("10:00")).decisions)


def test_an_edit_is_taken_up_by_the_next_bundle(path):
    settings = settings_of(path)
    assert reacts_to(settings, "Signed Up")
    store = SqliteStore(path)
    store.put_rule("greeting", {**GREETING, "trigger": {"performed": {"event": "Signed In"}}})
    eventually(lambda: reacts_to(settings, "Signed In"))
    store.close()


@pytest.mark.parametrize("refusal", ["PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT"])
def test_a_store_that_refuses_is_said_aloud_and_asked_again(monkeypatch, caplog, refusal):
    with ScriptedFirestore() as firestore:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.address)
        settings = RulesSettings(store="firestore", project=f"refused-{refusal.lower()}", refresh_seconds=0.02)
        engine = rulebooks.engine(settings)
        firestore.refusal = grpc.StatusCode[refusal]
        eventually(lambda: [one for one in caplog.records if one.levelname == "ERROR"])
        assert rulebooks.engine(settings) is engine
        firestore.refusal, before = None, firestore.calls
        eventually(lambda: firestore.calls > before + 4)
    assert "rules stay as they were" in caplog.text
    assert "ann" not in caplog.text


def test_a_fault_that_nobody_has_foreseen_fails_the_next_bundle_and_not_the_one_after_the_cure(path):
    settings = settings_of(path)
    rulebooks.engine(settings)
    rename_table(path, "rules", "hidden")

    def fails():
        try:
            rulebooks.engine(settings)
        except sqlite3.OperationalError as error:
            return str(error)
        return None

    assert "no such table" in eventually(fails)
    assert fails(), "as long as it is so"
    rename_table(path, "hidden", "rules")
    assert reacts_to(settings, "Signed Up")
