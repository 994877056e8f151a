"""Names and values that Firestore takes, and the way around those it does not."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import firestore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.samples import AWKWARD_KEYS
from tidings.adapters.firestore_values import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    document_id,
    faults,
    pack,
    person_id,
    unpack,
)

KEYS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(AWKWARD_KEYS).map(document_id)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def client(firestore_emulator: str) -> Iterator[firestore.Client]:
    """Google's client, without a store around it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
        yield firestore.Client(project=f"test-{uuid.uuid4().hex[:12]}")


class TestDocumentId:
    """A key as the name of a document."""

    @pytest.mark.parametrize("key", ["cart", "50% off", "u:1", "~", "__x", "x__", "...", "x" * 1500])
    def test_an_ordinary_key_stays_readable(self, key: str) -> None:
        """So that people find their rule in the console, and a rule typed there keeps its name."""
        assert document_id(key) == key

    @given(KEYS, KEYS)
    def test_two_keys_never_share_a_name(self, one: str, other: str) -> None:
        """Not even when one of them looks like the digest of the other."""
        assert (document_id(one) == document_id(other)) == (one == other)
        if document_id(one) != one:
            assert document_id(document_id(one)) != document_id(one)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(key=KEYS)
    def test_firestore_takes_every_name(self, client: firestore.Client, key: str) -> None:
        """And gives it back unchanged."""
        document = client.collection("names").document(document_id(key))
        document.set({"key": key})
        assert document.get().get("key") == key

    def test_a_person_is_never_named_in_the_open(self) -> None:
        """Neighbouring user ids are not neighbours in the database either."""
        assert person_id("u:1001")[:4] != person_id("u:1002")[:4]
        assert "ann" not in person_id("u:ann@example.com")


def nested(levels: int) -> dict[str, Any]:
    """A document with maps in maps."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return {"a": value}


class TestValues:
    """A JSON value as fields."""

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(value=st.dictionaries(KEYS.filter(bool), JSON, min_size=1, max_size=4))
    def test_firestore_takes_what_has_no_faults(self, client: firestore.Client, value: dict[str, Any]) -> None:
        """Unchanged, and what has faults goes in as text."""
        document = client.collection("values").document()
        document.set({"packed": pack(value)})
        assert unpack(document.get().get("packed")) == value

    def test_what_can_be_read_as_fields_is_not_made_text(self) -> None:
        """People look at it in the console."""
        assert pack({"a": [{"b": 1}]}) == {"a": [{"b": 1}]}
        assert pack({"a": [[1]]}) == '{"a":[[1]]}'
        assert pack(None) is None

    def test_the_deepest_document_is_as_deep_as_firestore_allows(self, client: firestore.Client) -> None:
        """One level more is a fault."""
        document = client.collection("values").document()
        document.set(nested(MAX_DEPTH))
        assert document.get().to_dict() == nested(MAX_DEPTH)
        assert faults(nested(MAX_DEPTH)) == []
        assert [fault["reason"] for fault in faults(nested(MAX_DEPTH + 1))] == ["is nested more than 20 levels deep"]

    def test_a_document_can_be_too_large(self) -> None:
        """The fault does not repeat it."""
        (fault,) = faults({"a": "x" * MAX_DOCUMENT_BYTES})
        assert (fault["path"], fault["value"]) == ("", None)
