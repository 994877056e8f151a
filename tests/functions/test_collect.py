"""The front door, through the Functions Framework: what it takes, what it answers, and what it publishes."""

import gzip
import io
import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest

from functions.collect import CALLS
from tests.functions.front_door import FrontDoor, error
from tests.functions.recording_main import NOW
from tidings.wire import events

VIEW: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Product Viewed", "messageId": "m1"}
BAD: dict[str, Any] = {"type": "track", "userId": "u2", "messageId": "m2", "writeKey": "key"}


@pytest.fixture
def door() -> FrontDoor:
    """A function instance of its own for each test."""
    return FrontDoor()


@pytest.mark.parametrize(("path", "call"), [item for item in CALLS.items() if item[1]])
def test_every_call_has_a_long_and_a_short_path(door: FrontDoor, path: str, call: str) -> None:
    response = door.post(path, json={"userId": "u1", "event": "Product Viewed"})
    assert (response.status_code, response.get_json()) == (200, {"success": True})
    assert [event.type for event in door.events] == [call]


def test_there_are_six_calls_in_two_forms_and_three_ways_to_post_a_batch() -> None:
    assert len(CALLS) == 15
    assert sorted(path for path, call in CALLS.items() if not call) == ["/beacon/v1/batch", "/v1/b", "/v1/batch"]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/beacon/v1/batch", "/v1/batch/"])
def test_a_batch_becomes_one_message_an_event(door: FrontDoor, path: str) -> None:
    response = door.post(path, json={"batch": [VIEW, {**VIEW, "messageId": "m2"}]})
    assert response.get_json() == {"success": True}
    assert [event.message_id for event in door.events] == ["m1", "m2"]


def test_a_message_can_be_routed_by_its_attributes(door: FrontDoor) -> None:
    door.post("/v1/track", json=VIEW)
    (message,) = door.publisher.topics["events"]
    assert message.attributes == {
        "schema": events.SCHEMA,
        "messageId": "m1",
        "type": "track",
        "event": "Product Viewed",
    }


def test_the_clock_of_the_client_is_corrected(door: FrontDoor) -> None:
    door.post(
        "/v1/b", json={"batch": [{**VIEW, "timestamp": "2020-01-01T00:00:00Z"}], "sentAt": "2020-01-01T00:01:00Z"}
    )
    assert door.events[0].timestamp == NOW - timedelta(minutes=1)
    assert door.events[0].received_at == NOW


# What bodies look like


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("packed", [True, False])
def test_a_body_is_read_whatever_its_headers_say(door: FrontDoor, content_type: str, packed: bool) -> None:
    data = json.dumps({"batch": [VIEW]}).encode()
    response = door.post("/v1/batch", data=gzip.compress(data) if packed else data, content_type=content_type)
    assert response.status_code == 200
    assert len(door.events) == 1


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br"])
def test_the_first_bytes_tell_gzip_and_the_header_does_not(door: FrontDoor, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    data = json.dumps(VIEW).encode()
    assert door.post("/v1/track", data=data, headers=headers).status_code == 200
    assert door.post("/v1/track", data=gzip.compress(data), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"userId=u1",
        b"\x1f\x8b",
        b"\x1f\x8bgarbage",
        gzip.compress(b'{"userId":"u1","event":"x"}', mtime=0)[:-4],
        gzip.compress(b'{"userId":"u1","event":"x"}', mtime=0) + b"garbage",
        gzip.compress(b'{"userId":"u1",', mtime=0) + gzip.compress(b'"event":"x"}', mtime=0),
        b'{"userId":"M\xfcller","event":"x"}',
        b"NaN",
    ],
)
def test_a_body_that_cannot_be_read_is_the_senders_fault(door: FrontDoor, data: bytes) -> None:
    response = door.post("/v1/track", data=data)
    assert error(response) in [(400, "unreadable"), (400, "not_an_object")]
    assert not door.publisher.topics


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("/v1/track", [], "not_an_object"),
        ("/v1/track", None, "not_an_object"),
        ("/v1/batch", VIEW, "wrong_shape"),
        ("/v1/batch", {"batch": []}, "empty_batch"),
        ("/v1/batch", {"batch": [VIEW], "context": 1}, "not_an_object"),
    ],
)
def test_a_body_of_another_shape_is_refused_as_a_whole(door: FrontDoor, path: str, content: object, code: str) -> None:
    assert error(door.post(path, data=json.dumps(content))) == (400, code)
    assert not door.publisher.topics


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/track", {**VIEW, "properties": {"text": "x" * 33_000}}),
        ("/v1/batch", {"batch": [{**VIEW, "properties": {"text": "x" * 30_000}}] * 18}),
        ("/v1/batch", {"batch": [{}] * 2501}),
    ],
)
def test_what_is_too_large_is_refused(door: FrontDoor, path: str, content: object, packed: bool) -> None:
    data = json.dumps(content).encode()
    status, code = error(door.post(path, data=gzip.compress(data) if packed else data))
    assert status == 413
    assert code in ("too_large", "too_many_events")
    assert not door.publisher.topics


def test_a_zip_bomb_is_refused_before_it_goes_off(door: FrontDoor) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    tracemalloc.start()
    try:
        assert error(door.post("/v1/batch", data=bomb)) == (413, "too_large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_huge_body_is_read_to_its_end_and_not_kept(door: FrontDoor) -> None:
    body = io.BytesIO(b" " * 50_000_000)
    tracemalloc.start()
    try:
        for path in ("/v1/batch", "/v1/nothing", "/"):
            body.seek(0)
            assert error(door.open(path, method="POST", input_stream=body, content_length=50_000_000))[0] == 413
            assert body.read() == b""
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_batch_of_the_largest_size_is_taken(door: FrontDoor) -> None:
    body = {"batch": [{**VIEW, "messageId": f"m{number}", "properties": {"text": "x" * 90}} for number in range(2500)]}
    data = json.dumps(body).encode()
    assert 490_000 < len(data) <= 512_000
    assert door.post("/v1/batch", data=data).status_code == 200
    assert len(door.events) == 2500


def test_a_request_that_breaks_off_is_answered_and_publishes_nothing(door: FrontDoor) -> None:
    data = json.dumps(VIEW).encode()
    response = door.post("/v1/track", data=data, environ_overrides={"CONTENT_LENGTH": str(len(data) + 1)})
    assert error(response) == (400, "unreadable")
    assert not door.publisher.topics


# One bad event among good ones


def test_a_bad_event_is_set_aside_and_the_others_go_through(door: FrontDoor, caplog: pytest.LogCaptureFixture) -> None:
    response = door.post("/v1/batch", json={"batch": [VIEW, BAD], "sentAt": "2026-03-01T11:59:00Z"})
    assert (response.status_code, response.get_json()) == (200, {"success": True})
    assert [event.message_id for event in door.events] == ["m1"]
    (letter,) = door.dead_letters
    assert (letter.step, letter.reason, letter.at) == ("collect", "no_event_name", NOW)
    assert json.loads(letter.data) == {**BAD, "writeKey": ""}
    assert letter.attributes == {"sentAt": "2026-03-01T11:59:00+00:00"}
    (record,) = [record for record in caplog.records if record.name == "functions.collect"]
    assert (record.levelname, record.message) == ("WARNING", "Events were dead-lettered")
    assert vars(record)["counts"] == {"no_event_name": 1}


def test_an_objection_of_the_browser_is_set_aside_with_a_bad_event(door: FrontDoor) -> None:
    """A replay of the event must not forget it."""
    door.post("/v1/batch", json={"batch": [BAD]}, headers={"Sec-GPC": "1"})
    (letter,) = door.dead_letters
    assert letter.attributes == {"globalPrivacyControl": "true"}


def test_a_single_bad_event_is_set_aside_with_the_type_that_its_path_implied(door: FrontDoor) -> None:
    response = door.post("/v1/t", json={"anonymousId": "a1"})
    assert (response.status_code, response.get_json()) == (200, {"success": True})
    assert door.events == []
    (letter,) = door.dead_letters
    assert (letter.reason, letter.attributes) == ("no_event_name", {"type": "track"})


def test_an_event_over_32_kb_is_set_aside_in_a_batch(door: FrontDoor) -> None:
    large = {**VIEW, "properties": {"text": "x" * 33_000}}
    assert door.post("/v1/batch", json={"batch": [large, VIEW]}).status_code == 200
    assert len(door.events) == 1
    assert [letter.reason for letter in door.dead_letters] == ["too_large"]
    assert json.loads(door.dead_letters[0].data) == large


def test_an_item_that_is_not_even_utf8_spoils_only_itself(door: FrontDoor) -> None:
    data = b'{"batch":[{"userId":"M\xfcller","type":"page"},' + json.dumps(VIEW).encode() + b"]}"
    assert door.post("/v1/batch", data=data).status_code == 200
    assert len(door.events) == 1
    assert door.dead_letters[0].reason == "unreadable"
    assert door.dead_letters[0].data == b'{"userId":"M\xfcller","type":"page"}'


def test_an_item_too_deep_for_any_reader_spoils_only_itself(door: FrontDoor) -> None:
    deep = b'{"userId":"u2","type":"page","properties":' + b'{"a":' * 1500 + b"1" + b"}" * 1501
    response = door.post("/v1/batch", data=b'{"batch":[' + deep + b',{"userId":"u1","type":"page"}]}')
    assert response.status_code == 200
    assert [event.user_id for event in door.events] == ["u1"]
    (letter,) = door.dead_letters
    assert (letter.reason, letter.data) == ("too_deep", deep)


def test_strict_mode_names_every_fault_and_stores_nothing(door: FrontDoor) -> None:
    response = door.post("/v1/batch", json={"batch": [BAD, VIEW, {"type": "page"}]}, headers={"X-Strict-Mode": "1"})
    assert error(response) == (400, "invalid_events")
    assert response.get_json()["errors"] == [
        {
            "index": 0,
            "messageId": "m2",
            "reason": "no_event_name",
            "detail": "a track call needs event, a text that is not empty",
        },
        {
            "index": 2,
            "messageId": None,
            "reason": "no_person",
            "detail": "neither userId nor anonymousId is there",
        },
    ]
    assert not door.publisher.topics


def test_strict_mode_takes_what_is_good(door: FrontDoor) -> None:
    assert door.post("/v1/track", json=VIEW, headers={"X-Strict-Mode": "1"}).status_code == 200
    assert len(door.events) == 1


# When Pub/Sub does not take it


@pytest.mark.parametrize("topic", ["events", "dead-letters"])
def test_what_could_not_be_published_is_to_be_sent_again(door: FrontDoor, topic: str) -> None:
    door.publisher.down = {topic}
    response = door.post("/v1/batch", json={"batch": [VIEW, BAD]})
    assert error(response) == (503, "not_published")
    assert int(response.headers["Retry-After"]) > 0
    door.publisher.down = set()
    door.forget()
    assert door.post("/v1/batch", json={"batch": [VIEW, BAD]}).status_code == 200
    assert (len(door.events), len(door.dead_letters)) == (1, 1)


def test_the_log_of_a_failure_names_nobody(door: FrontDoor, caplog: pytest.LogCaptureFixture) -> None:
    door.publisher.down = {"events"}
    door.post("/v1/identify", json={"userId": "ada", "traits": {"email": "ada@example.com"}})
    (record,) = [record for record in caplog.records if record.name == "functions.collect"]
    assert record.levelname == "ERROR"
    assert "ada" not in str(vars(record))


# What the connection says


def test_the_person_is_at_the_first_hop_of_the_connection(door: FrontDoor) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "User-Agent": "Mozilla/5.0", "Sec-GPC": "1"}
    door.post("/v1/track", json=VIEW, headers=headers)
    assert door.events[0].objects["context"] == {
        "ip": "203.0.113.7",
        "userAgent": "Mozilla/5.0",
        "globalPrivacyControl": True,
    }


def test_an_address_that_is_none_is_not_kept(door: FrontDoor) -> None:
    door.post("/v1/track", json=VIEW, headers={"X-Forwarded-For": "<script>"})
    assert door.events[0].objects["context"]["ip"] == "127.0.0.1"


def test_rudderstack_sends_its_clock_in_a_header(door: FrontDoor) -> None:
    item = {**VIEW, "originalTimestamp": "2026-03-01T10:00:00.000Z", "anonymousId": "", "userId": "u1"}
    door.post("/v1/track", json=item, headers={"SentAt": "2026-03-01T10:00:01.000Z", "AnonymousId": "YTE="})
    assert door.events[0].timestamp == NOW - timedelta(seconds=1)
    assert door.events[0].anonymous_id is None
