"""Who may use the front door, and what it answers besides taking events: preflights, SDK settings, wrong turns."""

import base64
import json
import logging
from typing import Any

import pytest

from functions.collect import Collector
from tests.functions.front_door import FrontDoor, error
from tests.functions.recording_main import RecordingPublisher
from tidings.settings import Settings

VIEW: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Product Viewed", "messageId": "m1"}


@pytest.fixture
def door() -> FrontDoor:
    """A function instance of its own for each test."""
    return FrontDoor()


# Who may post


@pytest.mark.parametrize(
    "request_",
    [
        {"auth": ("key", "")},
        {"auth": ("other-key", "anything")},
        {"headers": {"Authorization": "Basic " + base64.b64encode(b"key").decode()}},
        {"headers": {"Authorization": "Bearer an-oauth-token"}, "json": {**VIEW, "writeKey": "key"}},
        {"json": {**VIEW, "writeKey": "key"}},
    ],
)
def test_the_write_key_comes_as_user_name_or_in_the_body(door: FrontDoor, request_: dict[str, Any]) -> None:
    assert door.open("/v1/track", method="POST", **{"json": VIEW, **request_}).status_code == 200
    assert len(door.events) == 1


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"auth": ("", "")},
        {"auth": ("nobody", "key")},
        {"auth": ("kéy", "")},
        {"auth": ("nobody", ""), "json": {**VIEW, "writeKey": "key"}},
        {"json": {**VIEW, "writeKey": "keys"}},
        {"json": {**VIEW, "writeKey": ["key"]}},
        {"query_string": {"writeKey": "key"}},
        {"headers": {"Authorization": "Basic !"}},
    ],
)
def test_without_a_known_key_nothing_is_taken(door: FrontDoor, request_: dict[str, Any]) -> None:
    response = door.open("/v1/track", method="POST", **{"json": VIEW, **request_})
    assert error(response) == (401, "unknown_write_key")
    assert not response.headers["WWW-Authenticate"].lower().startswith("basic")
    assert not door.publisher.topics


def test_a_beacon_cannot_send_headers_and_brings_its_key_in_the_query(door: FrontDoor) -> None:
    batch = json.dumps({"batch": [VIEW]})
    response = door.open("/beacon/v1/batch?writeKey=key", method="POST", data=batch, content_type="text/plain")
    assert response.status_code == 200
    response = door.open("/beacon/v1/batch?writeKey=nobody", method="POST", data=batch, content_type="text/plain")
    assert error(response) == (401, "unknown_write_key")
    assert len(door.events) == 1


def test_without_configured_keys_the_log_says_why_everything_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    Collector(Settings(), RecordingPublisher())
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "TIDINGS_WRITE_KEYS is empty: every request will be answered with 401")
    ]


# The other paths


@pytest.mark.parametrize(
    "path", ["/v1/track", "/v1/b", "/beacon/v1/batch", "/sourceConfig/", "/v1/projects/key/settings"]
)
def test_a_browser_may_post_from_any_origin(door: FrontDoor, path: str) -> None:
    response = door.open(path, method="OPTIONS")
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    allowed = set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert allowed == {"authorization", "content-type", "anonymousid", "sentat", "x-strict-mode", "x-retry-count"}
    assert int(response.headers["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("path", ["/v1/purchase", "/v1", "/v2/track", "/v1/projects//settings", "/admin"])
def test_there_is_nothing_at_other_paths(door: FrontDoor, path: str) -> None:
    assert error(door.post(path, json=VIEW)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/track", "POST, OPTIONS"),
        ("PUT", "/v1/batch", "POST, OPTIONS"),
        ("DELETE", "/sourceConfig/", "GET, HEAD, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("POST", "/v1/projects/key/settings", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(door: FrontDoor, method: str, path: str, allow: str) -> None:
    response = door.open(path, method=method)
    assert error(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == allow


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_health_check_is_answered_without_a_key(door: FrontDoor, method: str) -> None:
    assert door.open("/", method=method).status_code == 200


def test_segments_sdk_is_told_to_post_to_the_host_that_it_asked(door: FrontDoor) -> None:
    answer = door.open("/v1/projects/key/settings", base_url="https://collect.example.com:8443/").get_json()
    assert answer["integrations"]["Segment.io"] == {
        "apiKey": "key",
        "apiHost": "collect.example.com:8443/v1",
        "protocol": "https",
    }
    proxied = door.open("/v1/projects/key/settings", headers={"X-Forwarded-Proto": "https"}).get_json()
    assert proxied["integrations"]["Segment.io"]["protocol"] == "https"
    assert error(door.open("/v1/projects/nobody/settings")) == (401, "unknown_write_key")


def test_rudderstacks_sdk_is_told_that_its_source_is_enabled_and_has_no_destinations(door: FrontDoor) -> None:
    for request in ({"auth": ("key", "")}, {"query_string": {"writeKey": "key"}}):
        source = door.open("/sourceConfig/", **request).get_json()["source"]
        assert (source["enabled"], source["destinations"], source["writeKey"]) == (True, [], "key")
    assert error(door.open("/sourceConfig/")) == (401, "unknown_write_key")
