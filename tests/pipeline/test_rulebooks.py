"""The rules of a worker process: renewed while it runs, whatever happens to the store."""

import sqlite3
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from pipeline import rulebooks
from pipeline.options import RulesSettings
from tests.adapters.scripted_firestore import ScriptedFirestore
from tests.people import a_rule, an_event, ms
from tests.sends import a_decision
from tests.support import eventually
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding.state import PersonState
from tidings.errors import StoreError
from tidings.rules.rule import load

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


LIVE = a_rule(id="cart", trigger={"performed": {"event": "Product Added"}})
SHADOW = {**LIVE, "id": "cart-again", "status": "shadow", "shadow_of": "cart"}


def decide(store, rule_id, person, outcome):
    """As the mailer writes it down."""
    now = datetime.now(UTC) - timedelta(minutes=10)
    names = {"rule_id": rule_id, "send_id": f"{rule_id} {person}", "due_at": now, "decided_at": now}
    names["rule_version"] = load({**LIVE, "id": rule_id}).version
    store.claim(a_decision(person, outcome=outcome, **names), now, timedelta(minutes=1))


def shadow_in(store):
    """What stands on the shadow's document."""
    [record] = [one for one in store.rules() if one.rule_id == "cart-again"]
    return (record.report or {}).get("shadow")


@pytest.fixture
def shadowed(tmp_path, monkeypatch):
    """A store with a rule and its shadow; workers look every few milliseconds whether a comparison is due."""
    monkeypatch.setattr(rulebooks, "_LOOKS_PER_COMPARISON", 1)
    store = SqliteStore(f"{tmp_path}/store.db")
    store.put_rule("cart", LIVE)
    store.put_rule("cart-again", SHADOW)
    for rule, outcome in (("cart", "send"), ("cart-again", "shadow")):
        decide(store, rule, "u:both", outcome)
    decide(store, "cart", "u:one", "send")
    yield store
    store.close()


def test_a_shadow_is_compared_with_its_live_rule_on_its_document(shadowed, tmp_path):
    rulebooks.engine(settings_of(f"{tmp_path}/store.db"))
    said = eventually(lambda: shadow_in(shadowed))
    assert (said["compared_with"], said["same"], said["removed"], said["at_most"]) == ("cart", 0, 1, None)


def test_within_the_hour_it_is_not_compared_again_and_another_edit_leaves_it_there(shadowed, tmp_path):
    settings = settings_of(f"{tmp_path}/store.db")
    rulebooks.engine(settings)
    said = eventually(lambda: shadow_in(shadowed))
    shadowed.put_rule("cart-again", {**SHADOW, "name": "Edited", "priority": 60})
    eventually(lambda: rulebooks.engine(settings)._book.rules["cart-again"].rule.priority == 60)
    assert shadow_in(shadowed) == said


def test_a_comparison_that_fails_is_said_aloud_and_tried_again_while_edits_are_taken_up(
    shadowed, tmp_path, monkeypatch, caplog
):
    """The ledger cannot be read, say."""

    def fail(*arguments):
        raise StoreError("SQLite: SQLITE_BUSY")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "ledger_of_rule", fail)
        settings = settings_of(f"{tmp_path}/store.db")
        assert reacts_to(settings, "Product Added")
        eventually(lambda: "shadows are compared later" in caplog.text)
        shadowed.put_rule("cart", {**LIVE, "trigger": {"performed": {"event": "Product Removed"}}})
        eventually(lambda: reacts_to(settings, "Product Removed"))
        assert shadow_in(shadowed) is None
    assert eventually(lambda: shadow_in(shadowed))
