"""The front door against whatever the internet sends: it never breaks, and every event is accounted for."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from functions.collect import CALLS
from tests.functions.front_door import FrontDoor
from tidings.wire.events import EVENT_TYPES

fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PATHS = st.sampled_from([*CALLS, "/", "/sourceConfig/", "/v1/projects/key/settings"]) | st.text().map(lambda t: f"/{t}")
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
TIMES = st.sampled_from(["2026-03-01T11:00:00Z", "1970-01-01T00:00:00Z", "2099-01-01", "soon", 0, 1e300, None])
IDS = st.sampled_from(["u1", "", None, 7, "undefined", "ü" * 300, "u\x00"]) | st.text(max_size=5)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*EVENT_TYPES, "purchase"]) | JSON,
        "userId": IDS | JSON,
        "anonymousId": IDS,
        "event": st.sampled_from(["Product Viewed", "E" * 2000, ""]) | JSON,
        "name": st.text(max_size=5) | JSON,
        "properties": st.dictionaries(st.text(), JSON, max_size=3) | JSON,
        "context": st.dictionaries(st.sampled_from(["ip", "direct", "userAgent", "traits"]), JSON) | JSON,
        "messageId": IDS | st.text(min_size=90, max_size=120),
        "timestamp": TIMES | JSON,
        "sentAt": TIMES | JSON,
        "writeKey": st.just("key"),
    },
)
HEADER_NAMES = """
    Content-Encoding Content-Type X-Forwarded-For X-Forwarded-Proto User-Agent SentAt Sec-GPC Authorization
    X-Strict-Mode X-Retry-Count AnonymousId Host Origin Expect
"""
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES.split()),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
    | st.sampled_from(["gzip", "1", "2026-03-01T11:00:00Z", "Basic a2V5", "Basic " + "=" * 9, "Bearer x", "::1, x"]),
)


@pytest.fixture(scope="module")
def door() -> FrontDoor:
    """One instance for all examples: whatever one request does must not harm the next."""
    return FrontDoor()


def accounted_for(door: FrontDoor) -> int:
    """How many events were published or set aside; reading them shows that the pipeline can."""
    assert all(set(event.objects) for event in door.events)
    return len(door.events) + len(door.dead_letters)


def is_an_answer(response: TestResponse, door: FrontDoor) -> None:
    """No crash, CORS headers, a reason for every refusal, and nothing published unless it says so."""
    assert response.status_code in (200, 204, 400, 401, 404, 405, 413)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    if response.status_code >= 400 and response.request.method != "HEAD":
        assert set(response.get_json()) >= {"success", "error", "message"}
    if response.status_code != 200:
        assert not door.publisher.topics


@fuzz
@given(METHODS, PATHS, HEADERS, st.binary() | st.binary().map(gzip.compress))
@example("POST", "/v1/batch", {"Authorization": "Basic \xff"}, b"")
@example("POST", "/v1/track", {"Host": "a b:c"}, b"\x1f\x8b\x08")
@example("GET", "/v1/projects/key/settings", {"Host": "\xff"}, b"")
def test_any_request_is_answered(door: FrontDoor, method: str, path: str, headers: dict[str, str], data: bytes) -> None:
    door.forget()
    is_an_answer(door.open(path.replace("//", "/"), method=method, headers=headers, data=data), door)


@fuzz
@given(st.sampled_from(list(CALLS)), JSON)
def test_any_json_is_answered(door: FrontDoor, path: str, content: Any) -> None:
    door.forget()
    response = door.post(path, data=json.dumps(content))
    is_an_answer(response, door)
    if response.status_code == 200:
        assert accounted_for(door) == (1 if CALLS[path] else len(content["batch"]))


@fuzz
@given(st.lists(ITEMS, max_size=6), st.fixed_dictionaries({}, optional={"sentAt": TIMES, "context": JSON}), HEADERS)
def test_every_event_of_a_batch_is_published_or_set_aside(
    door: FrontDoor, items: list[Any], said: dict[str, Any], headers: dict[str, str]
) -> None:
    door.forget()
    headers = {name: value for name, value in headers.items() if name != "Authorization"}
    response = door.post("/v1/batch", data=json.dumps({"batch": items, **said}), headers=headers)
    is_an_answer(response, door)
    if response.status_code == 200:
        assert accounted_for(door) == len(items)
        assert all(b'"writeKey": "key"' not in letter.data for letter in door.dead_letters)
    elif "X-Strict-Mode" not in headers:
        assert response.get_json()["error"] in ("empty_batch", "not_an_object", "too_deep")


@fuzz
@given(st.sampled_from(EVENT_TYPES), ITEMS)
def test_a_single_event_is_published_or_set_aside(door: FrontDoor, call: str, item: dict[str, Any]) -> None:
    door.forget()
    response = door.post(f"/v1/{call}", data=json.dumps(item))
    assert response.status_code == 200
    assert accounted_for(door) == 1


@fuzz
@given(st.data())
def test_a_damaged_batch_is_answered(door: FrontDoor, data: st.DataObject) -> None:
    door.forget()
    items = [{"type": "track", "userId": f"u{number}", "event": "É \U0001f600", "timestamp": 0} for number in range(3)]
    raw = bytearray(json.dumps({"batch": items, "sentAt": None}, ensure_ascii=False).encode())
    if data.draw(st.booleans(), "packed"):
        raw = bytearray(gzip.compress(bytes(raw)))
    for _ in range(data.draw(st.integers(1, 4), "how many damages")):
        start = data.draw(st.integers(0, len(raw)), "where")
        end = min(len(raw), start + data.draw(st.integers(0, 3), "bytes lost"))
        raw[start:end] = data.draw(st.binary(max_size=3), "bytes won")
    response = door.post("/v1/batch", data=bytes(raw))
    is_an_answer(response, door)
    if response.status_code == 200:
        assert accounted_for(door) >= 1
