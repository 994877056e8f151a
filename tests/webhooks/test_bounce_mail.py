"""The status that a bounce brings, in the forms that standards allow it and servers write it in."""

import base64
import quopri
from datetime import UTC, datetime

import pytest

from tidings.webhooks.inbound_mail import read

SEND_ID = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 3, 3, tzinfo=UTC)
ADA = "Final-Recipient: rfc822;ada@example.com\nAction: failed\nStatus: 5.1.1\n"


def told(raw: str) -> list[tuple[str, str | None, str, str]]:
    """What the mail says of each recipient: kind, verdict, status, address."""
    reports = read(raw.encode("utf-8", "surrogateescape"), NOW, f"bounces+{SEND_ID}@mail.shop.example").reports
    assert {one.send_id for one in reports} <= {SEND_ID}
    return [(one.kind, one.verdict, one.status, one.recipient) for one in reports]


def report(
    status: str, kind: str = "message/delivery-status", encoding: str = "", parameter: str = "report-type=x;"
) -> str:
    """A multipart/report around this status, with a text in Latin-1 that need not be understood."""
    return (
        f"From: postmaster@example.com\nSubject: =?iso-8859-1?Q?Unzustellbar=3A_Gr=FC=DFe?=\n"
        f'Content-Type: multipart/report; {parameter} boundary="b"\n\n'
        "--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n"
        f"--b\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding or '7bit'}\n\n{status}\n--b--\n"
    )


DEAD = [("bounced", "dead_address", "5.1.1", "ada@example.com")]
ABOUT_THE_MAIL = "Reporting-MTA: dns;mx.example.com\n\n"


@pytest.mark.parametrize("parameter", ["report-type=delivery-status;", "report-type=Delivery-Status;", ""])
def test_the_part_itself_says_that_it_is_a_status(parameter: str) -> None:
    """Some servers forget to say so above."""
    assert told(report(ABOUT_THE_MAIL + ADA, parameter=parameter)) == DEAD


@pytest.mark.parametrize("above", ["", "Reporting-MTA: dns;mx\n", ABOUT_THE_MAIL, ABOUT_THE_MAIL + "\n\n"])
def test_the_lines_about_the_mail_may_stand_anywhere_above(above: str) -> None:
    assert told(report(above + ADA)) == DEAD


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_it_may_be_encoded_and_have_another_name(line_end: str) -> None:
    """RFC 6533, for mail in which addresses need not be ASCII."""
    status = ABOUT_THE_MAIL + ADA.replace("rfc822", "utf-8") + "Diagnostic-Code: smtp; 550 5.1.1 wer weiß?\n"
    encoded = {
        "8bit": status,
        "base64": base64.encodebytes(status.encode()).decode(),
        "quoted-printable": quopri.encodestring(status.encode()).decode(),
    }
    for encoding, text in encoded.items():
        for kind in ("message/global-delivery-status", "message/delivery-status"):
            assert told(report(text, kind, encoding).replace("\n", line_end)) == DEAD, (encoding, kind)


@pytest.mark.parametrize("text", ["", "not base64: ÿ", "QUJD", "====", "\x00"])
def test_what_cannot_be_decoded_is_a_bounce_of_which_nothing_is_known(text: str) -> None:
    assert told(report(text, "message/global-delivery-status", "base64")) == [("bounced", None, "", "")]


@pytest.mark.parametrize(
    ("status", "diagnostic", "counts"),
    [
        ("5.1.1", "smtp; 550 5.7.1 looks like spam", ("refused", "5.7.1")),
        ("5.1.1", "smtp; 450 4.2.0 try again", ("temporary", "4.2.0")),
        ("5.1.1", "smtp; 550 5.1.10 unknown", ("dead_address", "5.1.10")),
        ("5.1.1", "smtp; 550 no such user", ("dead_address", "5.1.1")),
        ("5.1.1 (bad destination mailbox address)", "", ("dead_address", "5.1.1")),
        ("5.7.1", "smtp; 550 5.1.1 says another server", ("refused", "5.7.1")),
        ("4.4.7", "smtp; 550 5.1.1 says another server", ("temporary", "4.4.7")),
        ("5.0.0", "smtp;\n 550-5.1.1 There is\n 550 5.1.1 nobody here", ("dead_address", "5.1.1")),
        ("5.0.0", "smtp; 550 no", ("refused", "5.0.0")),
        ("511", "smtp; 550 5.1.1 unknown", ("dead_address", "5.1.1")),
        ("", "smtp; 550 5.1.1 nicht gefunden: \udcfc", ("dead_address", "5.1.1")),
    ],
)
def test_an_address_is_dead_when_neither_server_says_otherwise(
    status: str, diagnostic: str, counts: tuple[str, str]
) -> None:
    """Some make a 5.1.1 of whatever the other one said; the other one's words follow."""
    block = ADA.replace("Status: 5.1.1", f"Status: {status}") + f"Diagnostic-Code: {diagnostic}\n"
    assert [(verdict, code) for _, verdict, code, _ in told(report(block))] == [counts]


QMAIL = """From: MAILER-DAEMON@mx.example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@example.com>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 User unknown
Giving up on 192.0.2.1.

<full@example.com>:
Sorry, the mailbox is full. (#5.2.2)

--- Below this line is a copy of the message.

<other@example.com>:
A quotation. (#5.1.1)
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_qmail_writes_for_people_and_machines(line_end: str) -> None:
    assert told(QMAIL.replace("\n", line_end)) == [*DEAD, ("bounced", "address", "5.2.2", "full@example.com")]


def test_of_many_paragraphs_of_qmails_as_many_are_read_as_are_likely() -> None:
    many = "".join(f"<{number}@example.com>:\nNo such user. (#5.1.1)\n\n" for number in range(500))
    assert 0 < len(told(QMAIL.replace("<ada@", many + "<ada@"))) <= 20


def test_who_only_sounds_like_qmail_is_no_bounce() -> None:
    person = "From: ada@example.com\n\nHi. This is the question that I have.\n\nIs there one in green?\n"
    assert told(person) == []
    assert read(person.encode(), NOW).sort == "unknown"
