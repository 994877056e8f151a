"""What a request body holds, and when nothing of it can be used."""

import json
from datetime import UTC, datetime

import pytest

from tidings.errors import InvalidEventError
from tidings.ingest.tracking_body import BATCH_BYTES, EVENT_BYTES, open_body

DEEP = b"[" * 5000 + b"]" * 5000
"""Deeper than any reader can go."""


def refusal(data: bytes, call: str = "") -> str:
    """Why the whole body is refused."""
    with pytest.raises(InvalidEventError) as caught:
        open_body(data, call)
    return caught.value.reason


def test_a_batch_is_opened_without_touching_its_items() -> None:
    body = open_body(
        b'{"writeKey":"key","sentAt":"2026-03-01T12:00:00Z","context":{"a":1},"integrations":null,'
        b'"batch":[{"userId" : 1},7]}',
        "",
    )
    assert body.items == [b'{"userId" : 1}', b"7"]
    assert (body.call, body.write_key) == ("", "key")
    assert body.sent_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert (body.context, body.integrations) == ({"a": 1}, {})


def test_a_single_event_is_its_own_body() -> None:
    body = open_body(b'{"userId":"u1","writeKey":"key"}', "track")
    assert body.items == [b'{"userId":"u1","writeKey":"key"}']
    assert (body.call, body.write_key) == ("track", "key")


def test_a_write_key_that_is_no_text_is_no_key() -> None:
    assert open_body(b'{"batch":[{}],"writeKey":{"a":1}}', "").write_key == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable"),
        (b"userId=1&event=x", "unreadable"),
        (b'{"batch":[{"userId":"M\xfcller"}', "unreadable"),
        (b"[]", "wrong_shape"),
        (b"null", "wrong_shape"),
        (b"{}", "wrong_shape"),
        (b'{"batch":null}', "wrong_shape"),
        (b'{"batch":{"0":{}}}', "wrong_shape"),
        (b'{"batch":[]}', "empty_batch"),
        (b'{"batch":[{}],"context":[]}', "not_an_object"),
        (b'{"batch":[{}],"integrations":"All"}', "not_an_object"),
        (b'{"batch":[{}],"context":' + DEEP + b"}", "too_deep"),
        (b'{"batch":[' + DEEP + b'],"context":{"a":' + DEEP + b"}}", "too_deep"),
        (b'{"batch":[' + b"[" * 5000, "too_deep"),
        (b'{"batch":[' + b",".join([b"{}"] * 2501) + b"]}", "too_many_events"),
        (b'{"batch":[{}],"context":{"a":"' + b"x" * 4096 + b'"}}', "too_large"),
        (b'{"batch":[' + b" " * BATCH_BYTES + b"]}", "too_large"),
    ],
)
def test_a_batch_that_cannot_be_used_says_why(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"null", "not_an_object"),
        (b"[{}]", "not_an_object"),
        (b'"track"', "not_an_object"),
        (b"{", "unreadable"),
        (b'{"a":"' + b"x" * EVENT_BYTES + b'"}', "too_large"),
        (b'{"a":' + b"[" * 101 + b"]" * 101 + b"}", "too_deep"),
    ],
)
def test_a_single_event_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    assert refusal(data, "track") == reason


def test_limits_are_included() -> None:
    event = json.dumps({"a": "x" * (EVENT_BYTES - 9)}).encode()
    assert len(event) == EVENT_BYTES
    assert open_body(event, "track").items == [event]
    assert len(open_body(b'{"batch":[' + b",".join([b"{}"] * 2500) + b"]}", "").items) == 2500


def test_one_odd_value_does_not_cost_the_batch() -> None:
    odd = b'{"batch":[{"score":NaN,"max":-Infinity,"huge":1e999,"emoji":"cut \\ud83d off"},{"userId":"u2"}]}'
    items = open_body(odd, "").items
    assert json.loads(items[0]) == {"score": None, "max": None, "huge": None, "emoji": "cut \ufffd off"}
    assert items[1] == b'{"userId":"u2"}'


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a\\"]}":['])
@pytest.mark.parametrize("levels", [900, 1500, 5000])
def test_an_item_too_deep_for_any_reader_is_handed_on_as_it_is_and_so_are_the_others(
    opening: bytes, levels: int
) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}.get(opening, b"]}")
    deep = opening * levels + b"1" + closing * levels
    others = [b'{"text":"]]}} \\" [[{{"}', b'"too deep: 0"', b'{"score": [1, {"a": []}]}']
    data = b'{"writeKey":"key","batch":[' + b",".join([deep, *others, deep]) + b'],"context":{"a":[1]}}'
    body = open_body(data, "")
    assert body.items == [deep, *others, deep]
    assert (body.write_key, body.context) == ("key", {"a": [1]})


def test_a_deep_item_and_an_odd_value_do_not_cost_the_batch_together() -> None:
    items = open_body(b'{"batch":[{"score":NaN},' + DEEP + b"]}", "").items
    assert items == [b'{"score":null}', DEEP]
