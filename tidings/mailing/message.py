"""The mail as bytes: headers, both bodies, and nothing that a mail server would have to mend (RFC 5322, 2045 to 2047).

A header that fits into its line is written as it stands. What must be encoded or folded goes through the standard
library's older policy, on purpose: its newer one writes encoded words of up to 800 characters once lines may be 998
wide (RFC 2047 section 2 allows 75), and encodes a long List-Unsubscribe when they may not.
"""

import re
import unicodedata
from binascii import b2a_qp
from datetime import datetime
from email import policy
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from tidings.errors import AddressError, TemplateError
from tidings.mailing.links import unsubscribe_mailto, unsubscribe_url
from tidings.mailing.mail import Mail
from tidings.permission.consent import MARKETING
from tidings.rendering import Rendered
from tidings.settings import Settings, SettingsError
from tidings.tokens import sign_unsubscribe
from tidings.wire.decisions import Decision

_LONGEST_LINE = 998
"""Bytes, the end of the line not counted (RFC 5322 section 2.1.1)."""
_FOLDING = policy.Compat32(linesep="\r\n", max_line_length=_LONGEST_LINE)


def build(decision: Decision, rendered: Rendered, recipient: str, settings: Settings, at: datetime) -> Mail:
    """Put one rendered decision into its envelope. The same arguments give the same bytes.

    Args:
        decision: gives Message-ID, List-Id and Feedback-ID.
        rendered: subject and bodies.
        recipient: an address as `ascii_address` returns it.
        settings: From, and what the unsubscribe link needs.
        at: the Date header.

    Raises:
        TemplateError: the subject cannot be a header, or marketing mail lacks its visible unsubscribe link.
        SettingsError: TIDINGS_MAIL_FROM is not `Name <address>`, or TIDINGS_SECRET is empty.
    """
    name, address = sender(settings)
    domain = address.rpartition("@")[2]
    message_id = f"<{decision.send_id}@{domain}>"
    subject = _subject(rendered.subject)
    purpose = _purpose(decision, rendered, settings, domain)
    boundary = f"=_{decision.send_id}"  # "=_" cannot occur in quoted-printable
    headers = {
        "Content-Type": f'multipart/alternative; boundary="{boundary}"',
        "MIME-Version": "1.0",
        "Date": format_datetime(at),
        "Message-ID": message_id,
        "From": f"{_words(name)} <{address}>" if _needs_encoding(name) else formataddr((name, address)),
        "To": recipient,
        "Subject": _words(subject),
        **purpose,
    }
    mark = f"\r\n--{boundary}".encode()
    parts = (mark, _part("plain", rendered.text), mark, _part("html", rendered.html), mark, b"--\r\n")
    return Mail(
        send_id=decision.send_id,
        sender=_return_path(decision, settings) or address,
        recipient=recipient,
        data=b"".join((*map(_line, headers, headers.values()), *parts)),
        from_name=name,
        from_address=address,
        subject=subject,
        html=rendered.html,
        text=rendered.text,
        headers={"Message-ID": message_id, **purpose},
        tags={
            "rule": _label(decision.rule_id),
            "category": _label(decision.category or MARKETING),
            "kind": decision.kind,
        },
    )


def _line(name: str, value: str) -> bytes:
    """A header, its line end included."""
    line = f"{name}: {value}\r\n"
    if len(line) > _LONGEST_LINE + 2 or not line.isascii() or "\n" in value or "\r" in value:
        return _FOLDING.fold_binary(name, value)
    return line.encode("ascii")


def _part(kind: str, body: str) -> bytes:
    """One body, in quoted-printable: ASCII on the wire, so that no relay needs 8BITMIME and no signature breaks."""
    header = (
        f'\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    lines = body.replace("\r\n", "\n").replace("\r", "\n")  # a carriage return alone is nothing that may travel
    return header.encode("ascii") + b2a_qp(lines.encode()).replace(b"\n", b"\r\n")


def _return_path(decision: Decision, settings: Settings) -> str:
    """Where a bounce of this mail goes: an address of its own, so that a bounce says by itself what it is about."""
    local, _, domain = settings.return_path.rpartition("@")
    return f"{local}+{decision.send_id}@{domain}" if local else ""


def _purpose(decision: Decision, rendered: Rendered, settings: Settings, domain: str) -> dict[str, str]:
    """The headers that say what kind of mail this is.

    Transactional mail carries no List-Unsubscribe: there is no list, and nobody may opt out of their own receipt.
    Sources: RFC 8058 section 3.1, RFC 2919 section 2, RFC 3834 section 5, and for Feedback-ID
    https://support.google.com/mail/answer/6254652 (four fields, the last one constant, nothing personal).
    """
    category = decision.category or MARKETING
    feedback = ":".join((_label(decision.rule_id), _label(category), decision.kind, "tidings"))
    if decision.kind == "transactional":
        return {"Feedback-ID": feedback, "Auto-Submitted": "auto-generated"}
    link = unsubscribe_url(decision, settings)
    if link not in rendered.html or link not in rendered.text:
        raise TemplateError(f"{decision.template}: marketing mail needs the unsubscribe link in its HTML and its text")
    return {
        "Feedback-ID": feedback,
        "List-Id": f"<{_label(category)}.{domain}>",
        "List-Unsubscribe": _ways_out(link, unsubscribe_mailto(decision, settings)),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _ways_out(link: str, mailto: str) -> str:
    """The value of List-Unsubscribe. Readers take the first form that they know, so one-click comes first.

    It is one line however long it is: not every relay and reader puts a folded one together again as it was. Where both
    forms do not fit into the 998 bytes of a line (RFC 5322 section 2.1.1), the mail form is left out.
    """
    both = f"<{link}>, <{mailto}>"
    return both if mailto and len(both) <= _LONGEST_LINE - len("List-Unsubscribe: ") else f"<{link}>"


def check(settings: Settings) -> None:
    """Find out whether mails can be built with these settings, before there is one to build.

    Raises:
        SettingsError: as `build` does, or TIDINGS_UNSUBSCRIBE_MAILTO is no address.
    """
    sender(settings)
    sign_unsubscribe("", "", "", settings.secret)
    try:
        if settings.unsubscribe_mailto:
            ascii_address(settings.unsubscribe_mailto)
    except AddressError:
        raise SettingsError("TIDINGS_UNSUBSCRIBE_MAILTO must be an address, such as unsubscribe@example.com") from None


def ascii_address(text: object) -> str:
    """The address as SMTP takes it: internationalised domains in punycode, the local part untouched.

    Raises:
        AddressError: it is no address, it holds control characters, or its local part would need SMTPUTF8.
    """
    try:
        valid = validate_email(str(text), check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise AddressError("not an address") from None
    assert valid.ascii_email  # without SMTPUTF8 there always is one
    return valid.ascii_email


def sender(settings: Settings) -> tuple[str, str]:
    """The From header's name and ASCII address.

    Raises:
        SettingsError: TIDINGS_MAIL_FROM cannot be a From header.
    """
    return _sender(settings.mail_from)


@lru_cache(maxsize=8)
def _sender(mail_from: str) -> tuple[str, str]:
    name, address = parseaddr(mail_from)
    try:
        return _one_line(name), ascii_address(address)
    except (AddressError, ValueError):
        raise SettingsError("TIDINGS_MAIL_FROM must look like: Name <address@example.com>") from None


def _subject(text: str) -> str:
    try:
        return _one_line(text)
    except ValueError:
        raise TemplateError("the subject holds a control character") from None


def _one_line(text: str) -> str:
    """The text, unless a header would break on it: line ends, control characters, lone surrogates."""
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError
    return text


def _needs_encoding(text: str) -> bool:
    """Whether the text must become encoded words: not ASCII, too long for a line, or mistakable for one."""
    return not text.isascii() or len(text) > 900 or "=?" in text


def _words(text: str) -> str:
    return Header(text, "utf-8", maxlinelen=75).encode() if _needs_encoding(text) else text


def _label(text: str) -> str:
    """The text as one part of a List-Id or Feedback-ID: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "none"
