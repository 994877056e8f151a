"""What every store promises about versions of rules and segments: each is kept, once, for good."""

from functools import partial

import pytest

from tests.contracts.samples import AWKWARD_KEYS, at, together
from tidings.records.store import DocumentKind, Store, VersionRecord
from tidings.rollout.versions import follow

RULE = {"id": "cart", "trigger": {"performed": {"event": "A"}}, "deep": [{"a": [{"b": None}]}], "n": 1.5}
NESTED = {"rows": [[1, 2], [3]], "big": 2**70}
"""What Firestore cannot hold as it is."""


def a_record(document: dict[str, object], seconds: float = 0, name: str = "cart", **fields: object) -> VersionRecord:
    filled = {"kind": "rule", "version": "v1", "note": "push", "newest": None, **fields}
    return follow(document_id=name, document=document, now=at(seconds), **filled)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["rule", "segment"])
def test_versions_come_newest_first_and_no_more_than_asked_for(store: Store, kind: DocumentKind) -> None:
    records = [a_record({"n": number}, number, kind=kind) for number in range(5)]
    for one in (records[3], records[0], records[4], records[1], records[2]):
        store.keep_version(one)
    assert store.versions(kind, "cart") == records[::-1]
    assert store.versions(kind, "cart", limit=2) == [records[4], records[3]]


def test_a_record_holds_any_document(store: Store) -> None:
    records = [a_record(RULE), a_record(NESTED, 1), a_record({}, 2)]
    for one in records:
        store.keep_version(one)
    assert store.versions("rule", "cart") == records[::-1]


def test_a_record_is_written_once_and_the_first_one_stays(store: Store) -> None:
    store.keep_version(a_record(RULE, 0, note="push"))
    store.keep_version(a_record(RULE, 5, note="edited in the store"))
    assert [(one.note, one.at) for one in store.versions("rule", "cart")] == [("push", at(0))]


def test_rules_and_segments_of_one_name_have_histories_of_their_own(store: Store) -> None:
    rule, segment = a_record(RULE), a_record(RULE, kind="segment", note="other")
    store.keep_version(rule)
    store.keep_version(segment)
    assert store.versions("rule", "cart") == [rule]
    assert store.versions("segment", "cart") == [segment]
    assert store.versions("rule", "basket") == []


def test_awkward_names_are_kept_apart(store: Store) -> None:
    for number, name in enumerate(AWKWARD_KEYS):
        store.keep_version(a_record({"n": number}, name=name))
    for number, name in enumerate(AWKWARD_KEYS):
        assert [one.document for one in store.versions("rule", name)] == [{"n": number}]


def test_a_document_is_put_together_with_its_record(store: Store) -> None:
    store.put_rule("cart", RULE, a_record(RULE))
    store.put_segment("cart", RULE, a_record(RULE, kind="segment"))
    assert [one.document for one in (*store.rules(), *store.segments())] == [RULE, RULE]
    assert store.versions("rule", "cart") == [a_record(RULE)]
    assert store.versions("segment", "cart") == [a_record(RULE, kind="segment")]


def test_a_document_whose_record_is_there_already_is_put_all_the_same(store: Store) -> None:
    store.keep_version(a_record(RULE))
    store.put_rule("cart", RULE, a_record(RULE, 3))
    assert store.rules()[0].document == RULE
    assert store.versions("rule", "cart") == [a_record(RULE)]


def test_versions_outlive_their_document(store: Store) -> None:
    store.put_rule("cart", RULE, a_record(RULE))
    store.delete_rule("cart")
    assert store.rules() == []
    assert store.versions("rule", "cart") == [a_record(RULE)]


def test_many_who_keep_the_same_record_keep_one(store: Store) -> None:
    together([partial(store.keep_version, a_record(RULE, number)) for number in range(8)])
    assert len(store.versions("rule", "cart")) == 1


@pytest.mark.parametrize("levels", [18, 19, 20])
def test_what_can_be_put_can_be_kept_and_reported_on_however_deep_it_is(store: Store, levels: int) -> None:
    document: dict[str, object] = {"deepest": 1}
    for _ in range(levels):
        document = {"in": document}
    store.put_rule("cart", document)
    store.keep_version(a_record(document))
    store.report_rule("cart", {"valid": True, "history": [{"document": document}]}, document)
    assert store.versions("rule", "cart")[0].document == store.rules()[0].last_good == document
