"""What every store promises about rules and segments."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.contracts.samples import AWKWARD_KEYS, RULE, together
from tidings.records.store import RESERVED, RuleRecord, Store

REPORT: dict[str, Any] = {
    "valid": False,
    "version": "abc",
    "faults": [{"path": "trigger.within", "value": [[1]], "reason": "is no duration"}],
    "checked_at": "2024-02-29T12:00:00Z",
}


class Shelf(NamedTuple):
    """The rules of a store, or its segments: both are documents that people write."""

    all: Callable[[], list[RuleRecord]]
    put: Callable[[str, dict[str, Any]], None]
    report: Callable[[str, dict[str, Any], dict[str, Any] | None], None]
    delete: Callable[[str], None]


def shelf(store: Store, kind: str) -> Shelf:
    calls = (f"{kind}s", f"put_{kind}", f"report_{kind}", f"delete_{kind}")
    return Shelf(*(getattr(store, name) for name in calls))


@pytest.fixture(params=["rule", "segment"])
def kind(request: pytest.FixtureRequest) -> str:
    """Everything below holds for both."""
    return str(request.param)


@pytest.fixture
def rules(store: Store, kind: str) -> Shelf:
    """Rules or segments."""
    return shelf(store, kind)


class TestRules:
    """What authors wrote, beside what the system says of it."""

    def test_a_rule_comes_back_exactly_as_its_author_left_it(self, rules: Shelf) -> None:
        """Whatever its fields are called."""
        document = RULE | {
            "a.b": {"c.d": 1, "`": 2},
            "1st step": [{"send": "cart"}],
            "empty": {},
            "none": None,
            "x": 1.0,
        }
        rules.put("cart", document)
        assert rules.all() == [RuleRecord(rule_id="cart", document=document)]

    def test_rules_are_ordered_by_id(self, rules: Shelf) -> None:
        """And an id may look like anything."""
        for key in AWKWARD_KEYS:
            rules.put(key, {"name": key})
        assert [rule.rule_id for rule in rules.all()] == sorted(AWKWARD_KEYS)
        assert all(rule.document == {"name": rule.rule_id} for rule in rules.all())

    def test_putting_a_rule_replaces_the_document_and_keeps_what_the_system_said(self, rules: Shelf) -> None:
        """A field that the author removed is gone."""
        for rule_id in ("cart", "a/b"):
            rules.put(rule_id, RULE | {"status": "live"})
            rules.report(rule_id, REPORT, RULE)
            rules.put(rule_id, {"id": "cart", "trigger": {}})
        assert rules.all() == [
            RuleRecord(rule_id=rule_id, document={"id": "cart", "trigger": {}}, last_good=RULE, report=REPORT)
            for rule_id in ("a/b", "cart")
        ]

    def test_a_report_leaves_the_authors_document_alone(self, rules: Shelf) -> None:
        """The latest report replaces the one before it, and so does the last good version."""
        rules.put("cart", RULE)
        rules.report("cart", {"valid": True}, RULE)
        rules.report("cart", REPORT, None)
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE, last_good=None, report=REPORT)]

    def test_a_report_on_an_unknown_rule_changes_nothing(self, rules: Shelf) -> None:
        """The author may have deleted it a moment ago."""
        rules.report("cart", REPORT, RULE)
        assert rules.all() == []

    def test_an_author_cannot_write_what_the_system_says(self, rules: Shelf) -> None:
        """A document copied with the system's own field loses that field."""
        rules.put("cart", RULE | {RESERVED: {"report": {"valid": True}}})
        rules.put("cart", RULE | {RESERVED: "mine"})
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE)]

    def test_a_date_in_a_rule_becomes_text(self, rules: Shelf) -> None:
        """YAML reads an unquoted date as a date; JSON has none."""
        rules.put("cart", {"from": date(2024, 2, 29)})
        assert rules.all()[0].document == {"from": "2024-02-29"}

    def test_an_empty_document_is_a_document(self, rules: Shelf) -> None:
        """It is invalid, and its author should hear so."""
        rules.put("cart", RULE)
        rules.put("cart", {})
        rules.put("new", {})
        assert [rule.document for rule in rules.all()] == [{}, {}]

    def test_a_deleted_rule_is_gone_with_its_report(self, rules: Shelf) -> None:
        """Deleting it again does nothing."""
        rules.put("cart", RULE)
        rules.report("cart", REPORT, RULE)
        rules.delete("cart")
        rules.delete("cart")
        assert rules.all() == []
        rules.put("cart", RULE)
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE)]

    def test_authors_and_the_system_may_write_at_the_same_instant(
        self, open_again: Callable[[], Store], kind: str
    ) -> None:
        """One whole document of one author, and the report, are what remains."""
        shelves = [shelf(open_again(), kind) for _ in range(10)]
        shelves[0].put("cart", RULE)
        documents = [{f"only {number}": number, "both": number} for number in range(5)]
        together(
            [partial(one.put, "cart", document) for one, document in zip(shelves, documents, strict=False)]
            + [partial(one.report, "cart", REPORT, RULE) for one in shelves[5:]]
        )
        (rule,) = shelves[0].all()
        assert rule.document in documents
        assert (rule.report, rule.last_good) == (REPORT, RULE)


def test_a_rule_and_a_segment_of_one_name_do_not_meet(store: Store) -> None:
    """Each has its own document and its own report."""
    store.put_rule("cart", RULE)
    store.put_segment("cart", {"where": {}})
    store.report_rule("cart", REPORT, RULE)
    store.delete_rule("cart")
    assert store.rules() == []
    assert store.segments() == [RuleRecord(rule_id="cart", document={"where": {}})]
