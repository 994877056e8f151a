"""Mail that comes back is told apart: bounces of every make, complaints, wishes to leave, automatic answers, people."""

import email.message
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidings.tokens import sign_unsubscribe, unsubscribe_subject
from tidings.webhooks.inbound_mail import READ_BYTES, Inbound, read

MAILS = Path(__file__).parent.parent / "webhooks" / "mails"
SEND_ID = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 3, 3, tzinfo=UTC)
NAMES = sorted(path.stem for path in MAILS.glob("*.eml"))
TOKEN = sign_unsubscribe("u:ada", "reminders", SEND_ID, "a secret of the right length")


def mail(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


def a_mail(**headers: str) -> bytes:
    """A mail with these headers (`_` for `-`)."""
    message = email.message.Message()
    for name, value in {"From": "Ada <ada@example.com>", "To": "hello@shop.example", **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_payload("Hello")
    return message.as_bytes()


BOUNCES = [
    ("postfix", "bounced", "dead_address", "5.1.1", "ada@example.com"),
    ("postfix-delayed", "deferred", "temporary", "4.4.1", "ada@example.com"),
    ("exim", "bounced", "dead_address", "5.1.1", "ada@example.com"),
    ("exim-mailbox-full", "bounced", "refused", "5.0.0", ""),
    ("exim-old", "bounced", None, "", ""),
    ("google", "bounced", "dead_address", "5.1.1", "ada@example.com"),
    ("google-spam", "bounced", "refused", "5.0.0", "ada@example.com"),
    ("office365", "bounced", "dead_address", "5.1.10", "ada@example.com"),
    ("office365-policy", "bounced", "refused", "5.7.124", "ada@example.com"),
    ("sendmail", "bounced", "address", "5.2.2", "ada@example.com"),
    ("yahoo", "bounced", None, "", ""),
]


@pytest.mark.parametrize(("name", "kind", "verdict", "status", "recipient"), BOUNCES)
def test_a_bounce_of_every_make_is_understood(name: str, kind: str, verdict: str, status: str, recipient: str) -> None:
    found = read(mail(name), NOW)
    (report,) = found.reports
    assert (found.sort, report.provider, report.send_id) == ("bounce", "smtp", SEND_ID)
    assert (report.kind, report.verdict, report.status, report.recipient) == (kind, verdict, status, recipient)


@pytest.mark.parametrize("name", ["exim-old", "yahoo"])
def test_a_bounce_in_no_known_format_is_known_by_its_address_and_says_nothing_of_the_mailbox(name: str) -> None:
    """So it can never suppress anything."""
    (report,) = read(mail(name), NOW).reports
    assert "permanent" not in report.feedback("u:ada", NOW).detail


@pytest.mark.parametrize("name", [name for name, *_ in BOUNCES if name not in {"yahoo", "exim-old"}])
def test_without_the_address_it_came_to_the_returned_mail_says_which_it_was(name: str) -> None:
    """Some servers rewrite what comes before the @."""
    found = read(mail(name).replace(f"bounces+{SEND_ID}@".encode(), b"bounces@"), NOW)
    returns_mail = f"<{SEND_ID}@shop.example>".encode() in mail(name)
    assert [one.send_id for one in found.reports] == [SEND_ID if returns_mail else ""]


def test_the_mail_server_may_say_beside_the_mail_whom_it_was_for() -> None:
    bare = mail("yahoo").replace(SEND_ID.encode(), b"x")
    (report,) = read(bare, NOW, addressed=f"bounces+{SEND_ID}@mail.shop.example").reports
    assert report.send_id == SEND_ID


def test_a_bounce_of_which_nobody_knows_what_it_is_about_is_left_to_a_person() -> None:
    """Or what only looks like one: a postmaster may write to us as well."""
    assert read(mail("yahoo").replace(SEND_ID.encode(), b"x"), NOW) == Inbound("unknown")
    assert read(a_mail(From="postmaster@example.com", Return_Path="<>"), NOW) == Inbound("unknown")


@pytest.mark.parametrize(
    "header", ["X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "X-Forwarded-To", "To"]
)
def test_the_mail_server_may_say_in_any_of_these_headers_whom_it_was_for(header: str) -> None:
    raw = f"From: mailer-daemon@mx.example\r\n{header}: <bounces+{SEND_ID}@shop.example>\r\n\r\nSorry\r\n"
    assert [one.send_id for one in read(raw.encode(), NOW).reports] == [SEND_ID]


@pytest.mark.parametrize("header", ["In-Reply-To", "References"])
def test_a_bounce_that_returns_nothing_answers_a_mail(header: str) -> None:
    """As Google's do."""
    raw = f"From: mailer-daemon@mx.example\r\n{header}: <x@y.example> <{SEND_ID}@shop.example>\r\n\r\nSorry\r\n"
    assert [one.send_id for one in read(raw.encode(), NOW).reports] == [SEND_ID]


@pytest.mark.parametrize(
    ("name", "sort", "kinds"),
    [
        ("arf-abuse", "complaint", ["complained"]),
        ("arf-redacted", "complaint", ["complained"]),
        ("arf-opt-out", "complaint", ["unsubscribed"]),
        ("arf-not-spam", "automatic", []),
        ("arf-auth-failure", "automatic", []),
    ],
)
def test_a_complaint_is_known_by_the_mail_that_it_returns(name: str, sort: str, kinds: list[str]) -> None:
    """The complainer's address is often taken out."""
    found = read(mail(name), NOW)
    assert found.sort == sort
    assert [(one.kind, one.send_id) for one in found.reports] == [(kind, SEND_ID) for kind in kinds]


@pytest.mark.parametrize("name", ["vacation", "vacation-exchange"])
def test_an_automatic_answer_is_no_bounce(name: str) -> None:
    assert read(mail(name), NOW) == Inbound("automatic")


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-generated"},
        {"Return_Path": "<>"},
        {"X_Autoreply": "yes"},
        {"Precedence": "auto_reply"},
    ],
)
def test_an_automatic_answer_is_known_by_any_of_its_marks(headers: dict[str, str]) -> None:
    assert read(a_mail(**headers), NOW).sort == "automatic"


def test_a_person_is_not_read_any_further() -> None:
    assert read(mail("a-person"), NOW) == Inbound("unknown")
    assert read(a_mail(Auto_Submitted="no"), NOW).sort == "unknown"


@pytest.mark.parametrize("prefix", ["", "Re: ", "RE: ", "AW: Re: "])
def test_a_mail_unsubscribes_by_its_subject(prefix: str) -> None:
    assert read(a_mail(Subject=prefix + unsubscribe_subject(TOKEN)), NOW) == Inbound("unsubscribe", token=TOKEN)


def test_apples_mail_unsubscribes_with_what_looks_like_an_automatic_answer() -> None:
    """It marks the mail as `auto-replied`, and the mail is still the person's word."""
    found = read(
        a_mail(Subject=unsubscribe_subject(TOKEN), Auto_Submitted="auto-replied", X_Apple_Unsubscribe="true"), NOW
    )
    assert found.token == TOKEN


def test_a_subject_that_was_encoded_or_folded_unsubscribes_too() -> None:
    for subject in (
        f"=?utf-8?q?{unsubscribe_subject(TOKEN).replace('_', '=5F')}?=",
        f"Re:\r\n {unsubscribe_subject(TOKEN)}",
    ):
        raw = f"From: ada@example.com\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
        assert read(raw, NOW).token == TOKEN


def test_an_address_in_angle_brackets_is_the_same_address() -> None:
    """RFC 3464 wants none, and some servers write them; with them it would seem to be somebody else's."""
    bracketed = re.sub(rb"(?im)^((?:Final|Original)-Recipient: *rfc822; *)(\S+)", rb"\1<\2>", mail("postfix"))
    assert b"rfc822; <" in bracketed or b"rfc822;<" in bracketed
    assert read(bracketed, NOW).reports[0].recipient == read(mail("postfix"), NOW).reports[0].recipient


def test_a_mail_that_was_passed_on_failed_where_it_was_passed_on_to() -> None:
    """So the address that we wrote to, which servers call the original recipient, is not the dead one."""
    passed_on = mail("postfix").replace(
        b"Final-Recipient: rfc822; ada@example.com", b"Final-Recipient: rfc822; x@y.example"
    )
    assert b"Original-Recipient: rfc822;ada@example.com" in passed_on
    assert [one.recipient for one in read(passed_on, NOW).reports] == ["x@y.example"]


def test_where_the_final_recipient_is_no_address_the_original_one_counts() -> None:
    local = mail("postfix").replace(b"Final-Recipient: rfc822; ada@example.com", b"Final-Recipient: LOCAL;<>")
    assert [one.recipient for one in read(local, NOW).reports] == ["ada@example.com"]


@pytest.mark.parametrize(
    "subject",
    [
        "Warning: message 1aBcDe-000001-Ab delayed 24 hours",
        "Delivery Status Notification (Delay)",
        "=?utf-8?q?Delayed_Mail?=",
    ],
)
def test_a_warning_in_no_known_format_is_no_bounce(subject: str) -> None:
    """The mail is still on its way, and old Exim and Gmail say so in words alone."""
    warning = a_mail(From="Mailer-Daemon@mx.example", To=f"bounces+{SEND_ID}@shop.example", Subject=subject)
    (report,) = read(warning, NOW).reports
    assert (report.kind, report.verdict, report.send_id) == ("deferred", "temporary", SEND_ID)


def test_a_bounce_of_two_recipients_is_two_reports() -> None:
    """As a mail that was passed on to several can cause it."""
    block = b"Final-Recipient: rfc822; other@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    both = mail("postfix").replace(b"Final-Recipient: rfc822; ada", block + b"Final-Recipient: rfc822; ada")
    reports = read(both, NOW).reports
    assert [one.recipient for one in reports] == ["other@example.org", "ada@example.com"]
    assert len({one.feedback_id for one in reports}) == 2


def test_what_a_server_has_delivered_after_all_is_no_bounce() -> None:
    (report,) = read(
        mail("postfix").replace(b"Action: failed", b"Action: delivered").replace(b"5.1.1", b"2.0.0"), NOW
    ).reports
    assert (report.kind, report.verdict, report.status) == ("delivered", None, "")


def test_the_same_mail_handed_in_twice_is_one_piece_of_feedback() -> None:
    """Even with another line of `Received`, as a mail server adds it with every try."""
    (first,) = read(mail("postfix"), NOW).reports
    (again,) = read(b"Received: by mx2.shop.example; Mon, 2 Mar 2026 12:05:00 +0000\r\n" + mail("postfix"), NOW).reports
    assert first == again


def test_two_bounces_of_one_mail_are_two_pieces_of_feedback() -> None:
    """With ids of their own, or without any, in which case all that they say tells them apart."""
    bare = b"From: mailer-daemon@mx.example\r\n\r\n"
    mails = [b"Message-ID: <1@mx>\r\n" + bare, b"Message-ID: <2@mx>\r\n" + bare, bare + b"Full", bare + b"Gone"]
    ids = [one.feedback_id for raw in mails for one in read(raw, NOW, f"bounces+{SEND_ID}@shop.example").reports]
    assert len(set(ids)) == 4


def test_an_action_that_nobody_knows_says_nothing_of_the_mailbox() -> None:
    (report,) = read(mail("postfix").replace(b"Action: failed", b"Action: pondered"), NOW).reports
    assert (report.kind, report.verdict) == ("bounced", None)


@pytest.mark.parametrize(
    "date", ["Mon, 2 Mar 2026 12:00:05 +0000", "Mon, 2 Mar 2036 12:00:05 +0000", "", "soon", "x" * 99]
)
def test_the_time_is_the_mails_own_and_never_in_the_future(date: str) -> None:
    raw = mail("postfix").replace(b"Date: Mon,  2 Mar 2026 12:00:05 +0000 (UTC)", f"Date: {date}".encode())
    (report,) = read(raw, NOW).reports
    assert report.at == (datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC) if "2026" in date else NOW)


# Hostile mail


@given(st.binary(max_size=2000))
def test_any_bytes_are_some_sort_of_mail(data: bytes) -> None:
    assert read(data, NOW).sort


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_mail_that_was_tampered_with_is_some_sort_of_mail(data: st.DataObject) -> None:
    """Whatever is cut out, put in or said twice, reading it ends, with times that can be kept."""
    raw = mail(data.draw(st.sampled_from(NAMES)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 200)))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=20))
        raw = raw[:start] + piece + raw[data.draw(st.sampled_from([start, end])) :]
    for report in read(raw, NOW, data.draw(st.text(max_size=40))).reports:
        assert report.at <= NOW + timedelta(0)
        assert len(report.send_id) in (0, 32)
        assert len(report.feedback_id) < 64


PIECES: list[Any] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"Content-Type: multipart/report; report-type*=utf-8''%ff; boundary=\"a\"\r\n",
    b"Content-Type: multipart/report; report-type*0=delivery; report-type*1=-status; boundary*=x\r\n",
    b"Content-Type: message/delivery-status\r\n\r\n",
    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    b"Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    b"Content-Transfer-Encoding: uuencode\r\n",
    b"Subject: =?utf-8?b?//8?= =?nonsense?q?x?= =?utf-8?q?=FF?=\r\n",
    b"Subject: =?idna?q?=ff?= =?punycode?q?zz?= =?zip?q?x?= =?hex?b?AA?=\r\n",
    b"Date: Mon, 32 Foo 99999 25:61:61 +9999\r\n",
    b"Date: Mon, 2 Mar 0001 00:00:00 +2359\r\n",
    b"Action: failed\r\nStatus: 5.1.1\r\nFinal-Recipient: rfc822;\r\n\r\n",
    b"Message-ID: <\xff@\xfe>\r\n",
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", ["postfix", "arf-abuse", "a-person"])
def test_an_odd_header_in_front_is_survived(name: str, piece: bytes) -> None:
    assert read(piece + mail(name), NOW).sort


def test_parts_inside_of_parts_inside_of_parts_are_not_followed() -> None:
    """Each line would be held against every boundary around it."""
    parts = [b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(100)]
    head = b"From: mailer-daemon@example.net\r\n" + b"".join(parts)
    assert read(head + b"a\r\n" * 30_000, NOW) == Inbound("unknown")


def test_of_a_header_that_is_made_to_be_slow_only_the_beginning_is_read() -> None:
    """This one would keep the library busy for a minute, and anybody may write to a return path."""
    slow = b'Content-Type: multipart/report; a="' + b";" * 120_000
    assert read(slow + b"\r\n\r\nHello\r\n", NOW) == Inbound("unknown")
    late = b'Content-Type: multipart/report; a="' + b"x" * 3000 + b'"; report-type=delivery-status\r\n\r\nHello\r\n'
    assert read(late, NOW) == Inbound("unknown")


def test_mails_inside_of_mails_inside_of_mails_are_survived() -> None:
    assert read(b"Content-Type: message/rfc822\r\n\r\n" * 4000, NOW).sort == "unknown"


def test_a_status_of_many_recipients_is_read_as_far_as_is_likely() -> None:
    block = b"Final-Recipient: rfc822; other@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    many = mail("postfix").replace(b"Final-Recipient: rfc822; ada", block * 500 + b"Final-Recipient: rfc822; ada")
    assert len(read(many, NOW).reports) == 20


def test_what_comes_after_the_beginning_is_not_read() -> None:
    """A bounce may return a mail of any size."""
    (report,) = read(mail("postfix") + b"x" * 5_000_000, NOW).reports
    assert report.status == "5.1.1"
    assert read(b"x" * READ_BYTES + mail("postfix"), NOW) == Inbound("unknown")
