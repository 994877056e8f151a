"""Firestore has the indexes that the store's queries need, and forgets what the store marks for it."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.firestore_v1.query import Query
from google.cloud.firestore_v1.types import StructuredQuery

from tests.contracts.samples import a_feedback, a_receipt
from tests.sends import a_decision
from tests.terraform.module import local, named, resources
from tidings.adapters.firestore_access import Fields, Seen
from tidings.adapters.firestore_store import FirestoreStore
from tidings.records import retention
from tidings.records.feedback import Origin
from tidings.records.store import Activity, ConsentRecord, ProfileUpdate
from tidings.rollout.versions import follow

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EQUAL = StructuredQuery.FieldFilter.Operator.EQUAL
DIRECTIONS = {1: "ASCENDING", 2: "DESCENDING"}
Index = tuple[str, tuple[tuple[str, str], ...]]


class Listener(FirestoreStore):
    """The store without a database: it notes what is asked and written, and everything is absent."""

    def __init__(self) -> None:
        super().__init__("pebble-and-fern-mail", "tidings")
        self.indexes: set[Index] = set()
        self.written: dict[str, set[str]] = {}

    def stream(self, query: Any) -> Iterator[Any]:
        if isinstance(query, Query):
            asked = query._to_protobuf()
            filters = [one.field_filter for one in asked.where.composite_filter.filters] or [asked.where.field_filter]
            equal = tuple((one.field.field_path, "ASCENDING") for one in filters if one.op == EQUAL)
            ordered = tuple(
                (one.field.field_path, DIRECTIONS[one.direction])
                for one in asked.order_by
                if one.field.field_path != "__name__"  # the last of every index, in the direction of the one before
            )
            self.indexes.add((asked.from_[0].collection_id, equal + ordered))
        return iter(())

    def get(self, document: Any) -> Seen:
        return Seen(document)

    def commit(self, batch: Any) -> None:
        pass

    def get_all(self, documents: Iterable[Any], names_only: bool = False) -> Iterator[Seen]:
        return (Seen(document) for document in documents)

    def write(self, batch: Any, seen: Seen, fields: Fields) -> None:
        self.written.setdefault(seen.document.parent.id, set()).update(fields)

    def append(self, documents: Iterable[tuple[Any, Fields]]) -> None:
        for document, fields in documents:
            self.write(None, Seen(document), fields)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """A store whose every query and write was made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        store = Listener()
        store.profile("u:1")
        store.update_profiles([ProfileUpdate(person="u:1", at=NOW)])
        store.consent("u:1")
        store.record_consent(
            [ConsentRecord(record_id="1", person="u:1", category="marketing", action="given", at=NOW, source="event")]
        )
        store.suppress("digest", "5.1.1", NOW)
        store.claim(a_decision(), NOW, timedelta(minutes=1))
        store.ledger()
        store.ledger("u:1")
        store.activity("u:1")
        store.append_activity([Activity(activity_id="1", person="u:1", at=NOW, kind="event", label="Signed Up")])
        store.ledger_of_rule("cart-abandoned", NOW, 10)
        store.rules()
        version = follow(None, "rule", "cart", "v1", {}, NOW, "push")
        store.keep_version(version)
        store.put_rule("cart", {}, version)
        store.versions("rule", "cart")
        store.waiting(NOW, 10)
        origin = Origin(ip="192.0.2.7", user_agent="x")
        store.append_feedback([a_feedback(origin=origin)])
        store.feedback("u:1")
        store.feedback("u:1", "send-1", origins=True)
        store.use_once("name", NOW)
        store.take("name", 1, 10, NOW)
        store.people_at("ann@example.com")
        store.joined_to("u:1")
        store.erase_person("u:1")
        store.put_receipt(a_receipt())
        store.receipts()
        store.receipts("digest-1")
        yield store
        store.close()


def test_every_query_of_the_store_has_its_index(listener: Listener):
    single = local("single_field_indexes")
    composite = {
        (index["collection"], tuple((field["field_path"], field["order"]) for field in index["fields"]))
        for index in resources("google_firestore_index").values()
    }
    assert len(listener.indexes) == 16
    for collection, fields in listener.indexes:
        if len(fields) > 1:
            assert (collection, fields) in composite
        elif collection in single:  # the others have Firestore's own, one for every field
            assert dict(fields).items() <= single[collection].items()


def test_no_index_is_kept_that_nobody_uses(listener: Listener):
    composite = {
        (index["collection"], tuple((field["field_path"], field["order"]) for field in index["fields"]))
        for index in resources("google_firestore_index").values()
    }
    assert composite == {index for index in listener.indexes if len(index[1]) > 1}
    unused = {
        (collection, field)
        for collection, fields in local("single_field_indexes").items()
        for field, order in fields.items()
        if (collection, ((field, order),)) not in listener.indexes
    }
    assert unused == {("profiles", "person")}, "kept for people at the console, who look for a person"


def test_what_the_store_marks_with_an_end_has_a_policy_that_ends_it(listener: Listener):
    policy = resources("google_firestore_field")["expires_at"]
    assert policy["field"] == "expires_at"
    assert policy["ttl_config"] == [{}]
    marked = {collection for collection, fields in listener.written.items() if "expires_at" in fields}
    assert set(re.findall(r'"(\w+)"', policy["for_each"])) == marked


def test_the_archive_is_kept_as_long_as_the_table_of_retention_says():
    assert named("variable")["archive_days"]["default"] == retention.ARCHIVE.days


def test_the_fields_with_an_index_are_fields_that_the_store_writes(listener: Listener):
    for collection, fields in local("single_field_indexes").items():
        assert set(fields) <= listener.written[collection]
