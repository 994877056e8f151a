"""The unsubscribe page and its buttons, through the Functions Framework, on a real store and a real Pub/Sub."""

import base64
import hashlib
import re
from importlib.metadata import version

import pytest
from werkzeug.test import Client

from tests.functions.leaving import ONE_CLICK, buttons, link, refusal
from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tidings.records.feedback import Origin
from tidings.tokens import Preferences, read_preferences

# GET


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_link_changes_nothing(room: MailRoom, client: Client, method: str) -> None:
    """Link scanners fetch every link in every mail."""
    response = client.open(link(room), method=method)
    assert response.status_code == 200
    assert bool(response.data) is (method == "GET")
    assert len(room.store.consent("u:ada")) == 1
    assert room.events() == []


def test_the_page_says_what_it_is_about_and_offers_both_ways_out(room: MailRoom, client: Client) -> None:
    """Less of it, or none at all; in words a person uses, from a sender they know."""
    response = client.get(link(room, category="product_news-weekly"))
    assert "You get “Product news weekly” email from Northwind Living." in response.text
    assert buttons(response) == {
        "category": "Stop “Product news weekly” email",
        "all": "Stop all marketing email",
    }
    assert "You get “Unfinished forms” email from Northwind Living." in client.get(link(room)).text


def test_the_page_leads_to_all_choices(room: MailRoom, client: Client) -> None:
    """Whoever has this link has the other one too: both stand in the same mail."""
    [path] = re.findall(r'<a href="(/p/[^"]+)"', client.get(link(room)).text)
    assert read_preferences(path.removeprefix("/p/"), room.settings.secret) == Preferences(
        "u:ada", a_decision().send_id
    )


def test_mail_without_a_category_offers_one_way_out(room: MailRoom, client: Client) -> None:
    """There is nothing smaller to leave."""
    assert buttons(client.get(link(room, category=""))) == {"all": "Stop all marketing email"}


def test_the_page_cannot_be_embedded_cached_indexed_or_scripted(room: MailRoom, client: Client) -> None:
    """Its address alone is enough to unsubscribe somebody, so it must not travel."""
    response = client.get(link(room))
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in response.headers
    (style,) = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert {"form-action 'self'", "frame-ancestors 'none'", f"style-src 'sha256-{digest}'"} < set(policy)
    assert not re.search(r"<script|<img|<link|src=|style=", response.text)


def test_the_page_can_be_read_by_everybody(room: MailRoom, client: Client) -> None:
    """A language, a title, one heading, real buttons, and news that is announced."""
    ask, done = client.get(link(room)), client.post(link(room), data={"choice": "category"})
    for page in (ask, done):
        assert '<html lang="en">' in page.text
        assert page.text.count("<h1>") == page.text.count("<title>") == 1
        assert 'name="viewport"' in page.text
    assert 'role="status"' not in ask.text
    assert 'role="status"' in done.text


@pytest.mark.parametrize("path", ["/u/garbage", "/u/", "/u", "/", "/u/a/b", "/v/x", "/u/{link}x", "/u/a.b.c"])
def test_a_link_that_is_not_ours_is_answered_kindly(room: MailRoom, client: Client, path: str) -> None:
    """404, and what to do instead."""
    response = client.get(path.replace("{link}", link(room).removeprefix("/u/")))
    assert response.status_code == 404
    assert "This link does not work" in response.text
    assert buttons(response) == {}


# The page's own buttons


def test_leaving_a_category_leaves_the_rest(room: MailRoom, client: Client) -> None:
    """And says so, with a way back."""
    response = client.post(link(room), data={"choice": "category"})
    assert response.status_code == 200
    assert "You get no more “Unfinished forms” email from Northwind Living." in response.text
    assert list(buttons(response)) == ["resubscribe", "all"]
    assert 'class="primary"' not in response.text
    assert (refusal(room), refusal(room, "cart")) == ("opted_out", None)
    record = room.store.consent("u:ada")[-1]
    assert (record.category, record.given, record.source) == ("reminders", False, "preferences_page")
    assert record.words == "Stop “Unfinished forms” email"
    [proof] = [one for one in room.store.consent("u:ada", origins=True) if one.record_id == record.record_id]
    assert proof.origin == Origin(ip="127.0.0.1", user_agent=f"Werkzeug/{version('werkzeug')}")


def test_leaving_everything_leaves_everything(room: MailRoom, client: Client) -> None:
    """Whatever the category."""
    response = client.post(link(room), data={"choice": "all"})
    assert "You get no more marketing email" in response.text
    assert list(buttons(response)) == ["resubscribe_all"]
    assert {refusal(room, category) for category in ("reminders", "cart", "")} == {"opted_out"}


@pytest.mark.parametrize(("leave", "come_back"), [("category", "resubscribe"), ("all", "resubscribe_all")])
def test_a_slip_can_be_taken_back_and_made_again(room: MailRoom, client: Client, leave: str, come_back: str) -> None:
    """Every turn is a transition of its own with an event of its own, although the link is the same."""
    for turn in (1, 2, 3):
        client.post(link(room), data={"choice": leave})
        assert refusal(room) == "opted_out"
        response = client.post(link(room), data={"choice": come_back})
        assert "Welcome back" in response.text
        assert list(buttons(response)) == ["category", "all"]
        assert refusal(room) is None
        assert len(room.store.consent("u:ada")) == 1 + 2 * turn
    events = room.events()
    assert [event.event for event in events] == ["Unsubscribed", "Consent Given"] * 3
    assert len({event.message_id for event in events}) == 6


def test_nobody_agrees_by_accident(room: MailRoom, client: Client) -> None:
    """Coming back is for those who left: it makes no consent where there was none."""
    path = link(room, person="u:grace")
    for choice in ("resubscribe", "resubscribe_all"):
        assert client.post(path, data={"choice": choice}).status_code == 200
    assert room.store.consent("u:grace") == []
    assert room.events() == []


def test_the_page_shows_how_things_stand(room: MailRoom, client: Client) -> None:
    """Opening the link again tells what was chosen before, through any link."""
    client.post(link(room), data={"choice": "category"})
    assert "You are unsubscribed" in client.get(link(room, episode="another mail")).text
    client.post(link(room), data={"choice": "all"})
    response = client.get(link(room))
    assert "no more marketing email" in response.text
    assert list(buttons(response)) == ["resubscribe_all"]


@pytest.mark.parametrize("form", [{}, {"choice": ""}, {"choice": "everything"}, {"List-Unsubscribe": "no"}])
def test_a_form_that_is_not_ours_changes_nothing(room: MailRoom, client: Client, form: dict[str, str]) -> None:
    """400, with the page to do it right."""
    response = client.post(link(room), data=form)
    assert response.status_code == 400
    assert list(buttons(response)) == ["category", "all"]
    assert refusal(room) is None
    assert client.post("/u/garbage", data=form).status_code == 404


def test_a_choice_that_the_page_did_not_offer_changes_nothing(room: MailRoom, client: Client) -> None:
    """A link without a category has no category to leave."""
    assert client.post(link(room, category=""), data={"choice": "category"}).status_code == 400
    assert refusal(room, "") is None


def test_a_form_larger_than_any_is_refused(room: MailRoom, client: Client) -> None:
    """Nobody fills the memory of an instance."""
    assert client.post(link(room), data={**ONE_CLICK, "x": "y" * 200_000}).status_code == 413
    assert refusal(room) is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_for_this_page(room: MailRoom, client: Client, method: str) -> None:
    """They are told what is."""
    response = client.open(link(room), method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")
