"""The mail as bytes: what mail servers, Gmail and the standard library's own parser make of it."""

import random
import re
from binascii import b2a_qp
from email import message_from_bytes, policy
from email.header import Header, decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.sends import NOW, SETTINGS, a_decision
from tidings.errors import AddressError, TemplateError
from tidings.mailing.links import unsubscribe_mailto, unsubscribe_url
from tidings.mailing.message import ascii_address, build, check
from tidings.rendering import Rendered
from tidings.settings import Settings, SettingsError
from tidings.tokens import Unsubscribe, read_unsubscribe, read_unsubscribe_subject
from tidings.wire.decisions import Decision

ONE_LINE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))).map(lambda text: " ".join(text.split()))
"""Text that `rendering` may hand out as a subject."""


def data_of(decision: Decision, subject: str = "Hello", settings: Settings = SETTINGS, body: str = "hi") -> bytes:
    """The bytes of a mail whose bodies carry the unsubscribe link."""
    link = unsubscribe_url(decision, settings)
    rendered = Rendered(subject, f'<p>{body} <a href="{link}">leave</a></p>', f"{body} {link}")
    return build(decision, rendered, "ada@example.com", settings, NOW).data


def parsed(decision: Decision, **given: Any) -> EmailMessage:
    """The same mail, read back."""
    mail = message_from_bytes(data_of(decision, **given), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def test_marketing_mail_carries_everything_that_mailbox_providers_ask_for() -> None:
    """RFC 5322's own headers, RFC 8058's pair, List-Id and Feedback-ID."""
    decision = a_decision()
    mail = parsed(decision)
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == f"<{decision.send_id}@shop.example>"
    assert mail["From"].addresses == (Address("Northwind Living", "hello", "shop.example"),)
    assert mail["To"] == "ada@example.com"
    assert mail["List-Unsubscribe"] == f"<{unsubscribe_url(decision, SETTINGS)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<reminders.shop.example>"
    assert mail["Feedback-ID"] == "viewed-three-times:reminders:marketing:tidings"
    assert mail["Auto-Submitted"] is None
    assert len(mail.keys()) == len(set(mail.keys()))


def test_the_unsubscribe_link_says_who_and_what() -> None:
    """It identifies recipient and list by itself, so one click needs neither login nor cookie."""
    decision = a_decision()
    host, _, token = unsubscribe_url(decision, SETTINGS).rpartition("/u/")
    assert host == "https://mail.shop.example"
    assert read_unsubscribe(token, SETTINGS.secret) == Unsubscribe("u:ada", "reminders", decision.send_id)


def test_a_decision_without_a_category_is_left_as_marketing() -> None:
    """Leaving it means leaving all marketing mail."""
    decision = a_decision(category="")
    token = unsubscribe_url(decision, SETTINGS).rpartition("/u/")[2]
    assert read_unsubscribe(token, SETTINGS.secret) == Unsubscribe("u:ada", "marketing", decision.send_id)
    assert parsed(decision)["List-Id"] == "<marketing.shop.example>"


def test_transactional_mail_is_no_list_and_says_that_a_machine_wrote_it() -> None:
    """No way to opt out of a receipt, and no autoresponder should answer it (RFC 3834)."""
    mail = parsed(a_decision(kind="transactional", category="account"))
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Feedback-ID"] == "viewed-three-times:account:transactional:tidings"
    assert not [name for name in mail if name.startswith("List-")]


def test_text_comes_first_and_both_bodies_are_utf8() -> None:
    """multipart/alternative: the last part is the one to prefer."""
    mail = parsed(a_decision(), body="Grüße €")
    text, html = mail.iter_parts()
    assert mail.get_content_type() == "multipart/alternative"
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().startswith("Grüße €")
    assert html.get_content().startswith("<p>Grüße €")
    assert {part.get_content_charset() for part in (text, html)} == {"utf-8"}


def test_the_same_decision_gives_the_same_bytes() -> None:
    """A second try is the same mail, not a similar one."""
    assert data_of(a_decision()) == data_of(a_decision())


@pytest.mark.parametrize("missing", ["html", "text"])
def test_marketing_mail_without_a_visible_way_out_is_refused(missing: str) -> None:
    """A template that forgets the link cannot send marketing mail, and can send a receipt."""
    decision = a_decision()
    link = unsubscribe_url(decision, SETTINGS)
    rendered = replace(Rendered("Hello", f"<p>{link}</p>", link), **{missing: "<p>hi</p>"})
    with pytest.raises(TemplateError, match="unsubscribe link"):
        build(decision, rendered, "ada@example.com", SETTINGS, NOW)
    receipt = a_decision(kind="transactional")
    assert build(receipt, rendered, "ada@example.com", SETTINGS, NOW).data


def check_wire(data: bytes) -> None:
    """CRLF line ends only, ASCII only, no line over 998 bytes, no encoded word over 75 (RFC 5322, RFC 2047)."""
    lines = data.split(b"\r\n")
    assert data.isascii()
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    header = data.partition(b"\r\n\r\n")[0]
    assert max((len(word) for word in re.findall(rb"=\?utf-8\?[qb]\?[^? ]*\?=", header)), default=0) <= 75


@settings(deadline=None)
@given(subject=ONE_LINE)
def test_any_subject_survives_the_trip(subject: str) -> None:
    """What the author wrote is what the reader's client shows."""
    data = data_of(a_decision(), subject)
    check_wire(data)
    assert (message_from_bytes(data, policy=policy.default)["Subject"] or "") == subject


@settings(deadline=None)
@given(name=ONE_LINE.filter(bool))
def test_any_sender_name_survives_the_trip(name: str) -> None:
    """Commas, quotes, brackets, at signs and other alphabets included.

    The older parser reads it: the newer one keeps the space between two encoded words of a name (RFC 2047 section 6.2).
    """
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    renamed = replace(SETTINGS, mail_from=f"{quoted} <hello@shop.example>")
    data = data_of(a_decision(), settings=renamed)
    check_wire(data)
    words, address = parseaddr(message_from_bytes(data)["From"])
    assert (str(make_header(decode_header(words))), address) == (name, "hello@shop.example")


@settings(deadline=None)
@given(body=st.text())
def test_any_body_fits_the_wire(body: str) -> None:
    """Long lines, other alphabets and lonely line ends are quoted."""
    check_wire(data_of(a_decision(), body=body))


def by_the_library(decision: Decision, subject: str, html: str, text: str) -> bytes:
    """The same mail, of the same headers, written by the standard library."""
    mail = MIMEMultipart("alternative", boundary=f"=_{decision.send_id}")
    mail["Date"] = "Mon, 02 Mar 2026 12:00:00 +0000"
    mail["Message-ID"] = f"<{decision.send_id}@shop.example>"
    mail["From"] = "Northwind Living <hello@shop.example>"
    mail["To"] = "ada@example.com"
    plain = subject.isascii() and len(subject) <= 900 and "=?" not in subject
    mail["Subject"] = subject if plain else Header(subject, "utf-8", maxlinelen=75).encode()
    mail["Feedback-ID"] = "viewed-three-times:reminders:transactional:tidings"
    mail["Auto-Submitted"] = "auto-generated"
    for kind, body in (("plain", text), ("html", html)):
        part = MIMENonMultipart("text", kind, charset="utf-8")
        part["Content-Transfer-Encoding"] = "quoted-printable"
        part.set_payload(b2a_qp(re.sub(r"\r\n?", "\n", body).encode()).decode())
        mail.attach(part)
    return mail.as_bytes(policy=policy.Compat32(linesep="\r\n", max_line_length=998))


@settings(deadline=None)
@given(subject=ONE_LINE, html=st.text(), text=st.text())
@example(subject="a " * 450, html=". \t\r\r\n--=_\n", text="\r\n")
@example(subject="ü" * 300, html="=" * 80, text="a" * 2000)
def test_every_byte_is_the_one_that_the_standard_library_would_write(subject: str, html: str, text: str) -> None:
    """It takes three times as long, and its parser is what half of the world's mail is read with."""
    decision = a_decision(kind="transactional")
    data = build(decision, Rendered(subject, html, text), "ada@example.com", SETTINGS, NOW).data
    assert data == by_the_library(decision, subject, html, text)


WRITE_TO = replace(SETTINGS, unsubscribe_mailto="leave+lists@shop.example")


def test_both_ways_out_are_one_line_of_exactly_these_bytes() -> None:
    """The link alone is longer than the 78 columns of the standard library, and than the 150 that broke others."""
    decision = a_decision(person="u:0d5c6d6e-7c55-4b1a-9f7e-2f0e6f2b9d11")
    link = unsubscribe_url(decision, WRITE_TO).encode()
    token = link.rpartition(b"/u/")[2]
    assert len(link) > 150
    header = data_of(decision, settings=WRITE_TO).partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line for line in header if line.lower().startswith(b"list-unsubscribe")] == [
        b"List-Unsubscribe: <" + link + b">, <mailto:leave+lists@shop.example?subject=unsubscribe:" + token + b">",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]


def test_the_mail_that_a_mail_program_writes_says_who_and_what() -> None:
    """Its subject alone is enough."""
    decision = a_decision()
    mailto = urlsplit(unsubscribe_mailto(decision, WRITE_TO))
    assert mailto.path == "leave+lists@shop.example"
    [subject] = parse_qs(mailto.query)["subject"]
    token = read_unsubscribe_subject(subject)
    assert token is not None
    assert read_unsubscribe(token, SETTINGS.secret) == Unsubscribe("u:ada", "reminders", decision.send_id)


def test_an_odd_address_to_unsubscribe_at_is_escaped_and_none_is_refused_at_the_start() -> None:
    """`%` and `?` mean something in a mailto link (RFC 6068)."""
    odd = replace(SETTINGS, unsubscribe_mailto="50%off?&x@shop.example")
    assert unsubscribe_mailto(a_decision(), odd).startswith("mailto:50%25off%3F%26x@shop.example?subject=unsubscribe:")
    check(odd)
    with pytest.raises(SettingsError, match="TIDINGS_UNSUBSCRIBE_MAILTO"):
        check(replace(SETTINGS, unsubscribe_mailto="the list"))


@settings(deadline=None)
@given(length=st.integers(1, 600))
def test_a_line_that_gets_too_long_loses_the_mail_form_and_never_one_click(length: int) -> None:
    """A line has 998 bytes (RFC 5322), and only one of the two forms is asked for by mailbox providers."""
    decision = a_decision(person="u:" + random.Random(length).randbytes(length // 2 + 1).hex()[:length])
    [line] = re.findall(rb"\r\n(List-Unsubscribe: [^\r]*)\r\n", data_of(decision, settings=WRITE_TO))
    link = unsubscribe_url(decision, WRITE_TO).encode()
    assert line.startswith(b"List-Unsubscribe: <" + link + b">")
    assert len(line) <= 998
    both = f"List-Unsubscribe: <{link.decode()}>, <{unsubscribe_mailto(decision, WRITE_TO)}>"
    assert (line == both.encode()) is (len(both) <= 998)


@settings(deadline=None)
@given(person=st.text(max_size=300), rule=st.text(), category=st.text())
def test_a_long_unsubscribe_link_is_never_folded_or_encoded(person: str, rule: str, category: str) -> None:
    """RFC 2047 forbids encoded words there, and providers that meet one do not offer one-click."""
    decision = a_decision(person=person, rule_id=rule, category=category)
    data = data_of(decision)
    check_wire(data)
    assert f"\r\nList-Unsubscribe: <{unsubscribe_url(decision, SETTINGS)}>\r\n".encode() in data
    (feedback,) = re.findall(rb"\r\nFeedback-ID: ([^\r]*)\r\n", data)
    assert re.fullmatch(rb"[A-Za-z0-9-]+:[A-Za-z0-9-]+:marketing:tidings", feedback)


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: eve@example.com", "Hello\nthere", "Hello\0", "a\u2028b", "\ud800"])
def test_a_subject_that_would_break_a_header_is_refused(subject: str) -> None:
    """The last line of defence: rendering already makes one line of it."""
    with pytest.raises(TemplateError, match="control character"):
        data_of(a_decision(), subject)


def test_a_subject_that_pretends_to_be_encoded_adds_no_header() -> None:
    """An encoded line end inside a product's name stays a funny name."""
    subject = "=?utf-8?q?Hello=0D=0ABcc=3A_eve=40example=2Ecom?= there"
    mail = parsed(a_decision(), subject=subject)
    assert mail["Bcc"] is None
    assert mail["Subject"] == subject


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+x@Example.com", "Ada.Lovelace+x@example.com"),
        ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
    ],
)
def test_an_address_becomes_what_smtp_takes(text: str, address: str) -> None:
    """The domain in punycode and small letters; the local part is the mailbox's own business."""
    assert ascii_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        "\u00e4da@example.com",
        "a" * 65 + "@example.com",
        "ada@localhost",
        None,
        ["ada@example.com"],
        7,
    ],
)
def test_what_is_no_single_address_is_refused(text: object) -> None:
    """Nothing that could name two recipients or end a header line, and the message does not repeat it."""
    with pytest.raises(AddressError, match=r"^not an address$"):
        ascii_address(text)


@pytest.mark.parametrize("mail_from", ["", "Northwind", "Northwind <hello@shop>", "A\0 <a@b.de>"])
def test_a_sender_that_is_none_is_the_operators_fault(mail_from: str) -> None:
    """It names the variable."""
    with pytest.raises(SettingsError, match="TIDINGS_MAIL_FROM"):
        data_of(a_decision(), settings=replace(SETTINGS, mail_from=mail_from))


@pytest.mark.parametrize(
    ("missing", "variable"), [({"mail_from": ""}, "TIDINGS_MAIL_FROM"), ({"secret": ""}, "TIDINGS_SECRET")]
)
def test_what_every_mail_needs_can_be_asked_for_before_there_is_one(missing: dict[str, str], variable: str) -> None:
    """It names the variable."""
    check(SETTINGS)
    with pytest.raises(SettingsError, match=variable):
        check(replace(SETTINGS, **missing))


def test_a_sender_at_an_international_domain_is_written_in_ascii() -> None:
    """From and Message-ID carry punycode, the envelope too."""
    settings = replace(SETTINGS, mail_from="Zoë <hallo@käse.example>")
    decision = a_decision()
    link = unsubscribe_url(decision, settings)
    mail = build(decision, Rendered("Hi", link, link), "ada@example.com", settings, NOW)
    assert mail.sender == "hallo@xn--kse-qla.example"
    back = message_from_bytes(mail.data, policy=policy.default)
    assert back["From"].addresses == (Address("Zoë", "hallo", "xn--kse-qla.example"),)
    assert back["Message-ID"].endswith("@xn--kse-qla.example>")
