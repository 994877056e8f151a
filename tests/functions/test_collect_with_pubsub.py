"""The deployed entry point `collect` of main.py, with a real publisher and the embedded Pub/Sub behind it."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import functions_framework
import pytest

from tidings.adapters.pubsub import ensure_subscription, ensure_topic, pull
from tidings.adapters.pubsub_server import PubSubServer
from tidings.settings import Settings
from tidings.wire import dead_letter, events

ROOT = Path(__file__).parents[2]
TOPICS = Settings()
PROJECT = "front-door"
VIEW: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Product Viewed", "messageId": "m1"}


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An embedded Pub/Sub, with both topics and a subscription of the same name to each."""
    with PubSubServer() as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        for topic in (TOPICS.events_topic, TOPICS.dead_letters_topic):
            ensure_topic(PROJECT, topic)
            ensure_subscription(PROJECT, topic, topic)
        yield


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> flask.Flask:
    """main.py, loaded as Cloud Functions loads it."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    monkeypatch.setenv("TIDINGS_WRITE_KEYS", "key")
    loaded: flask.Flask = functions_framework.create_app("collect", source=str(ROOT / "functions" / "main.py"))
    return loaded


def test_an_event_that_was_answered_with_200_is_in_pubsub(pubsub: None, app: flask.Flask) -> None:
    bad = {"type": "track", "userId": "u2"}
    response = app.test_client().post("/v1/batch", json={"batch": [VIEW, bad]}, auth=("key", ""))
    assert response.status_code == 200
    (message,) = pull(PROJECT, TOPICS.events_topic, 10)
    assert events.decode(message.data).message_id == message.attributes["messageId"] == "m1"
    (letter,) = pull(PROJECT, TOPICS.dead_letters_topic, 10)
    read = dead_letter.read(letter.data, letter.attributes)
    assert (read.step, read.reason, json.loads(read.data)) == ("collect", "no_event_name", bad)


def test_the_largest_batch_of_the_largest_labels_fits_into_pubsub(pubsub: None, app: flask.Flask) -> None:
    items = [{**VIEW, "messageId": f"m{number}", "event": "Ü" * 15_000} for number in range(16)]
    data = json.dumps({"batch": items}, ensure_ascii=False).encode()
    assert app.test_client().post("/v1/batch", data=data, auth=("key", "")).status_code == 200
    labels = [message.attributes["event"] for message in pull(PROJECT, TOPICS.events_topic, 100)]
    assert labels == ["Ü" * 512] * 16


def test_without_the_topic_the_client_is_asked_to_send_again(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with PubSubServer() as empty:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", empty)
        response = app.test_client().post("/v1/track", json=VIEW, auth=("key", ""))
    assert (response.status_code, response.get_json()["error"]) == (503, "not_published")


def test_without_credentials_a_browser_is_asked_to_send_again(
    app: flask.Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without these headers would be hidden from it, and the events lost."""
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/missing.json")
    response = app.test_client().post("/v1/track", json=VIEW, auth=("key", ""))
    assert (response.status_code, response.get_json()["error"]) == (503, "not_published")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Retry-After"]


def test_the_functions_are_deployed_with_the_requirements_of_the_project() -> None:
    lines = (ROOT / "functions" / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {*project["dependencies"], *project["optional-dependencies"]["functions"]}
    assert {line for line in lines if not line.startswith("#")} == declared
