"""The mails that the catcher keeps: one `.eml` file each, newest first, read by the inbox page and by the story."""

import secrets
from datetime import UTC, datetime
from email import policy
from email.headerregistry import DateHeader
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from pathlib import Path

import msgspec

_STAMP = "%Y%m%dT%H%M%S.%f"
_PARSER = BytesParser(policy=policy.default)


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One caught mail.

    Attributes:
        mail_id: the name of its file, without `.eml`; sorts by time of arrival.
        received_at: when the catcher took it.
        dated_at: what the mail itself says; `received_at` when it says nothing that can be read.
        recipient: the address of the envelope, which is where it would have gone.
        sender / to / subject: the header fields, decoded.
        rule: the rule that sent it, or empty when it is no mail of ours.
        html / text: the bodies; empty when there is none.
        headers: every header field in order, decoded.
        raw: the bytes as they came over the wire.
    """

    mail_id: str
    received_at: datetime
    dated_at: datetime
    recipient: str
    sender: str
    to: str
    subject: str
    rule: str
    html: str
    text: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes

    @property
    def sender_name(self) -> str:
        """How a mail program names the sender: the display name, or else the address."""
        name, address = parseaddr(self.sender)
        return name or address


class Mailbox:
    """A folder of caught mails. One process writes, any number reads: a file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Keep one mail for each recipient of its envelope, which is recorded as a mail server would."""
        for recipient in recipients:
            envelope = f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n"
            name = f"{datetime.now(UTC).strftime(_STAMP)}-{secrets.token_hex(4)}"
            unfinished = self.folder / f"{name}.part"
            unfinished.write_bytes(envelope.encode() + content)
            unfinished.rename(self.folder / f"{name}.eml")

    def mails(self, limit: int = 200) -> list[Mail]:
        """The newest mails, newest first."""
        names = sorted((path.stem for path in self.folder.glob("*.eml")), reverse=True)
        return [mail for name in names[:limit] if (mail := self._read(name))]

    def mail(self, mail_id: str) -> Mail | None:
        """One mail, or None. The id is looked up among the files that are there, so it cannot lead elsewhere."""
        known = any(path.stem == mail_id for path in self.folder.glob("*.eml"))
        return self._read(mail_id) if known else None

    def _read(self, mail_id: str) -> Mail | None:
        try:
            raw = (self.folder / f"{mail_id}.eml").read_bytes()
        except FileNotFoundError:  # somebody emptied the folder meanwhile
            return None
        message = _PARSER.parsebytes(raw)
        assert isinstance(message, EmailMessage)
        received_at = datetime.strptime(mail_id.rpartition("-")[0], _STAMP).replace(tzinfo=UTC)
        return Mail(
            mail_id=mail_id,
            received_at=received_at,
            dated_at=_date(message) or received_at,
            recipient=str(message["Delivered-To"] or ""),
            sender=str(message["From"] or ""),
            to=str(message["To"] or ""),
            subject=str(message["Subject"] or "(no subject)"),
            rule=_rule(message),
            html=_body(message, "html"),
            text=_body(message, "plain"),
            headers=tuple((name, str(value)) for name, value in message.items()),
            raw=raw,
        )


def _date(message: EmailMessage) -> datetime | None:
    header = message["Date"]
    dated: datetime | None = header.datetime if isinstance(header, DateHeader) else None
    return dated.astimezone(UTC) if dated else None


def _rule(message: EmailMessage) -> str:
    """Our mails carry `Feedback-ID: <rule>:<category>:<kind>:tidings`."""
    fields = str(message["Feedback-ID"] or "").split(":")
    return fields[0] if fields[-1] == "tidings" else ""


def _body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except LookupError:  # a charset that Python does not know: better odd letters than none
        return bytes(part.get_payload(decode=True) or b"").decode("latin-1")
