"""Opens and clicks that are too many, or that come while something is away: the page comes all the same."""

import logging
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import flask
import pytest
from werkzeug.test import Client

from functions.engage import Engage
from tests.functions.mail_room import EVENTS, MailRoom
from tests.functions.tracked_mail import LINKS, kept, link, send, visit
from tidings.adapters.firestore_store import FirestoreStore
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore

# who never stops asking


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many hits of a mail are kept, for once."""
    monkeypatch.setattr("tidings.feedback.hits.MOST_KEPT", 3)
    return 3


def test_who_never_stops_asking_gets_answers_and_fills_no_store(
    room: MailRoom, client: Client, three: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    decision = send(room, LINKS[:1])
    for _ in range(three + 2):
        response = visit(client, link(room, decision))
        assert (response.status_code, response.headers["Location"]) == (302, LINKS[0])
    assert [hit.kind for hit in kept(room)] == ["clicked"] * three
    assert len(room.events()) == three
    beyond = [one for one in caplog.records if one.message == "A hit beyond those that are kept"]
    assert [one.labels for one in beyond] == [{"kind": "clicked"}] * 2  # type: ignore[attr-defined]
    assert decision.send_id not in caplog.text


def test_the_opens_of_a_mail_take_nothing_from_its_clicks_nor_from_another_mail(
    room: MailRoom, client: Client, three: int
) -> None:
    first, second = send(room), send(room, episode="another")
    for _ in range(three + 2):
        assert len(visit(client, link(room, first, 0)).data) == 43
    visit(client, link(room, first))
    visit(client, link(room, second, 0))
    assert [hit.kind for hit in kept(room)] == ["opened"] * three + ["clicked", "opened"]


def test_however_many_ask_at_once_no_more_are_kept(room: MailRoom, three: int) -> None:
    path = link(room, send(room), 0)
    clients = [room.client("engage") for _ in range(2 * three)]
    together = threading.Barrier(len(clients))

    def open_it(client: Client) -> int:
        together.wait()
        return visit(client, path).status_code

    with ThreadPoolExecutor(len(clients)) as people:
        assert set(people.map(open_it, clients)) == {200}
    assert len(kept(room)) == len(room.events()) == three


# when things are away


def test_when_events_cannot_be_published_the_person_gets_their_page(
    room: MailRoom, caplog: pytest.LogCaptureFixture
) -> None:
    """The click is kept, and somebody is told that its event is lost."""
    decision = send(room)
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("PUBSUB_EMULATOR_HOST", nobody_listens())
        client = room.client("engage")
        response = visit(client, link(room, decision))
    assert (response.status_code, response.headers["Location"]) == (302, LINKS[0])
    assert len(kept(room)) == 1
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert "192.0.2.7" not in caplog.text
    assert decision.send_id not in caplog.text


def test_while_the_store_takes_nothing_the_person_gets_their_page(
    room: MailRoom, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading the ledger works, writing does not: another process holds the file."""
    decision = send(room)
    store = SqliteStore(room.store_path, timeout=0.1)
    engage = Engage(room.settings, store, Publisher(room.project))
    app = _app(engage)
    with closing(sqlite3.connect(room.store_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        response = visit(app, link(room, decision))
        other.execute("ROLLBACK")
    assert (response.status_code, response.headers["Location"]) == (302, LINKS[0])
    assert kept(room) == []
    assert room.events() == []
    assert [record.levelname for record in caplog.records if "lost" in record.message] == ["ERROR"]
    store.close()


def test_while_the_store_is_slow_the_person_gets_their_page_and_the_hit_is_kept_later(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.tracking.PATIENCE", 0.05)
    decision = send(room)
    store = SqliteStore(room.store_path, timeout=30)
    app = _app(Engage(room.settings, store, Publisher(room.project)))
    with closing(sqlite3.connect(room.store_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert visit(app, link(room, decision)).status_code == 302
        assert kept(room) == []
        other.execute("ROLLBACK")
    until = time.monotonic() + 20
    while not (events := room.messages(EVENTS)) and time.monotonic() < until:
        pass
    assert len(events) == 1
    assert len(kept(room)) == 1
    store.close()


def test_while_the_ledger_cannot_be_read_the_person_is_asked_to_try_again(room: MailRoom) -> None:
    """Nobody knows where the link leads; and the picture is there all the same."""
    decision = send(room)
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("FIRESTORE_EMULATOR_HOST", nobody_listens())
        away = FirestoreStore(room.project, timeout=0.2)
    app = _app(Engage(room.settings, away, Publisher(room.project)))
    response = visit(app, link(room, decision))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "try again in a moment" in response.text
    assert len(visit(app, link(room, decision, 0)).data) == 43
    away.close()


def nobody_listens() -> str:
    """An address of this machine that refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _app(engage: Engage) -> Client:
    """A function of one's own making, behind real HTTP semantics."""
    app = flask.Flask("engage")
    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    app.add_url_rule("/<path:path>", view_func=lambda path: engage(flask.request), methods=methods)
    return app.test_client()
