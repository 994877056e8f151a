"""Opens and clicks through the Functions Framework, on a real store and a real Pub/Sub."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import Client

from tests.functions.mail_room import MailRoom
from tests.functions.tracked_mail import CHROME, LINKS, PROXY, kept, link, said, send, visit
from tests.sends import a_decision
from tidings.records.store import Letter

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
    held = room.store.claim(decision, now, timedelta(minutes=2)).entry
    room.store.hand_over(held, now, Letter(provider="smtp", subject="Your lamp", links=LINKS))
    assert visit(client, link(room, decision)).status_code == 302
    assert [hit.reasons for hit in kept(room)] == [("clicked_too_soon",)]
    assert room.events() == []
