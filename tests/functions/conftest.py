"""One installation for the functions that stand on store, Pub/Sub and mail server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from tests.functions.desk import Desk, a_sent_mail
from tests.functions.mail_room import MailRoom, mail_room
from tidings.adapters.pubsub_server import PubSubServer
from tidings.wire.decisions import Decision


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


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function behind all links in mail."""
    return room.client("engage")


@pytest.fixture
def desk(room: MailRoom) -> Desk:
    """Where reports about mail of that installation come in."""
    return Desk(room)


@pytest.fixture
def sent(room: MailRoom) -> Decision:
    """A mail to Ada that the ledger knows to have been sent."""
    return a_sent_mail(room)
