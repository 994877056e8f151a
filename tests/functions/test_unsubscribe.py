"""The unsubscribe pages through the Functions Framework, on a real store and a real Pub/Sub."""

import base64
import hashlib
import logging
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import flask
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from functions.unsubscribe import UnsubscribePages
from tests.functions.mail_room import EVENTS, MailRoom, ago
from tests.sends import a_decision
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.consent import from_event, permission
from tidings.events import SCHEMA
from tidings.feedback import Origin
from tidings.links import unsubscribe_url
from tidings.tokens import Preferences, read_preferences

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function."""
    return room.client("engage")


def link(room: MailRoom, **fields: Any) -> str:
    """The path of the unsubscribe link in the mail of a decision about Ada, in category `reminders`."""
    return unsubscribe_url(a_decision(**fields), room.settings).removeprefix(room.settings.public_url)


def refusal(room: MailRoom, category: str = "reminders") -> str | None:
    """Why Ada gets no marketing mail of this category now, or None when she does."""
    return permission("marketing", category, room.store.consent("u:ada"))


def buttons(response: flask.Response | TestResponse) -> dict[str, str]:
    """The choices that a page offers, with their words."""
    found = re.findall(
        r'<button type="submit" name="choice" value="([a-z_]+)"[^>]*>([^<]+)</button>', response.get_data(as_text=True)
    )
    return dict(found)


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


# One click


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_in_the_mail_program_is_enough(room: MailRoom, client: Client, content_type: str) -> None:
    """RFC 8058: the POST alone, in either encoding, without a cookie and without a redirect."""
    response = client.post(link(room), data=ONE_CLICK, content_type=content_type)
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert refusal(room) == "opted_out"
    assert refusal(room, "another category") is None
    assert room.store.consent("u:ada")[-1].source == "one_click"
    assert "mail program" in room.store.consent("u:ada")[-1].words


def test_one_click_holds_before_the_next_mail(room: MailRoom, client: Client) -> None:
    """From the link in a mail that was really sent to the mailer's refusal of the next one."""
    assert room.push(a_decision()) == 204
    header = room.mail.mails[0].parsed["List-Unsubscribe"]
    assert client.post(header.strip("<>").removeprefix(room.settings.public_url), data=ONE_CLICK).status_code == 200
    second = a_decision(episode="e2")
    assert room.push(second) == 204
    assert room.ending(second) == ("suppressed", "opted_out", "")
    assert len(room.mail.mails) == 1


def test_one_click_may_be_repeated(room: MailRoom, client: Client) -> None:
    """Providers repeat it; only the first is a transition."""
    answers = [client.post(link(room), data=ONE_CLICK).status_code for _ in range(3)]
    answers.append(client.post(link(room, episode="another mail"), data=ONE_CLICK).status_code)
    assert answers == [200, 200, 200, 200]
    assert len(room.events()) == 1
    assert len(room.store.consent("u:ada")) == 2


@pytest.mark.parametrize("path", ["/u/garbage", "/u/", "/", "/p/{token}", "/u/x{token}", "/u/{token}x"])
def test_one_click_on_a_forged_link_is_refused_and_does_nothing(room: MailRoom, client: Client, path: str) -> None:
    """A mail program must not tell anybody that they are unsubscribed when they are not."""
    answer = client.post(path.replace("{token}", link(room).removeprefix("/u/")), data=ONE_CLICK)
    assert answer.status_code == 404
    assert room.events() == []
    assert refusal(room) is None


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 200), letter=st.sampled_from("ABCDabcd0123-_."))
def test_a_token_that_was_altered_anywhere_is_refused(room: MailRoom, client: Client, at: int, letter: str) -> None:
    """Nobody can turn the link to their own mail into one to somebody else's."""
    path = link(room)
    at = len("/u/") + at % (len(path) - len("/u/") - 1)  # the last character is the test below
    altered = path[:at] + letter + path[at + 1 :]
    assert altered == path or client.post(altered, data=ONE_CLICK).status_code == 404
    assert altered == path or refusal(room) is None


def test_a_malleable_token_is_the_same_person_once(room: MailRoom, client: Client) -> None:
    """base64url has spare bits in its last letter: a spelling that still verifies says the same, any other nothing."""
    path = link(room)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    answers = [client.post(path[:-1] + letter, data=ONE_CLICK).status_code for letter in letters]
    assert set(answers) == {200, 404}
    assert len(room.events()) == 1


def test_the_link_in_the_very_header_unsubscribes(room: MailRoom, client: Client) -> None:
    """As a mail program does it: the bytes between the first angle brackets, and nothing else that it knows."""
    room.meet("u:0d5c6d6e-7c55-4b1a", "grace@example.com")
    room.push(a_decision(person="u:0d5c6d6e-7c55-4b1a"))
    data = room.mail.mails[0].data
    [header] = [line for line in data.split(b"\r\n") if line.startswith(b"List-Unsubscribe: ")]
    url = header.partition(b"<")[2].partition(b">")[0].decode()
    assert len(url) > 150
    answer = client.post(url.removeprefix(room.settings.public_url), data=ONE_CLICK, content_type="multipart/form-data")
    assert answer.status_code == 200
    assert not room.store.consent("u:0d5c6d6e-7c55-4b1a")[-1].given


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


# The event


def test_the_event_says_which_mail_of_which_campaign_was_left(room: MailRoom, client: Client) -> None:
    """Segment's Unsubscribed, with attributes to route it by."""
    decision = a_decision()
    room.push(decision)
    client.post(link(room), data=ONE_CLICK)
    _sent, message = room.messages(EVENTS)
    event = msgspec.json.decode(message.data)
    assert (event["type"], event["event"], event["userId"]) == ("track", "Unsubscribed", "ada")
    assert event["properties"] == {
        "category": "reminders",
        "email_id": decision.send_id,
        "campaign_id": "viewed-three-times",
        "source": "one_click",
        "words": "Unsubscribe, in the mail program (List-Unsubscribe-Post)",
    }
    assert message.attributes == {
        "schema": SCHEMA,
        "messageId": event["messageId"],
        "type": "track",
        "event": "Unsubscribed",
    }


def test_a_mail_that_the_ledger_forgot_can_still_be_left(room: MailRoom, client: Client) -> None:
    """The link says enough; the campaign is then unknown."""
    client.post(link(room, person="a:visitor"), data=ONE_CLICK)
    (event,) = room.events()
    assert (event.anonymous_id, event.user_id) == ("visitor", None)
    assert "campaign_id" not in event.objects["properties"]


@pytest.mark.parametrize("choice", ["category", "all"])
def test_the_pipeline_makes_the_very_same_record_of_the_event(room: MailRoom, client: Client, choice: str) -> None:
    """Written from both sides it is one line in the proof of consent."""
    client.post(link(room), data={"choice": choice})
    before = room.store.consent("u:ada")
    for event in room.events():
        assert from_event(event) == before[-1:]
        room.store.record_consent(from_event(event))
    assert room.store.consent("u:ada") == before


# Store and Pub/Sub away


class Pages:
    """Pages of its own on the room's store, with a clock that the test turns. The other parts can be replaced."""

    def __init__(self, room: MailRoom, **parts: Any) -> None:
        self.now = datetime.now(UTC)
        parts = {"store": room.store, "publisher": room.publisher, **parts}
        self._pages = UnsubscribePages(room.settings, **parts, clock=lambda: self.now)
        self._app = flask.Flask("pages")

    def post(self, path: str, **form: str) -> flask.Response:
        """POST a form."""
        with self._app.test_request_context(path, method="POST", data=form):
            return self._pages(flask.request)

    def get(self, path: str) -> flask.Response:
        """GET a page."""
        with self._app.test_request_context(path):
            return self._pages(flask.request)


def test_a_withdrawal_holds_at_once_even_when_it_cannot_be_told(room: MailRoom) -> None:
    """503 asks for another try, and the next mail is held back already; the next try tells it, once."""
    deaf = Pages(room, publisher=Publisher("a-project-without-topics", timeout=1))
    assert deaf.post(link(room), **ONE_CLICK).status_code == 503
    assert deaf.post(link(room), **ONE_CLICK).status_code == 503
    assert refusal(room) == "opted_out"
    assert room.events() == []
    later = Pages(room)
    later.now += timedelta(minutes=5)
    assert [later.post(link(room), **ONE_CLICK).status_code for _ in range(3)] == [200, 200, 200]
    (event,) = room.events()
    assert from_event(event)[0] in room.store.consent("u:ada")


def test_a_withdrawal_holds_at_once_even_without_credentials(room: MailRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a function can be taken away while it runs."""
    with monkeypatch.context() as locked_out:
        locked_out.delenv("PUBSUB_EMULATOR_HOST")
        locked_out.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{room.store_path}.missing.json")
        assert Pages(room).post(link(room), **ONE_CLICK).status_code == 503
    assert refusal(room) == "opted_out"
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert len(room.events()) == 1


def test_a_try_that_may_have_been_published_is_published_as_the_same_event(room: MailRoom) -> None:
    """A publisher that fails after it published makes a second message, and not a second event."""

    class Doubtful(Publisher):
        def publish(self, topic: str, messages: Any) -> None:
            super().publish(topic, messages)
            super().publish("no-such-topic", messages)

    assert Pages(room, publisher=Doubtful(room.project, timeout=1)).post(link(room), **ONE_CLICK).status_code == 503
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    first, second = room.events()
    assert first.message_id == second.message_id


def test_what_could_not_be_told_is_told_by_whatever_the_person_does_next(room: MailRoom) -> None:
    """In the order in which it was said, and each of it once."""
    deaf = Pages(room, publisher=Publisher("a-project-without-topics", timeout=1))
    assert deaf.post(link(room), choice="category").status_code == 503
    assert deaf.post(link(room), choice="resubscribe").status_code == 503
    assert refusal(room) is None
    for _ in range(2):
        assert Pages(room).post(link(room, episode="another mail"), choice="all").status_code == 200
    assert [event.event for event in room.events()] == ["Unsubscribed", "Consent Given", "Unsubscribed"]


@pytest.mark.parametrize("step", ["put_note", "record_consent", "publish", "forget"])
def test_a_crash_at_any_step_loses_nothing(room: MailRoom, step: str) -> None:
    """The mail program got no answer, and asks again: the withdrawal holds, and is told as one event."""

    class CrashError(Exception):
        pass

    def crash(*_: object) -> None:
        raise CrashError

    with pytest.MonkeyPatch.context() as break_off:
        if step == "publish":
            break_off.setattr(room.publisher, "publish", crash)
        elif step == "forget":
            put = room.store.put_note
            break_off.setattr(room.store, "put_note", lambda name, value: put(name, value) if value else crash())
        else:
            break_off.setattr(room.store, step, crash)
        with pytest.raises(CrashError):
            Pages(room).post(link(room), **ONE_CLICK)
    assert (refusal(room) == "opted_out") is (step in ("publish", "forget"))
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"
    assert len({event.message_id for event in room.events()}) == 1
    assert len(room.store.consent("u:ada")) == 2


def test_the_link_in_an_old_mail_brings_nobody_back_who_was_erased(room: MailRoom, client: Client) -> None:
    """It is answered as ever, and no record and no event names them."""
    room.forget("u:ada", at=ago(days=1))
    for page in (client.get(link(room)), client.post(link(room), data=ONE_CLICK)):
        assert page.status_code == 200
        assert "We keep nothing about you" in page.text
    assert room.store.consent("u:ada") == []
    assert room.events() == []
    room.meet("u:ada", "ada@example.com")
    assert "You are unsubscribed" in client.post(link(room), data=ONE_CLICK).text


def test_the_link_in_mail_of_a_kind_that_was_switched_on_alone_ends_it(room: MailRoom) -> None:
    """Everything was stopped, and then one kind wanted again: its mail can be left like any other."""
    room.consent("u:ada", "marketing", given=False, at=ago(minutes=30))
    room.consent("u:ada", "reminders", given=True, at=ago(minutes=20))
    assert "Unsubscribe?" in Pages(room).get(link(room)).get_data(as_text=True)
    assert Pages(room).post(link(room), choice="all").status_code == 200
    assert refusal(room) == "opted_out"
    assert list(buttons(Pages(room).get(link(room)))) == ["resubscribe_all"]


def test_a_withdrawal_counts_although_our_clock_is_behind(room: MailRoom) -> None:
    """It is never older than the consent that it withdraws."""
    room.consent("u:ada", "reminders", given=True, at=ago(minutes=-3))
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"


def test_without_the_store_the_answer_is_try_again(room: MailRoom) -> None:
    """For a mail program, and in words for a person."""
    pages = Pages(room, store=SqliteStore(room.store_path, timeout=0.05))
    other = sqlite3.connect(room.store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    response = pages.post(link(room), **ONE_CLICK)
    other.execute("ROLLBACK")
    other.close()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert "try again in a minute" in response.get_data(as_text=True)
    assert pages.post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"


def test_no_log_line_says_who_it_was(room: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    """What was done is counted; nobody's id and no token is written down."""
    caplog.set_level(logging.DEBUG)
    Pages(room, publisher=Publisher("a-project-without-topics", timeout=1)).post(link(room), **ONE_CLICK)
    Pages(room).post(link(room), choice="all")
    Pages(room).get("/u/garbage")
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    assert len(ours) == 2
    said = " ".join(f"{record.getMessage()} {getattr(record, 'labels', '')}" for record in ours)
    for secret in ("u:ada", "ada@", a_decision().send_id, link(room).removeprefix("/u/"), "garbage"):
        assert secret not in said
