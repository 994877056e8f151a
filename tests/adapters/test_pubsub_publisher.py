"""What the door to Pub/Sub does when there is nothing behind it."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.pubsub_server import PubSubServer
from tidings.errors import PublishError

PATIENCE = 60.0
"""Seconds after which a call that must end counts as hanging."""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as running:
        yield running


@pytest.fixture
def silent_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
        yield port


def test_publishing_to_nobody_is_a_publish_error(monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> None:
    with PubSubServer() as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    with pytest.raises(PublishError, match="ServiceUnavailable"):
        pool.submit(Publisher("p", timeout=1).publish, "events", [Message(b"x")]).result(PATIENCE)


@pytest.mark.usefixtures("silent_port")
def test_publishing_to_a_server_that_hangs_is_a_publish_error(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(PublishError):
        pool.submit(Publisher("p", timeout=1).publish, "events", [Message(b"x")]).result(PATIENCE)


def test_a_message_that_pubsub_refuses_is_a_publish_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with PubSubServer() as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        ensure_topic("p", "events")
        with pytest.raises(PublishError, match=r"^events: InvalidArgument$"):
            Publisher("p").publish("events", [Message(b"small"), Message(bytes(10_000_001))])


def test_publishing_without_credentials_is_a_publish_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/ann.json")
    with pytest.raises(PublishError, match=r"^events: DefaultCredentialsError$"):
        Publisher("p").publish("events", [Message(b"x")])


def test_a_server_that_comes_back_on_its_port_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pubsub.db"
    publisher = Publisher("p", timeout=1)
    with PubSubServer(path) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        ensure_topic("p", "events")
        ensure_subscription("p", "reader", "events")
        publisher.publish("events", [Message(b"before")])
    for _ in range(2):
        with pytest.raises(PublishError):
            publisher.publish("events", [Message(b"lost")])
    with PubSubServer(path, port=int(address.split(":")[1])):
        Publisher("p", timeout=30).publish("events", [Message(b"after")])
        assert [message.data for message in pull("p", "reader", 10, wait=30)] == [b"before", b"after"]


def test_a_publish_under_way_outlasts_a_short_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    path = tmp_path / "pubsub.db"
    with PubSubServer(path) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        ensure_topic("p", "events")
        ensure_subscription("p", "reader", "events")
    under_way = pool.submit(Publisher("p", timeout=PATIENCE).publish, "events", [Message(b"patient")])
    with PubSubServer(path, port=int(address.split(":")[1])):
        under_way.result(PATIENCE)
        assert [message.data for message in pull("p", "reader", 10, wait=30)] == [b"patient"]
