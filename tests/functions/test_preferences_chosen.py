"""What is chosen in the preference centre, and what every choice comes to."""

import re
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client

from tests.functions.accessibility import check
from tests.functions.choosing import PHONE, boxes, link, may, notices, save, value
from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings.permission.consent import SALE_AND_SHARING, TRACKING, from_event, permission

# Choosing


def test_a_tick_that_is_taken_away_ends_one_kind_before_the_next_mail(room: MailRoom, client: Client) -> None:
    """With the proof of what was shown, by whom, and from where."""
    page = save(client, link(room), off=("reminders",), **PHONE)
    assert notices(page) == "Saved. It holds from the next mail on. Switched off: Unfinished forms."
    assert boxes(page)["reminders"] is False
    decision = a_decision()
    room.push(decision)
    assert room.ending(decision) == ("suppressed", "opted_out", "")
    record = room.store.consent("u:ada", origins=True)[-1]
    assert (record.category, record.action, record.source, record.language) == (
        "reminders",
        "withdrawn",
        "preferences_page",
        "en",
    )
    assert record.words == "[ ] Unfinished forms. When you began something and were interrupted. [Save my choices]"
    assert record.words_version
    assert record.origin is not None
    assert (record.origin.ip, record.origin.user_agent) == ("192.0.2.7", "Mozilla/5.0 (iPhone)")


def test_the_event_says_the_same_as_the_record_and_no_address(room: MailRoom, client: Client) -> None:
    """The pipeline makes the same record of it; where the request came from is kept for a shorter time than events."""
    save(client, link(room), on=("newsletter",), off=("reminders", TRACKING), **PHONE)
    events = room.events()
    assert [event.event for event in events] == ["Consent Given", "Unsubscribed", "Consent Withdrawn"]
    made = [record for event in events for record in from_event(event)]
    assert sorted(made, key=lambda one: one.record_id) == sorted(
        room.store.consent("u:ada")[1:], key=lambda one: one.record_id
    )
    assert not any(
        b"192.0.2" in msgspec.json.encode(event) or b"iPhone" in msgspec.json.encode(event) for event in events
    )


def test_saving_what_is_so_says_nothing(room: MailRoom, client: Client) -> None:
    """Nobody agrees by pressing a button twice."""
    assert notices(save(client, link(room))) == "Your choices were already saved like this."
    assert len(room.store.consent("u:ada")) == 1
    assert room.events() == []


def test_a_page_that_lay_open_takes_nothing_back(room: MailRoom, client: Client) -> None:
    """Opened in the morning, left by one click at noon, saved in the evening with another change."""
    path = link(room)
    page = client.get(path)
    room.consent("u:ada", "offers", given=False, at=ago(minutes=0))
    form: dict[str, Any] = {
        "choice": "save",
        "version": re.findall(r'name="version" value="([0-9a-f]+)"', page.text)[0],
        "was": re.findall(r'name="was" value="([^"]*)"', page.text),
        "want": [kind for kind, ticked in boxes(page).items() if ticked and kind != "cart"],
    }
    client.post(path, data=form)
    assert (may(room, "offers"), may(room, "cart"), may(room, "news")) == (False, False, True)


def test_a_yes_needs_the_words_that_are_shown_now_and_a_no_does_not(room: MailRoom, client: Client) -> None:
    """Somebody has rewritten the page meanwhile: the no holds, the yes is asked for again."""
    form = {"choice": "save", "version": "another", "was": ["on:offers", "off:newsletter"], "want": ["newsletter"]}
    page = client.post(link(room), data=form)
    assert page.status_code == 409
    assert "look at the rest once more" in page.text
    assert (may(room, "offers"), boxes(page)["newsletter"]) == (False, False)
    check(page.text)


def test_a_form_of_which_a_part_is_missing_switches_nothing_on(room: MailRoom, client: Client) -> None:
    """What was cut off is not what somebody has unticked, nor all that they read."""
    [version] = re.findall(r'name="version" value="([0-9a-f]+)"', client.get(link(room)).text)
    room.consent("u:ada", "cart", given=False, at=ago(minutes=30))
    form = {"choice": "save", "version": version, "was": ["off:cart", "on:offers"], "want": ["cart"]}
    assert client.post(link(room), data=form).status_code == 409
    assert not may(room, "cart")
    assert not may(room, "offers")


def test_one_button_stops_everything_and_what_comes_later(room: MailRoom, client: Client) -> None:
    """The general no, of which each kind is shown as off."""
    room.consent("u:ada", "cart", given=True, at=ago(minutes=30))
    page = client.post(link(room), data={"choice": "none"})
    assert "no more marketing email" in notices(page)
    assert not any(ticked for kind, ticked in boxes(page).items() if kind != TRACKING)
    assert "You have stopped all of it." in page.text
    assert not any(may(room, kind) for kind in ("cart", "offers", "begun later"))
    record = room.store.consent("u:ada")[-1]
    assert (record.category, record.words) == ("marketing", "Stop all marketing email")


def test_one_kind_can_be_wanted_after_everything_was_stopped(room: MailRoom, client: Client) -> None:
    """It is then sent, and nothing else; and everything can be stopped again."""
    for _ in range(2):
        client.post(link(room), data={"choice": "none"})
        page = save(client, link(room), on=("offers",))
        assert [kind for kind, ticked in boxes(page).items() if ticked] == ["offers", TRACKING]
        assert [kind for kind in ("cart", "offers", "begun later") if may(room, kind)] == ["offers"]
    assert [event.event for event in room.events()] == ["Unsubscribed", "Consent Given"] * 2


def test_what_is_not_listed_can_be_left_and_the_rest_kept(room: MailRoom, client: Client) -> None:
    """`Anything else` speaks for kinds that nobody has thought of yet."""
    save(client, link(room), off=("marketing",))
    assert (may(room, "offers"), may(room, "begun later")) == (True, False)
    save(client, link(room), on=("marketing",), off=("offers",))
    assert (may(room, "offers"), may(room, "begun later")) == (False, True)


def test_a_kind_that_asks_for_a_confirmation_waits_for_it(room: MailRoom, client: Client) -> None:
    """It is recorded as given, told, so that a rule can send the mail, and not sent."""
    page = save(client, link(room), on=("newsletter",))
    assert "Newsletter: please confirm in the mail that we send to a•••@e•••.com, three a day at most." in notices(page)
    assert "This waits for you to confirm it" in page.text
    [event] = room.events()
    assert (event.event, event.objects["properties"]["category"]) == ("Consent Given", "newsletter")
    records = room.store.consent("u:ada")
    assert permission("marketing", "newsletter", records, double_opt_in=True) == "no_consent"
    assert notices(save(client, link(room))) == "Your choices were already saved like this."


def test_opens_and_clicks_can_be_switched_off_without_leaving_anything(room: MailRoom, client: Client) -> None:
    """It is no mail: the event is not `Unsubscribed`."""
    page = save(client, link(room), off=(TRACKING,))
    assert boxes(page)[TRACKING] is False
    assert may(room, "offers")
    assert [event.event for event in room.events()] == ["Consent Withdrawn"]


@pytest.mark.parametrize("form", [{}, {"choice": ""}, {"choice": "everything"}, {"List-Unsubscribe": "One-Click"}])
def test_a_form_that_is_not_ours_changes_nothing(room: MailRoom, client: Client, form: dict[str, str]) -> None:
    """400, with what to do; the link of this page is not the one of the header."""
    page = client.post(link(room), data=form)
    assert page.status_code == 400
    assert '<div class="error" role="alert">' in page.text
    assert "<title>Error: " in page.text
    check(page.text)
    assert len(room.store.consent("u:ada")) == 1


@pytest.mark.parametrize(
    "category", ["two\nlines", "\rodd", " a ", "nul\0", "on:off", "x" * 3000, '" onfocus="alert(1)']
)
def test_a_kind_of_any_name_can_be_left_and_wanted_again(room: MailRoom, client: Client, category: str) -> None:
    """Events name what they like, and browsers change what stands in a form."""
    room.consent("u:ada", category, given=True, at=ago(minutes=30))
    assert save(client, link(room), off=(value(category),)).status_code == 200
    assert not may(room, category)
    assert save(client, link(room), on=(value(category),)).status_code == 200
    assert may(room, category)


def test_of_two_hundred_kinds_one_can_be_left(room: MailRoom, client: Client) -> None:
    for number in range(200):
        room.consent("u:ada", f"a-kind-of-mail-with-a-rather-long-name-{number}", given=True, at=ago(minutes=30))
    left = "a-kind-of-mail-with-a-rather-long-name-7"
    assert save(client, link(room), off=(left,)).status_code == 200
    assert not may(room, left)
    assert may(room, left.replace("7", "8"))


def test_kinds_that_were_not_offered_cannot_be_chosen(room: MailRoom, client: Client) -> None:
    """Nobody fills the proof of consent with inventions."""
    form = {"choice": "save", "version": "x", "was": ["on:invented", "on:u:ada"], "want": ["made-up", SALE_AND_SHARING]}
    assert client.post(link(room), data=form).status_code == 409
    assert len(room.store.consent("u:ada")) == 1


# Global Privacy Control


def test_a_browser_that_objects_to_sale_and_sharing_is_taken_at_its_word_once(room: MailRoom, client: Client) -> None:
    """The signal is the request; no button is needed, and mail goes on."""
    assert client.head(link(room), headers={"Sec-GPC": "1"}).status_code == 200
    assert len(room.store.consent("u:ada")) == 1
    for _ in range(3):
        page = client.get(link(room), headers={"Sec-GPC": "1", **PHONE})
    assert "Global Privacy Control). That is noted since" in page.text
    [record] = room.store.consent("u:ada")[1:]
    assert (record.category, record.action, record.source) == (SALE_AND_SHARING, "withdrawn", "gpc")
    assert [event.event for event in room.events()] == ["Consent Withdrawn"]
    assert may(room, "offers")
    assert client.get(link(room), headers={"Sec-GPC": "0"}).status_code == 200
    assert len(room.store.consent("u:ada")) == 2
