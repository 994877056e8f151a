"""One click in the mail program (RFC 8058), and the event that tells of it."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from tests.functions.leaving import ONE_CLICK, link, refusal
from tests.functions.mail_room import EVENTS, MailRoom
from tests.sends import a_decision
from tidings.permission.consent import from_event
from tidings.wire.events import SCHEMA

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
