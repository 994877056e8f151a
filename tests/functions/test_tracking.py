"""Opens and clicks through the Functions Framework, on a real store and a real Pub/Sub."""

import logging
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from werkzeug.test import Client, TestResponse

from functions.engage import Engage
from tests.functions.mail_room import EVENTS, MailRoom, ago
from tests.sends import a_decision
from tidings.adapters.firestore_store import FirestoreStore
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.decisions import Decision
from tidings.events import Event
from tidings.feedback import Feedback
from tidings.store import Letter
from tidings.tokens import Hit, sign_hit

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
LINKS = (
    "https://shop.example/lamp?a=1&b=%20c&d=/x?y;z='q'|{w}#top?e=f&g",
    "https://shop.example/cart",
    "https://shop.example/help",
    "http://shop.example/",
)


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function."""
    return room.client("engage")


def send(room: MailRoom, links: tuple[str, ...] = LINKS, minutes: float = 5, **fields: Any) -> Decision:
    """A mail to Ada that went out so many minutes ago, as the mailer leaves it in the ledger."""
    decision, at = a_decision(**fields), ago(minutes=minutes)
    room.store.claim(decision, at, timedelta(minutes=2))
    room.store.hand_over(decision.send_id, at, Letter(provider="smtp", subject="Your lamp", links=links))
    room.store.finish(decision.send_id, "sent", at)
    return decision


def link(room: MailRoom, decision: Decision, number: int = 1) -> str:
    """The path of a tracked link in that mail, or of its pixel."""
    return f"/{'l' if number else 'o'}/{sign_hit(Hit(decision.send_id, number), room.settings.secret)}"


def visit(client: Client, path: str, method: str = "GET", **headers: str) -> TestResponse:
    """Open it with a browser, from Ada's address, unless the headers say otherwise."""
    given = {"User-Agent": CHROME, "X-Forwarded-For": "192.0.2.7"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.open(path, method=method, headers=given)


def kept(room: MailRoom) -> list[Feedback]:
    """Every hit that is in the store, the first one first."""
    return room.store.feedback("u:ada", origins=True)[::-1]


def said(event: Event) -> dict[str, Any]:
    """What an event says."""
    return {"name": event.event, "person": event.person, **event.read("properties")}


# where a link leads


def test_a_click_leads_where_the_mail_said_byte_for_byte(room: MailRoom, client: Client) -> None:
    decision = send(room)
    for number, target in enumerate(LINKS, start=1):
        response = visit(client, link(room, decision, number))
        assert (response.status_code, response.headers["Location"]) == (302, target)
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in response.headers


def test_a_click_is_kept_and_told_as_an_event_of_the_person(room: MailRoom, client: Client) -> None:
    decision = send(room)
    visit(client, link(room, decision))
    [hit] = kept(room)
    assert (hit.kind, hit.agent, hit.reasons, hit.source) == ("clicked", "human", (), "engage")
    assert hit.detail == {"method": "GET", "link": 1, "url": LINKS[0]}
    assert hit.origin is not None
    assert (hit.origin.ip, hit.origin.user_agent) == ("192.0.2.7", CHROME)
    [event] = room.events()
    assert said(event) == {
        "name": "Email Link Clicked",
        "person": "u:ada",
        "email_id": decision.send_id,
        "email_subject": "Your lamp",
        "campaign_id": "viewed-three-times",
        "campaign_name": "viewed-three-times",
        "category": "reminders",
        "agent": "human",
        "link_id": "1",
        "link_url": LINKS[0],
    }


def test_clicking_twice_is_told_twice(room: MailRoom, client: Client) -> None:
    path = link(room, send(room))
    visit(client, path)
    visit(client, path)
    assert len(kept(room)) == 2
    assert len({event.message_id for event in room.events()}) == 2


def test_a_head_shows_where_it_leads_and_is_not_counted(room: MailRoom, client: Client) -> None:
    response = visit(client, link(room, send(room)), "HEAD")
    assert (response.status_code, response.headers["Location"], response.data) == (302, LINKS[0], b"")
    assert [(hit.agent, hit.reasons) for hit in kept(room)] == [("scanner", ("not_a_get",))]
    assert room.events() == []


def test_options_are_answered_and_not_counted(room: MailRoom, client: Client) -> None:
    response = visit(client, link(room, send(room)), "OPTIONS")
    assert (response.status_code, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert [hit.agent for hit in kept(room)] == ["scanner"]
    assert room.events() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_done_to_a_link(room: MailRoom, client: Client, method: str) -> None:
    assert visit(client, link(room, send(room)), method).status_code == 405
    assert kept(room) == []


def test_a_forged_link_leads_nowhere(room: MailRoom, client: Client) -> None:
    """Nor does the pixel's token, taken for a link, nor a token of another kind."""
    decision = send(room)
    path = link(room, decision)
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    pixel = link(room, decision, 0).replace("/o/", "/l/")
    for forged in (changed, pixel, "/l/", "/l/x", f"{path}/https://evil.example/", "/l/https://evil.example/"):
        response = visit(client, forged)
        assert response.status_code == 404, forged
        assert "Location" not in response.headers
        assert "This link does not work" in response.text
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert kept(room) == []


def test_a_link_whose_mail_is_forgotten_says_so_kindly(room: MailRoom, client: Client) -> None:
    decision = send(room)
    paths = link(room, decision), link(room, decision, len(LINKS) + 1)
    assert visit(client, paths[1]).status_code == 410
    room.store.erase_person("u:ada")
    response = visit(client, paths[0])
    assert response.status_code == 410
    assert "This link is too old" in response.text
    assert "Northwind Living" in response.text
    assert kept(room) == []


@pytest.mark.parametrize("target", ["javascript:alert(1)", "//evil.example", "https://a.example/\r\nX: y", ""])
def test_a_target_that_is_no_address_of_the_web_is_not_redirected_to(
    room: MailRoom, client: Client, target: str
) -> None:
    """Whatever may have come into the ledger."""
    response = visit(client, link(room, send(room, (target,))))
    assert response.status_code == 404
    assert "Location" not in response.headers


# the pixel


def test_the_picture_is_the_smallest_that_there_is(room: MailRoom, client: Client) -> None:
    response = visit(client, link(room, send(room), 0))
    assert (response.status_code, response.content_type) == (200, "image/gif")
    assert len(response.data) == 43
    assert response.data.startswith(b"GIF89a\x01\x00\x01\x00")
    assert response.headers["Cache-Control"] == "no-store"


def test_an_open_is_kept_and_told(room: MailRoom, client: Client) -> None:
    decision = send(room)
    visit(client, link(room, decision, 0))
    visit(client, link(room, decision, 0), User_Agent=PROXY)
    assert [(hit.kind, hit.agent) for hit in kept(room)] == [("opened", "human"), ("opened", "proxy")]
    first, second = (said(event) for event in room.events())
    assert (first["name"], first["agent"], first["email_id"]) == ("Email Opened", "human", decision.send_id)
    assert (second["name"], second["agent"]) == ("Email Opened", "proxy")


@pytest.mark.parametrize(
    ("name", "agent"), [("Mozilla/5.0", "prefetch"), ("Barracuda Sentinel (EE)", "scanner"), ("", "unknown")]
)
def test_an_open_that_nobody_is_behind_is_kept_and_not_told(
    room: MailRoom, client: Client, name: str, agent: str
) -> None:
    visit(client, link(room, send(room), 0), User_Agent=name)
    assert [hit.agent for hit in kept(room)] == [agent]
    assert room.events() == []


def test_the_picture_is_there_whatever_the_token(room: MailRoom, client: Client) -> None:
    decision = send(room)
    of_link = link(room, decision, 1).replace("/l/", "/o/")
    for path in ("/o/x", "/o/", "/o/a/b", of_link, link(room, a_decision(episode="unknown"), 0)):
        response = visit(client, path)
        assert (response.status_code, len(response.data)) == (200, 43), path
    assert kept(room) == []
    assert room.events() == []


def test_a_head_of_the_picture_changes_nothing_that_counts(room: MailRoom, client: Client) -> None:
    response = visit(client, link(room, send(room), 0), "HEAD")
    assert (response.status_code, response.content_length, response.data) == (200, 43, b"")
    assert [hit.agent for hit in kept(room)] == ["scanner"]
    assert room.events() == []


# bursts


def test_a_scanner_that_follows_every_link_gets_two_clicks_told_at_most(room: MailRoom, client: Client) -> None:
    """One after the other: the third is found out, and so is whatever follows."""
    decision = send(room)
    for number in range(1, 5):
        assert visit(client, link(room, decision, number)).status_code == 302
    assert [hit.agent for hit in kept(room)] == ["human", "human", "scanner", "scanner"]
    assert [said(event)["link_id"] for event in room.events()] == ["1", "2"]


def test_a_scanner_that_follows_every_link_at_once_gets_two_clicks_told_at_most(room: MailRoom) -> None:
    """Instances that cannot see each other's requests look again after they have written."""
    decision = send(room)
    clients = [room.client("engage") for _ in LINKS]
    together = threading.Barrier(len(LINKS))

    def click(number: int) -> int:
        together.wait()
        return visit(clients[number - 1], link(room, decision, number)).status_code

    with ThreadPoolExecutor(len(LINKS)) as people:
        assert set(people.map(click, range(1, len(LINKS) + 1))) == {302}
    assert len(kept(room)) == len(LINKS)
    assert len(room.events()) <= 2


def test_who_asks_first_whether_a_link_is_there_is_no_person_afterwards(room: MailRoom, client: Client) -> None:
    path = link(room, send(room))
    visit(client, path, "HEAD")
    visit(client, path)
    visit(client, path, X_Forwarded_For="192.0.2.99")
    assert [hit.agent for hit in kept(room)] == ["scanner", "scanner", "human"]
    assert len(room.events()) == 1


def test_a_click_while_the_mail_server_is_still_thinking_is_a_scanners(room: MailRoom, client: Client) -> None:
    decision = a_decision()
    now = datetime.now(UTC)
    room.store.claim(decision, now, timedelta(minutes=2))
    room.store.hand_over(decision.send_id, now, Letter(provider="smtp", subject="Your lamp", links=LINKS))
    assert visit(client, link(room, decision)).status_code == 302
    assert [hit.reasons for hit in kept(room)] == [("clicked_too_soon",)]
    assert room.events() == []


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
