"""One installation for the functions that stand on store, Pub/Sub and mail server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functions.mail_room import MailRoom, mail_room
from tidings.adapters.pubsub_server import PubSubServer


@pytest.fixture(scope="module")
def pubsub() -> Iterator[str]:
    """One embedded Pub/Sub; every test has a project of its own in it."""
    with PubSubServer() as address:
        yield address


@pytest.fixture
def room(tmp_path: Path, pubsub: str) -> Iterator[MailRoom]:
    """An installation that knows Ada, who agreed to marketing mail."""
    with mail_room(tmp_path, pubsub) as one:
        one.meet("u:ada", "ada@example.com")
        yield one
