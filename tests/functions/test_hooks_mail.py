"""Mail that comes in: bounces, unsubscriptions, automatic answers, and letters by people."""

import logging

import pytest

from tests.functions.desk import ADDRESS, Desk, a_sent_mail, counted, feedback, suppressed
from tests.functions.mail_room import DEAD_LETTERS, EVENTS, MailRoom, ago
from tests.webhooks.requests import POSTMARK_KEY, basic
from tidings.permission.consent import permission
from tidings.tokens import sign_unsubscribe, unsubscribe_subject
from tidings.wire.decisions import Decision


def bounce(decision: Decision, status: str = "5.1.1") -> bytes:
    """What a mail server says of a mail to Ada."""
    return (
        f"Return-Path: <>\r\nTo: bounces+{decision.send_id}@mail.shop.example\r\n"
        "From: MAILER-DAEMON@mx.example.com\r\nMessage-Id: <bounce.1@mx.example.com>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n"
        f"Final-Recipient: rfc822; {ADDRESS}\r\nAction: failed\r\nStatus: {status}\r\n\r\n--b--\r\n"
    ).encode()


def test_a_bounce_mail_is_a_report_like_any_other(desk: Desk, room: MailRoom) -> None:
    sent = a_sent_mail(room, provider="smtp")
    assert [desk.mail_in(bounce(sent)) for _ in range(2)] == [200, 200]
    assert suppressed(room) == "bounced"
    assert [(one.kind, one.source) for one in feedback(room, sent)] == [("bounced", "smtp")]
    assert [event.event for event in room.events()] == ["Email Bounced"]
    assert counted(room, "smtp", desk.now) == {"hard_bounced": 1}


@pytest.mark.parametrize("status", ["4.7.1", "5.7.1", "5.2.2", "5.1.8", "5.0.0"])
def test_a_bounce_mail_about_anything_but_the_mailbox_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, status: str
) -> None:
    assert desk.mail_in(bounce(sent, status)) == 200
    assert [one.detail["permanent"] for one in feedback(room, sent)] == [False]
    assert suppressed(room) is None


@pytest.mark.parametrize("plus", ["%2B", "+"])
def test_a_bounce_in_no_known_format_is_kept_and_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, plus: str
) -> None:
    """A shell script may well forget to quote the plus."""
    odd = b"From: MAILER-DAEMON@mx.example.com\r\n\r\nSorry, no such user: ada@example.com\r\n"
    assert desk.mail_in(odd, to=f"bounces{plus}{sent.send_id}@mail.shop.example") == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail) == ("bounced", {})
    assert suppressed(room) is None


def test_a_mail_that_unsubscribes_unsubscribes(desk: Desk, room: MailRoom, sent: Decision) -> None:
    token = sign_unsubscribe("u:ada", "reminders", sent.send_id, room.settings.secret)
    mail = f"From: {ADDRESS}\r\nSubject: Re: {unsubscribe_subject(token)}\r\n\r\n".encode()
    assert [desk.mail_in(mail) for _ in range(2)] == [200, 200]
    records = room.store.consent("u:ada")
    assert permission("marketing", "reminders", records) == "opted_out"
    assert permission("marketing", "cart", records) is None  # it names the category of its mail, and no other one
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["source"]) == ("Unsubscribed", "mailto")
    assert room.dead_letters() == []


def test_a_mail_that_unsubscribes_brings_nobody_back_who_was_erased(desk: Desk, room: MailRoom, sent: Decision) -> None:
    token = sign_unsubscribe("u:ada", "reminders", sent.send_id, room.settings.secret)
    room.forget("u:ada", at=ago(minutes=0))
    assert desk.mail_in(f"From: {ADDRESS}\r\nSubject: {unsubscribe_subject(token)}\r\n\r\n".encode()) == 200
    assert room.store.consent("u:ada") == []
    assert room.events() == room.dead_letters() == []


def test_a_mail_with_a_forged_token_changes_nothing_and_is_kept(desk: Desk, room: MailRoom) -> None:
    token = sign_unsubscribe("u:ada", "reminders", "", "another secret of the right length")
    mail = f"From: {ADDRESS}\r\nSubject: {unsubscribe_subject(token)}\r\n\r\n".encode()
    assert desk.mail_in(mail) == 200
    assert permission("marketing", "reminders", room.store.consent("u:ada")) is None
    assert [letter.reason for letter in room.dead_letters()] == ["unknown_mail"]


def test_an_automatic_answer_is_counted_and_forgotten(
    desk: Desk, room: MailRoom, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert desk.mail_in(b"From: ada@example.com\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n") == 200
    assert (room.messages(EVENTS), room.messages(DEAD_LETTERS)) == ([], [])
    assert caplog.records[-1].__dict__["counts"] == {"automatic": 1}


def test_a_mail_from_a_person_is_kept_whole(desk: Desk, room: MailRoom) -> None:
    """Somebody may want to read it; nothing here does."""
    mail = b"From: ada@example.com\r\nSubject: Green?\r\n\r\nDo you have it in green?\r\n"
    assert desk.mail_in(mail) == 200
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.data) == ("hooks", "unknown_mail", mail)
    assert letter.attributes == {}


def test_mail_that_nobody_understands_is_kept_with_the_address_that_it_came_to(
    desk: Desk, room: MailRoom, sent: Decision
) -> None:
    """It says which mail it is about, should somebody understand it later."""
    to = f"bounces+{sent.send_id}@mail.shop.example"
    mail = b"From: ada@example.com\r\nSubject: Green?\r\n\r\nIn green?\r\n"
    assert desk.mail_in(mail, to.replace("+", "%2B")) == 200
    (letter,) = room.dead_letters()
    assert (letter.reason, letter.attributes) == ("unknown_mail", {"to": to})


def test_mail_is_taken_from_our_own_mail_server_only(desk: Desk, room: MailRoom, sent: Decision) -> None:
    response = desk.post("/hooks/inbound", bounce(sent), {"Authorization": basic(POSTMARK_KEY)})
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Basic realm="webhooks"')
    assert suppressed(room) is None
