"""The rules that ship with the project reach the store once, and edits stay."""

from pathlib import Path

from tidings.adapters.sqlite_store import SqliteStore
from tidings.local.seeding import seed_rules
from tidings.rules import load


def test_all_shipped_rules_are_put_into_an_empty_store_and_are_valid(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.db"))
    added = seed_rules(store)
    records = store.rules()
    assert added == len(records)
    assert {"cart-abandoned", "product-viewed-three-times", "pricing-after-demo", "welcome"} <= {
        load(record.document, record.rule_id).id for record in records
    }
    store.close()


def test_a_rule_that_a_marketer_has_edited_survives_the_next_start(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.db"))
    seed_rules(store)
    edited = {**store.rules()[0].document, "name": "Edited"}
    store.put_rule(store.rules()[0].rule_id, edited)
    assert seed_rules(store) == 0
    assert store.rules()[0].document == edited
    store.close()
