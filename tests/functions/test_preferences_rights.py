"""A copy, erasure, and people whose addresses are not mailed or who are gone, in the preference centre."""

import re

import pytest
from werkzeug.test import Client

from tests.functions.accessibility import check
from tests.functions.choosing import boxes, link, notices
from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings.permission.consent import address_digest

# A copy, and erasure


@pytest.mark.parametrize("what", ["export", "erase"])
def test_data_is_asked_for_and_nothing_more(room: MailRoom, client: Client, what: str) -> None:
    """A rule then sends a mail to the address on file: a forwarded link can do no more, and that once an hour."""
    for _ in range(3):
        page = client.post(link(room), data={"choice": what})
        assert page.status_code == 200
    assert "Please look into your mailbox, a•••@e•••.com" in notices(page)
    check(page.text)
    events = room.events()
    assert len({event.message_id for event in events}) == 1
    assert (events[0].person, events[0].event) == ("u:ada", "Data Requested")
    assert events[0].objects["properties"] == {
        "what": what,
        "email_id": a_decision().send_id,
        "source": "preferences_page",
    }
    assert len(room.store.consent("u:ada")) == 1
    assert room.store.profile("u:ada") is not None


def test_the_two_requests_are_two_events(room: MailRoom, client: Client) -> None:
    """Each has a mail of its own."""
    for what in ("export", "erase"):
        client.post(link(room), data={"choice": what})
    assert len({event.message_id for event in room.events()}) == 2


def test_without_an_address_nothing_can_be_asked_for_by_mail(room: MailRoom, client: Client) -> None:
    """The page says whom to write to instead."""
    path = link(room, "a:visitor")
    page = client.get(path)
    assert 'value="export"' not in page.text
    assert '<a href="mailto:hello@shop.example">' in page.text
    check(page.text)
    assert client.post(path, data={"choice": "erase"}).status_code == 409
    assert room.events() == []


# Addresses that are not mailed, and people who are gone


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("bounced", "there is no such mailbox"),
        ("550 5.1.1 no such user", "there is no such mailbox"),
        ("the mail server says: RCPT 550 5.1.1", "there is no such mailbox"),
        ("complained", "reported as spam"),
        ("erased", "its data was erased"),
        ("requested", "we were asked not to write there"),
        ("asked by phone, 5.1.1 times", "we were asked not to write there"),
    ],
)
def test_an_address_that_is_not_mailed_is_told_why(room: MailRoom, client: Client, reason: str, words: str) -> None:
    """Whatever is ticked; and never in the words of a mail server, which may hold the address."""
    room.store.suppress(address_digest("ada@example.com", room.settings.secret), reason, ago(days=3))
    page = client.get(link(room))
    [said] = re.findall(r'<div class="warn" role="note">(.*?)</div>', page.text, re.DOTALL)
    assert words in said
    assert f"{ago(days=3):%-d %B %Y}" in said
    assert "hello@shop.example" in said
    assert "5.1.1" not in page.text
    assert 'value="export"' not in page.text
    check(page.text)


def test_who_was_erased_finds_nothing_and_brings_nothing_back(room: MailRoom, client: Client) -> None:
    """The link in an old mail works for ever."""
    path = link(room)
    room.forget("u:ada", at=ago(days=1))
    page = client.get(path)
    assert "We keep nothing about you" in page.text
    assert f"{ago(days=1):%-d %B %Y}" in page.text
    check(page.text)
    for form in ({"choice": "export"}, {"choice": "none"}, {"choice": "save", "was": "off:offers", "want": "offers"}):
        assert "We keep nothing about you" in client.post(path, data=form, headers={"Sec-GPC": "1"}).text
    assert room.store.consent("u:ada") == []
    assert room.events() == []
    room.meet("u:ada", "ada@example.com")
    assert boxes(client.get(path))["offers"] is True
