"""The mail as bytes: headers, both bodies, and nothing that a mail server would have to mend (RFC 5322, 2045 to 2047).

The standard library's older `email.mime` builds it, on purpose: its newer API writes encoded words of up to 800
characters once lines may be 998 wide (RFC 2047 section 2 allows 75), encodes a long List-Unsubscribe when they may
not, and decodes whatever looks like an encoded word, newlines included, on the way in.
"""

import re
import unicodedata
from binascii import b2a_qp
from datetime import datetime
from email import policy
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from tidings.consent import MARKETING
from tidings.decisions import Decision
from tidings.errors import AddressError, TemplateError
from tidings.links import unsubscribe_mailto, unsubscribe_url
from tidings.mail import Mail
from tidings.rendering import Rendered
from tidings.settings import Settings, SettingsError
from tidings.tokens import sign_unsubscribe


class _Wire(policy.Compat32):
    """Writes a header that fits into its line as it stands.

    So does the library, after it has taken it apart and put it together again: a third of the time of a whole mail.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header as bytes, its line end included."""
        line = f"{name}: {value}"
        if len(line) > 998 or "\n" in line or "\r" in line or not line.isascii():
            return super().fold_binary(name, value)
        return line.encode("ascii") + b"\r\n"


_WIRE = _Wire(linesep="\r\n", max_line_length=998)


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
    mail = MIMEMultipart("alternative", boundary=f"=_{decision.send_id}")  # "=_" cannot occur in quoted-printable
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{decision.send_id}@{domain}>"
    mail["From"] = f"{_words(name)} <{address}>" if _needs_encoding(name) else formataddr((name, address))
    mail["To"] = recipient
    subject = _subject(rendered.subject)
    mail["Subject"] = _words(subject)
    purpose = _purpose(decision, rendered, settings, domain)
    for header, value in purpose.items():
        mail[header] = value
    for kind, body in (("plain", rendered.text), ("html", rendered.html)):
        mail.attach(_part(kind, body))
    return Mail(
        send_id=decision.send_id,
        sender=_return_path(decision, settings) or address,
        recipient=recipient,
        data=mail.as_bytes(policy=_WIRE),
        from_name=name,
        from_address=address,
        subject=subject,
        html=rendered.html,
        text=rendered.text,
        headers={"Message-ID": mail["Message-ID"], **purpose},
        tags={
            "rule": _label(decision.rule_id),
            "category": _label(decision.category or MARKETING),
            "kind": decision.kind,
        },
    )


def _part(kind: str, body: str) -> MIMENonMultipart:
    """One body, in quoted-printable: ASCII on the wire, so that no relay needs 8BITMIME and no signature breaks.

    `binascii` does what `MIMEText` has Python do letter by letter, in a quarter of the time.
    """
    part = MIMENonMultipart("text", kind, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    lines = body.replace("\r\n", "\n").replace("\r", "\n")  # a carriage return alone is nothing that may travel
    part.set_payload(b2a_qp(lines.encode()).decode("ascii"))
    return part


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
    return both if mailto and len(both) <= 998 - len("List-Unsubscribe: ") else f"<{link}>"


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
