"""The rules and segments that ship with the project reach the store once, and edits stay."""

from pathlib import Path

from tidings.adapters.sqlite_store import SqliteStore
from tidings.local.seeding import seed_rules
from tidings.rules.rule import load
from tidings.rules.segments import load_all


def test_all_shipped_rules_are_put_into_an_empty_store_and_are_valid(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.db"))
    added = seed_rules(store)
    records = store.rules()
    assert added == len(records)
    assert {"cart-abandoned", "product-viewed-three-times", "pricing-after-demo", "welcome"} <= {
        load(record.document, record.rule_id).id for record in records
    }
    assert {"customers", "engaged"} <= set(load_all({one.rule_id: one.document for one in store.segments()}))
    store.close()


def test_a_rule_that_a_marketer_has_edited_survives_the_next_start(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.db"))
    seed_rules(store)
    edited = {**store.rules()[0].document, "name": "Edited"}
    store.put_rule(store.rules()[0].rule_id, edited)
    assert seed_rules(store) == 0
    assert store.rules()[0].document == edited
    store.close()


def test_a_segment_that_a_marketer_has_edited_survives_too(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.db"))
    store.put_segment("customers", {"where": {"performed": "Order Completed"}})
    seed_rules(store)
    assert store.segments()[0].document == {"where": {"performed": "Order Completed"}}
    store.close()
