"""Every store and every Pub/Sub, each behind one fixture: the same suite runs on all of them."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pubsub_bench import Bench, bench
from tidings.adapters.pubsub_server import PubSubServer
from tidings.adapters.stores import open_store
from tidings.records.store import Store


@pytest.fixture(params=["sqlite", "firestore"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    """Open the test's own, empty store; each call is one more handle on it, as another worker would hold it."""
    project = f"test-{uuid.uuid4().hex[:12]}"
    url = f"sqlite:{tmp_path / 'store.db'}"
    if request.param == "firestore":
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", request.getfixturevalue("firestore_emulator"))
        url = "firestore"

    def open_it() -> Store:
        store = open_store(url, project)
        request.addfinalizer(store.close)
        return store

    return open_it


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    """An empty store."""
    return open_again()


@pytest.fixture(params=["embedded", "google"])
def pubsub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Google's clients, with a project of their own on the server that PUBSUB_EMULATOR_HOST now names."""
    with ExitStack() as running:
        if request.param == "google":
            address = request.getfixturevalue("pubsub_emulator")
        else:
            address = running.enter_context(PubSubServer())
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        yield running.enter_context(bench())


@pytest.fixture
def topic(pubsub: Bench) -> str:
    """A topic."""
    return pubsub.topic()


@pytest.fixture
def subscription(pubsub: Bench, topic: str) -> str:
    """A pull subscription to it, whose messages stay leased for the whole test unless the test says otherwise."""
    return pubsub.subscription(topic, ack_deadline_seconds=600)
