"""Dead letters: what could not be used is kept, says why, and can be read back."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidEventError
from tidings.wire import dead_letter

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"))


def test_a_dead_letter_is_its_payload_and_says_why_in_its_attributes() -> None:
    data, attributes = dead_letter.build("decode", "unreadable", "not JSON", b"{", {"messageId": "m1"}, NOW)
    assert data == b"{"
    assert attributes == {
        "schema": "tidings.dead_letter.v1",
        "step": "decode",
        "reason": "unreadable",
        "detail": "not JSON",
        "at": "2026-03-01T12:00:00+00:00",
        "original_messageId": "m1",
    }


@given(st.binary(), st.dictionaries(TEXT.filter(lambda key: len(key) < 50), TEXT, max_size=5), TEXT)
def test_reading_a_dead_letter_is_the_inverse_of_building_it(
    payload: bytes, attributes: dict[str, str], detail: str
) -> None:
    letter = dead_letter.read(*dead_letter.build("decide", "broken", detail, payload, attributes, NOW))
    assert (letter.step, letter.reason, letter.at) == ("decide", "broken", NOW)
    assert (letter.data, letter.attributes, letter.detail) == (payload, attributes, detail)
    assert not letter.truncated


def test_a_dead_letter_always_fits_into_pubsub() -> None:
    attributes = {f"{number}" + "ü" * 200: "ü" * 2000 for number in range(150)}
    data, about = dead_letter.build("s" * 2000, "r" * 2000, "d" * 2000, b"x" * 11_000_000, attributes, NOW)
    assert len(about) <= 100
    assert max(len(key.encode()) for key in about) <= 256
    assert max(len(value.encode()) for value in about.values()) <= 1024
    assert len(data) + sum(len((key + value).encode()) for key, value in about.items()) < 10_000_000
    letter = dead_letter.read(data, about)
    assert letter.truncated
    assert letter.data == b"x" * len(data)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"schema": "tidings.event.v1"}, "the attribute schema must be tidings.dead_letter.v1"),
        ({"schema": None}, "the attribute schema must be tidings.dead_letter.v1"),
        ({"step": None}, "the attribute step is missing"),
        ({"reason": None}, "the attribute reason is missing"),
        ({"at": None}, "the attribute at is missing"),
        ({"at": "noon"}, "the attribute at is not a time"),
    ],
)
def test_what_is_no_dead_letter_is_not_read_as_one(change: dict[str, str | None], detail: str) -> None:
    data, about = dead_letter.build("decode", "unreadable", "", b"{", {}, NOW)
    changed = {key: value for key, value in {**about, **change}.items() if value is not None}
    with pytest.raises(InvalidEventError) as caught:
        dead_letter.read(data, changed)
    assert (caught.value.reason, caught.value.detail) == ("not_a_dead_letter", detail)


MOVED = {
    "schema": "tidings.decision.v1",
    "CloudPubSubDeadLetterSourceDeliveryCount": "20",
    "CloudPubSubDeadLetterSourceSubscription": "tidings-sends-deliver",
    "CloudPubSubDeadLetterSourceSubscriptionProject": "shop",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-01T12:00:00.000Z",
}
"""The attributes of a decision that Pub/Sub has moved to the dead letters."""


def test_a_letter_that_pubsub_moved_is_read_as_one_that_could_not_be_delivered() -> None:
    """Nobody had the time to say why; it can be replayed as it was."""
    letter = dead_letter.read(b"{", MOVED)
    assert (letter.step, letter.reason) == ("pubsub", "undeliverable")
    assert letter.detail == "Pub/Sub gave up after 20 deliveries to tidings-sends-deliver"
    assert (letter.data, letter.attributes, letter.at) == (b"{", {"schema": "tidings.decision.v1"}, NOW)
    assert not letter.truncated


@pytest.mark.parametrize(
    ("time", "detail"),
    [
        (None, "the attribute CloudPubSubDeadLetterSourceTopicPublishTime is missing"),
        ("noon", "the attribute CloudPubSubDeadLetterSourceTopicPublishTime is not a time"),
    ],
)
def test_a_moved_letter_without_its_time_is_no_dead_letter(time: str | None, detail: str) -> None:
    changed = {**MOVED, "CloudPubSubDeadLetterSourceTopicPublishTime": time}
    with pytest.raises(InvalidEventError) as caught:
        dead_letter.read(b"{", {key: value for key, value in changed.items() if value is not None})
    assert (caught.value.reason, caught.value.detail) == ("not_a_dead_letter", detail)


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        (b'{"writeKey":"secret","a":1}', b'{"writeKey":"","a":1}'),
        (b'{"a": 1, "writeKey" : "sec\\"ret"}', b'{"a": 1, "writeKey" : ""}'),
        (b'{"properties": {"writeKey": "secret"}}', b'{"properties": {"writeKey": ""}}'),
        (b'{"writeKey":"secret', b'{"writeKey":"secret'),
        (b'{"note":"\\"writeKey\\": \\"x\\""}', b'{"note":"\\"writeKey\\": \\"x\\""}'),
    ],
)
def test_a_write_key_is_not_kept_and_every_other_byte_is(payload: bytes, kept: bytes) -> None:
    assert dead_letter.without_write_key(payload) == kept


@given(st.dictionaries(st.text() | st.just("writeKey"), st.text()))
def test_json_without_its_write_key_is_the_same_json_otherwise(value: dict[str, str]) -> None:
    read = json.loads(dead_letter.without_write_key(json.dumps(value).encode()))
    assert read == value | ({"writeKey": ""} if "writeKey" in value else {})
