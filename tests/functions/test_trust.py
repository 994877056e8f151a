"""Whoever names an address for somebody else's id gets their mail for a while, and neither their data nor its end."""

from datetime import UTC, datetime

import msgspec
import pytest
from werkzeug.test import Client, TestResponse

from tests.functions.accessibility import check
from tests.functions.choosing import boxes, may, save
from tests.functions.choosing import link as choices_page
from tests.functions.mail_room import MailRoom, ago
from tests.functions.test_confirmation import CONFIRM, heading
from tests.functions.test_confirmation import link as confirmation
from tests.people import an_event
from tests.sends import a_decision
from tidings.deciding.bookkeeping import News
from tidings.mailing.links import confirmation_url
from tidings.permission.categories import load
from tidings.permission.choices import standing
from tidings.tokens import Purpose
from tidings.wire.decisions import Trigger

DATA: list[Purpose] = ["export", "erase"]


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function."""
    return room.client("engage")


def identify(room: MailRoom, email: str, *, received: datetime | None = None, claimed: datetime | None = None) -> None:
    """What anybody may send who has read the write key in the page: an address for Ada's id."""
    received = received or datetime.now(UTC)
    event = an_event("", claimed or received, type="identify", user_id="ada", traits={"email": email})
    news = News()
    news.note(msgspec.structs.replace(event, received_at=received))
    news.write(room.store)


def asked_by_mail(room: MailRoom, what: Purpose) -> str:
    """Let a mail go out that confirms it, as its rule decides on `Data Requested`; returns the path in it."""
    said = msgspec.Raw(msgspec.json.encode({"what": what}))
    event = Trigger(name="Data Requested", timestamp=ago(minutes=1), properties=said)
    decision = a_decision(
        kind="transactional", category="account", template="confirm-data-request", event=event,
        decided_at=datetime.now(UTC), send_id=f"{what:0<32}".encode().hex()[:32],
    )  # fmt: skip
    assert room.push(decision) == 204
    url = confirmation_url(decision, room.settings)
    assert url is not None
    return url.removeprefix(room.settings.public_url)


def untouched(room: MailRoom) -> bool:
    """Whether nothing was handed out or erased."""
    return room.store.profile("u:ada") is not None and room.store.receipts() == []


def says(page: TestResponse, words: str) -> bool:
    check(page.text)
    return words in " ".join(page.text.split())


@pytest.mark.parametrize("claimed", [None, ago(days=700)])
@pytest.mark.parametrize("what", DATA)
def test_a_stranger_gets_neither_the_data_nor_its_end(
    room: MailRoom, client: Client, what: Purpose, claimed: datetime | None
) -> None:
    """Nor with a forged time, where there was no address before: the page refuses, and so does the link of a mail."""
    if claimed:
        room.store.erase_person("u:ada")
    identify(room, "mallory@example.com", claimed=claimed)
    page = client.post(choices_page(room), data={"choice": what})
    assert page.status_code == 409
    assert says(page, "giving an address of their own")
    assert room.events() == []
    path = asked_by_mail(room, what)
    assert room.mail.mails[-1].recipients == ["mallory@example.com"]
    for answer in (client.get(path), client.post(path, data=CONFIRM)):
        assert (answer.status_code, heading(answer)) == (409, "Not yet")
    assert untouched(room)


def test_the_page_says_from_when_on_and_whom_to_write_to_until_then(room: MailRoom, client: Client) -> None:
    room.meet("u:bob", "bob@example.com", days=2)
    page = client.get(choices_page(room, "u:bob"))
    assert 'value="export"' not in page.text
    assert says(page, f"you can ask for a copy or for erasure here from {ago(days=-6):%-d %B %Y} on.")
    assert says(page, '<a href="mailto:hello@shop.example">')


@pytest.mark.parametrize("what", DATA)
def test_who_really_changed_their_address_can_ask_a_week_later(room: MailRoom, client: Client, what: Purpose) -> None:
    identify(room, "ada@new.example", received=ago(days=8, hours=1))
    assert client.post(choices_page(room), data={"choice": what}).status_code == 200
    assert client.post(asked_by_mail(room, what), data=CONFIRM).status_code == 200
    assert len(room.store.receipts()) >= 1


@pytest.mark.parametrize("what", DATA)
def test_the_mailbox_of_an_earlier_address_has_no_say_any_more(room: MailRoom, client: Client, what: Purpose) -> None:
    """The mail was on its way, or lay there, when the address changed; even when the new one is trusted by now."""
    path = asked_by_mail(room, what)
    identify(room, "ada@new.example", received=ago(days=8, hours=1), claimed=ago(minutes=1))
    for answer in (client.get(path), client.post(path, data=CONFIRM)):
        assert (answer.status_code, heading(answer)) == (409, "The address has changed")
    assert untouched(room)
    assert client.post(choices_page(room), data={"choice": what}).status_code == 200, "the new one may ask anew"


def test_a_subscription_is_confirmed_by_the_mailbox_that_will_get_it(room: MailRoom, client: Client) -> None:
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=10))
    path = confirmation(room, "subscribe")
    identify(room, "ada@new.example")
    answer = client.post(path, data=CONFIRM)
    assert (answer.status_code, heading(answer)) == (409, "The address has changed")
    assert standing(load()["newsletter"], room.store.consent("u:ada")) == "pending"


def test_what_one_mailbox_has_confirmed_is_no_word_of_another(room: MailRoom, client: Client) -> None:
    """Or a stranger confirms at home, and then gives the address of somebody who never asked for it."""
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=10))
    mails = [a_decision(category="newsletter", episode=one, decided_at=datetime.now(UTC)) for one in ("1", "2", "3")]
    path = confirmation(room, "subscribe")
    assert heading(client.post(path, data=CONFIRM)) == "Thank you"
    room.push(mails[0])
    identify(room, "victim@example.com")
    room.push(mails[1])
    assert [room.ending(one)[:2] for one in mails[:2]] == [("sent", None), ("suppressed", "no_consent")]
    page = client.get(choices_page(room))
    assert boxes(page)["newsletter"]
    assert says(page, "This waits for you to confirm it")
    for answer in (client.get(path), client.post(path, data=CONFIRM)):
        assert heading(answer) == "The address has changed"
    assert heading(client.post(confirmation(room, "subscribe", "2" * 32), data=CONFIRM)) == "Thank you"
    room.push(mails[2])
    assert room.mail.mails[-1].recipients == ["victim@example.com"]
    identify(room, "ada@example.com")
    page = client.get(choices_page(room))
    assert not says(page, "This waits for you to confirm it"), "she has confirmed at this one"


def test_who_waits_for_a_confirmation_gets_another_mail_as_the_page_says(room: MailRoom, client: Client) -> None:
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=10))
    save(client, choices_page(room), off=("newsletter",))
    save(client, choices_page(room), on=("newsletter",))
    assert [event.event for event in room.events()] == ["Unsubscribed", "Consent Given"]


def test_the_links_of_earlier_mail_go_on_to_serve_for_what_can_be_taken_back(room: MailRoom, client: Client) -> None:
    page = choices_page(room)
    identify(room, "ada@new.example")
    assert client.post(page, data={"choice": "none"}).status_code == 200
    assert not may(room, "offers")


def test_an_erasure_that_broke_off_is_completed_by_its_link(room: MailRoom, client: Client) -> None:
    """Its own mail is gone from the ledger before the profile is."""
    path = confirmation(room, "erase")
    room.store.erase_person("u:ada")
    room.meet("u:ada", "ada@example.com")
    assert heading(client.post(path, data=CONFIRM)) == "Your data is erased"
    assert room.store.profile("u:ada") is None
