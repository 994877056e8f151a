"""The pages behind the links that confirm something, through the Functions Framework, on a real store and Pub/Sub."""

import html
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import msgspec
import pytest
from werkzeug.test import Client

from functions.confirmation import ConfirmationPages, Rights, rights
from tests.functions.accessibility import check
from tests.functions.mail_room import MailRoom, ago, posted
from tests.sends import a_decision
from tidings.adapters.pubsub import Publisher
from tidings.errors import StoreError
from tidings.mailing.links import confirmation_url
from tidings.permission import categories
from tidings.permission.choices import standing
from tidings.permission.consent import address_digest, from_event, person_digest
from tidings.records.store import ConsentRecord
from tidings.tokens import Confirmation, Preferences, Purpose, sign_confirmation, sign_preferences
from tidings.wire.decisions import Trigger

CONFIRM = {"choice": "confirm"}
NEWSLETTER = categories.load()["newsletter"]


def link(room: MailRoom, purpose: Purpose, send_id: str = "1" * 32, **until: float) -> str:
    """The path of a confirmation for Ada, from a mail that went to her."""
    posted(room.store, room.settings.secret, "u:ada", send_id)
    category = "newsletter" if purpose == "subscribe" else ""
    expires_at = int((datetime.now(UTC) + timedelta(**until or {"days": 1})).timestamp())
    token = sign_confirmation(Confirmation(purpose, "u:ada", category, send_id, expires_at), room.settings.secret)
    return f"/c/{token}"


def ask(room: MailRoom) -> None:
    """Let Ada ask for the newsletter, which wants to be confirmed."""
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=10))
    assert standing(NEWSLETTER, room.store.consent("u:ada")) == "pending"


def stands(room: MailRoom) -> str:
    """Whether Ada gets the newsletter."""
    return standing(NEWSLETTER, room.store.consent("u:ada"))


def heading(answer: Any) -> str:
    """What a page says first."""
    text = answer.get_data(as_text=True)
    check(text)
    [found] = re.findall(r"<h1>(.*?)</h1>", text)
    return html.unescape(found)


# Mail that was asked for


def test_only_the_button_confirms(room: MailRoom, client: Client) -> None:
    """Scanners follow the link, and some of them send what they find in forms without knowing its button."""
    ask(room)
    for answer in (client.get(link(room, "subscribe")), client.post(link(room, "subscribe"), data={})):
        assert heading(answer) == "Please confirm"
        assert "Once a month, about what we make and how." in answer.text
        assert 'name="choice" value="confirm"' in answer.text
    assert client.head(link(room, "subscribe")).status_code == 200
    assert stands(room) == "pending"
    assert room.events() == []


def test_a_confirmed_yes_counts_at_once_and_is_proved(room: MailRoom, client: Client) -> None:
    """The words of the button, from where, and an event that says the same to the pipeline."""
    ask(room)
    answer = client.post(link(room, "subscribe"), data=CONFIRM, headers={"X-Forwarded-For": "192.0.2.7"})
    assert (answer.status_code, heading(answer)) == (200, "Thank you")
    assert stands(room) == "on"
    record = room.store.consent("u:ada", origins=True)[-1]
    assert (record.action, record.source, record.language) == ("confirmed", "confirmation_page", "en")
    assert record.words == "Newsletter. Once a month, about what we make and how. [Yes, send it to me]"
    assert record.origin is not None
    assert record.origin.ip == "192.0.2.7"
    [event] = room.events()
    assert event.event == "Consent Confirmed"
    [told], kept = from_event(event), room.store.consent("u:ada")[-1]
    assert msgspec.structs.replace(told, mailbox=kept.mailbox) == kept
    assert kept.mailbox == address_digest("ada@example.com", room.settings.secret)
    assert b"192.0.2.7" not in msgspec.json.encode(event)


def test_the_second_time_it_was_confirmed_already(room: MailRoom, client: Client) -> None:
    """However often, and after the link has expired as well."""
    ask(room)
    client.post(link(room, "subscribe"), data=CONFIRM)
    again = [client.post(link(room, "subscribe"), data=CONFIRM), client.get(link(room, "subscribe", days=-1))]
    assert [(one.status_code, heading(one)) for one in again] == [(200, "Already confirmed")] * 2
    assert len(room.events()) == 1


def test_a_used_link_brings_nothing_back(room: MailRoom, client: Client) -> None:
    """Confirmed, left, and wanted once more: the new yes needs the new mail."""
    ask(room)
    client.post(link(room, "subscribe"), data=CONFIRM)
    room.consent("u:ada", "newsletter", given=False, at=datetime.now(UTC))
    left = client.post(link(room, "subscribe"), data=CONFIRM)
    assert (left.status_code, heading(left)) == (409, "Nothing to confirm")
    assert stands(room) == "off"
    room.consent("u:ada", "newsletter", given=True, at=datetime.now(UTC))
    assert heading(client.post(link(room, "subscribe"), data=CONFIRM)) == "This link was used"
    assert stands(room) == "pending"
    assert heading(client.post(link(room, "subscribe", send_id="2" * 32), data=CONFIRM)) == "Thank you"
    assert stands(room) == "on"


def test_what_nobody_asked_for_cannot_be_confirmed(room: MailRoom, client: Client) -> None:
    """Nor what was asked for and has been erased since."""
    answer = client.post(link(room, "subscribe"), data=CONFIRM)
    assert (answer.status_code, heading(answer)) == (409, "Nothing to confirm")
    ask(room)
    room.store.erase_person("u:ada")
    assert client.post(link(room, "subscribe"), data=CONFIRM).status_code == 409
    assert room.store.consent("u:ada") == []
    assert room.events() == []


@pytest.mark.parametrize("purpose", ["subscribe", "export", "erase"])
def test_a_link_that_is_too_old_does_nothing_and_shows_a_way_on(
    room: MailRoom, client: Client, purpose: Purpose
) -> None:
    """410: it was ours, and it is over."""
    ask(room)
    path = link(room, purpose, seconds=-1)
    for answer in (client.get(path), client.post(path, data=CONFIRM)):
        assert (answer.status_code, heading(answer)) == (410, "This link is too old")
        [way_on] = re.findall(r'<a href="(/p/[^"]+)"', answer.text)
        assert client.get(way_on).status_code == 200
    assert stands(room) == "pending"
    assert room.store.receipts() == []


@pytest.mark.parametrize("path", ["/c/garbage", "/c/", "/c/{link}x", "/c/{preferences}"])
def test_a_forged_link_is_answered_with_404(room: MailRoom, client: Client, path: str) -> None:
    """And a link to choose is none to confirm."""
    preferences = sign_preferences(Preferences("u:ada", "1" * 32), room.settings.secret)
    path = path.replace("{link}", link(room, "erase").removeprefix("/c/")).replace("{preferences}", preferences)
    assert client.post(path, data=CONFIRM).status_code == 404
    assert room.store.profile("u:ada") is not None


@pytest.mark.parametrize("purpose", ["subscribe", "export", "erase"])
def test_the_link_of_a_real_mail_opens_its_page(room: MailRoom, client: Client, purpose: Purpose) -> None:
    """From the event, by the rule's decision and the mail that was really sent, to the button."""
    ask(room)
    name, said = (
        ("Consent Given", {"category": "newsletter"})
        if purpose == "subscribe"
        else ("Data Requested", {"what": purpose})
    )
    template = "confirm-subscription" if purpose == "subscribe" else "confirm-data-request"
    event = Trigger(name=name, timestamp=ago(minutes=1), properties=msgspec.Raw(json.dumps(said).encode()))
    now = datetime.now(UTC)
    decision = a_decision(kind="transactional", category="account", template=template, event=event, decided_at=now)
    room.push(decision)
    body = room.mail.mails[0].parsed.get_body(("plain",))
    url = confirmation_url(decision, room.settings)
    assert body is not None
    assert url is not None
    assert url in body.get_content()
    answer = client.get(url.removeprefix(room.settings.public_url))
    titles = {"subscribe": "Please confirm", "export": "A copy of your data", "erase": "Erase your data?"}
    assert (answer.status_code, heading(answer)) == (200, titles[purpose])


# A copy


def test_the_copy_is_a_file_that_is_handed_out_once(room: MailRoom, client: Client) -> None:
    """To the mailbox, by the button, with a receipt."""
    assert heading(client.get(link(room, "export"))) == "A copy of your data"
    assert room.store.receipts() == []
    answer = client.post(link(room, "export"), data=CONFIRM)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert re.fullmatch(r'attachment; filename="my-data-[0-9-]{10}\.json"', answer.headers["Content-Disposition"])
    assert answer.headers["Cache-Control"] == "no-store"
    copy = json.loads(answer.data)
    assert copy["profiles"][0]["traits"][0]["value"] == "ada@example.com"
    [receipt] = room.store.receipts()
    assert (receipt.kind, receipt.requested_by, receipt.receipt_id) == ("export", "recipient", copy["receipt_id"])
    for again in (client.post(link(room, "export"), data=CONFIRM), client.get(link(room, "export"))):
        assert (again.status_code, heading(again)) == (200, "Already downloaded")
        assert "ada@example.com" not in again.text
    assert len(room.store.receipts()) == 1


# Erasure


def test_erasure_takes_the_person_away_and_leaves_a_receipt(room: MailRoom, client: Client) -> None:
    """Nothing before the button; afterwards a digest by which the address stays unmailed."""
    assert heading(client.get(link(room, "erase"))) == "Erase your data?"
    assert room.store.profile("u:ada") is not None
    answer = client.post(link(room, "erase"), data=CONFIRM)
    assert (answer.status_code, heading(answer)) == (200, "Your data is erased")
    assert "See all your choices" not in answer.text, "there are none"
    assert room.store.profile("u:ada") is None
    assert room.store.consent("u:ada") == []
    assert room.store.suppression(address_digest("ada@example.com", room.settings.secret)) is not None
    receipts = room.store.receipts(person_digest("u:ada", room.settings.secret))
    assert any(receipt.receipt_id in answer.text for receipt in receipts)
    assert {receipt.requested_by for receipt in receipts} == {"recipient"}


def test_an_erasure_is_not_done_twice_to_somebody_who_came_back(room: MailRoom, client: Client) -> None:
    """The old link has done its work, although it has not expired."""
    client.post(link(room, "erase"), data=CONFIRM)
    room.meet("u:ada", "ada@new.example")
    again = client.post(link(room, "erase"), data=CONFIRM)
    assert (again.status_code, heading(again)) == (200, "Already erased")
    assert room.store.profile("u:ada") is not None


class Pages:
    """Pages of its own on the room's store, with other parts."""

    def __init__(self, room: MailRoom, how: Rights | None = None, publisher: Publisher | None = None) -> None:
        publisher = publisher or room.publisher
        how = how or rights(room.store, publisher, room.settings)
        self._pages = ConfirmationPages(room.settings, room.store, publisher, lambda: datetime.now(UTC), how)
        self._app = flask.Flask("pages")

    def confirm(self, path: str) -> flask.Response:
        """Press the button."""
        with self._app.test_request_context(path, method="POST", data=CONFIRM):
            return self._pages(flask.request)


@pytest.mark.parametrize("purpose", ["export", "erase"])
def test_what_failed_half_way_can_be_asked_for_again(room: MailRoom, purpose: Purpose) -> None:
    """503, and the link still works."""

    def fail(*_: object) -> Any:
        raise StoreError("not now")

    answer = Pages(room, Rights(fail, fail)).confirm(link(room, purpose))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    check(answer.get_data(as_text=True))
    assert Pages(room).confirm(link(room, purpose)).status_code == 200
    assert Pages(room).confirm(link(room, purpose)).get_data(as_text=True).count("Already") >= 1


def test_a_yes_that_could_not_be_told_holds_and_is_told_later(room: MailRoom) -> None:
    """By the next press of the button, under the same messageId."""
    ask(room)
    deaf = Publisher("a-project-without-topics", timeout=1)
    assert Pages(room, publisher=deaf).confirm(link(room, "subscribe")).status_code == 503
    assert stands(room) == "on"
    assert Pages(room).confirm(link(room, "subscribe")).status_code == 200
    assert [event.event for event in room.events()] == ["Consent Confirmed"]


def test_a_yes_counts_although_our_clock_is_behind(room: MailRoom) -> None:
    """It is never older than what it confirms."""
    given = ConsentRecord(
        record_id="given", person="u:ada", category="newsletter", action="given", at=ago(minutes=-3), source="event"
    )
    room.store.record_consent([given])
    assert Pages(room).confirm(link(room, "subscribe")).status_code == 200
    assert stands(room) == "on"
    assert room.store.consent("u:ada")[-1].at >= given.at


def test_no_log_line_says_who_it_was(room: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    """What was confirmed is counted, and nobody is named."""
    caplog.set_level(logging.DEBUG)
    ask(room)
    for number, purpose in enumerate(("subscribe", "export", "erase")):
        Pages(room).confirm(link(room, purpose, f"{number}" * 32))
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    said = " ".join(f"{record.getMessage()} {getattr(record, 'labels', '')}" for record in ours)
    assert len(ours) == 3
    for secret in ("u:ada", "ada@", "1" * 32, "2" * 32, link(room, "erase").removeprefix("/c/")):
        assert secret not in said
