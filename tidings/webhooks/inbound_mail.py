"""A mail that came back to us: a bounce, a complaint, a wish to get no more, or somebody's automatic answer.

What it is about is told by the address it came to (`bounces+<send id>@...`, one for each mail), else by the Message-ID
of what it returns. So a bounce in a format of its own is still known by its mail; and as nothing else is known of it,
it suppresses nothing.

Sources: RFC 3464 and RFC 6533 (delivery status), https://cr.yp.to/proto/qsbmf.txt (qmail's bounces), RFC 5965
(complaints), RFC 3834 (automatic answers).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from typing import Literal, NamedTuple

from tidings.feedback.bounces import classify, status_in
from tidings.records.feedback import FeedbackKind
from tidings.tokens import read_unsubscribe_subject
from tidings.webhooks.reports import Report

READ_BYTES = 128_000
"""So much of a mail is looked at: what it says of itself, and the headers of the mail that it returns, come first."""

_HEADER_CHARACTERS = 2_000
"""So much of a header. The library takes half a minute for one that is made to be slow to read, and long enough."""

_MOST_PARTS = 60
"""A mail that announces more parts is no bounce. Reading parts inside of parts costs their depth for every line."""

_MOST_RECIPIENTS = 20
_VERP = re.compile(r"\+([0-9a-f]{32})@")
_OUR_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@[^<>\s]{1,255}>")
_ADDRESSED = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "X-Forwarded-To", "To")
_DELAYED = re.compile(r"\b(delay(ed)?|warning)\b", re.IGNORECASE)
_DAEMON = re.compile(r"(mailer-daemon|postmaster|mail-daemon|mdaemon)(?![a-z0-9])", re.IGNORECASE)
_ACTIONS: dict[str, FeedbackKind] = {
    "failed": "bounced",
    "delayed": "deferred",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}

Sort = Literal["bounce", "complaint", "unsubscribe", "automatic", "unknown"]


class Inbound(NamedTuple):
    """What a mail is.

    Attributes:
        sort: `automatic` needs nothing to be done; `unknown` is perhaps from a person, and was not read further.
        reports: of a bounce, one for each recipient, and of a complaint one.
        token: of `unsubscribe`, the token that its subject brings back.
    """

    sort: Sort
    reports: Sequence[Report] = ()
    token: str = ""


def read(data: bytes, now: datetime, addressed: str = "") -> Inbound:
    """What the mail is. It never fails, whatever it is given.

    Args:
        data: the mail as it came (RFC 5322).
        now: for mails that do not say when they were written.
        addressed: whom it was handed in for, if the mail server says so beside the mail.
    """
    data = data[:READ_BYTES]
    if len(re.findall(rb"boundary", data, re.IGNORECASE)) > _MOST_PARTS:
        return Inbound("unknown")
    try:
        return _sort(_Mail(data, now, addressed))
    except (MessageError, ValueError, LookupError, RecursionError, AttributeError, TypeError):
        # The standard library means to read anything, and what it cannot is no mail of a mail server's.
        return Inbound("unknown")


class _Clipped(policy.Compat32):
    """Reads of every header what may matter of it."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value of one header."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_HEADER_CHARACTERS]


_POLICY = _Clipped()


class _Mail:
    """A mail, and what is asked of it more than once."""

    def __init__(self, data: bytes, now: datetime, addressed: str) -> None:
        self.message: Message = message_from_bytes(data, policy=_POLICY)
        self.now = now
        self.parts = list(self.message.walk())
        self.send_id = self._joined(addressed)
        identity = self.header("Message-ID").encode("utf-8", "surrogatepass") or data
        self.digest = hashlib.blake2b(identity, digest_size=16).hexdigest()

    def header(self, name: str) -> str:
        return _text(self.message, name)

    def part(self, content_type: str) -> Message | None:
        return next((part for part in self.parts if part.get_content_type() == content_type), None)

    @property
    def report_type(self) -> str:
        found = self.message.get_param("report-type") if self.message.get_content_type() == "multipart/report" else None
        return found.lower() if isinstance(found, str) else ""

    @property
    def at(self) -> datetime:
        try:
            at = parsedate_to_datetime(self.header("Date"))
            return min(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC), self.now)
        except (ValueError, OverflowError, TypeError, IndexError):
            return self.now

    def _joined(self, addressed: str) -> str:
        """The send id: of the address it came to, else of the mail that it returns, else of the one that it answers."""
        places = [addressed, *(value for name in _ADDRESSED for value in self._all(name))]
        if found := next((found for place in places if (found := _VERP.search(place))), None):
            return found[1]
        returned = [_text(part, "Message-ID") for part in self.parts if part is not self.message]
        texts = [part.get_payload() for part in self.parts if part.get_content_type() == "text/rfc822-headers"]
        headers = [text for text in texts if isinstance(text, str)]
        status = [_text(part, "X-Original-Message-ID") for part in self.parts]
        for place in [*returned, *headers, *status, self.header("In-Reply-To"), self.header("References")]:
            if found := _OUR_MESSAGE_ID.search(place):
                return found[1]
        return ""

    def _all(self, name: str) -> list[str]:
        return [str(value) for value in self.message.get_all(name, [])]


def _sort(mail: _Mail) -> Inbound:
    if reports := list(_statuses(mail)) or list(_paragraphs(mail)):
        return Inbound("bounce", reports)
    if mail.report_type == "feedback-report" and (part := mail.part("message/feedback-report")) is not None:
        return _complaint(mail, part)
    # Before automatic answers: Apple's Mail marks the mail by which it unsubscribes as one.
    if token := read_unsubscribe_subject(_decoded(mail.header("Subject"))):
        return Inbound("unsubscribe", token=token)
    if _is_bounce(mail):
        if not mail.send_id:  # what it is about only somebody who reads it can tell
            return Inbound("unknown")
        is_delayed = _DELAYED.search(_decoded(mail.header("Subject")))
        return Inbound("bounce", [_report(mail, "deferred" if is_delayed else "bounced")])
    if _is_automatic(mail):
        return Inbound("automatic")
    return Inbound("unknown")


def _statuses(mail: _Mail) -> Iterator[Report]:
    """One report for each recipient that the status names."""
    named = [block for block in _blocks(mail) if block.get("Action")]
    for number, block in enumerate(named[:_MOST_RECIPIENTS]):
        kind = _ACTIONS.get(_text(block, "Action").strip().lower().partition(" ")[0])
        if kind is None:
            continue
        status, said = status_in(_text(block, "Status")), status_in(_text(block, "Diagnostic-Code"))
        # What the other server said is more precise than Exim's and Google's 5.0.0, and firmer than a 5.1.1 that this
        # one has made of a bare 550 or of what else it heard.
        if status.endswith(".0.0") or classify(status) in ("dead_address", None):
            status = said or status
        yield _report(mail, kind, status, _recipient(block), number)


def _blocks(mail: _Mail) -> list[Message]:
    """The status, block by block; for internationalised mail it has a name of its own, and may be encoded."""
    if mail.message.get_content_type() != "multipart/report":
        return []
    part = mail.part("message/delivery-status") or mail.part("message/global-delivery-status")
    inside = part.get_payload() if part is not None else None
    blocks = [block for block in inside if isinstance(block, Message)] if isinstance(inside, list) else []
    encoding = part.get("Content-Transfer-Encoding", "") if part is not None else ""
    if any(block.get("Action") for block in blocks) or not blocks:
        return blocks
    again = Message(_POLICY)
    again["Content-Transfer-Encoding"] = encoding
    again.set_payload("\n\n".join(block.as_string().strip() for block in blocks))
    decoded = again.get_payload(decode=True)
    text = decoded if isinstance(decoded, bytes) else b""
    status = message_from_bytes(b"Content-Type: message/delivery-status\n\n" + text, policy=_POLICY).get_payload()
    return [block for block in status if isinstance(block, Message)] if isinstance(status, list) else []


def _paragraphs(mail: _Mail) -> Iterator[Report]:
    """The same of a bounce of qmail's, which is text that people and machines can read."""
    text = mail.message.get_payload()
    if not isinstance(text, str) or not text.startswith("Hi. This is the"):
        return
    above, *_ = re.split(r"(?m)^-", text.replace("\r\n", "\n"), maxsplit=1)
    for number, paragraph in enumerate(above.split("\n\n")[:_MOST_RECIPIENTS]):
        if found := re.match(r"\s*<([^<>\s]+@[^<>\s]+)>:\n", paragraph):
            yield _report(mail, "bounced", status_in(paragraph[found.end() :]), found[1], number)


def _recipient(block: Message) -> str:
    """Whose mailbox failed. Where a mail was passed on that is not whom we wrote to, who is the original recipient."""
    for name in ("Final-Recipient", "Original-Recipient"):
        address = _text(block, name).rpartition(";")[2].strip(" \t<>")
        if "@" in address:
            return address
    return ""


def _report(mail: _Mail, kind: FeedbackKind, status: str = "", recipient: str = "", number: int = 0) -> Report:
    failed = kind in ("bounced", "deferred")
    return Report(
        provider="smtp",
        event_id=f"{mail.digest}:{number}",
        kind=kind,
        at=mail.at,
        send_id=mail.send_id,
        recipient=recipient,
        verdict="temporary" if kind == "deferred" else classify(status) if failed else None,
        status=status if failed else "",
    )


def _complaint(mail: _Mail, part: Message) -> Inbound:
    """Its fields are the part's text, or, to some parsers, a mail of their own inside of it."""
    inner = part.get_payload()
    fields = inner[0] if isinstance(inner, list) and inner else inner
    text = fields.as_string() if isinstance(fields, Message) else str(fields)
    found = re.search(r"^Feedback-Type:\s*([a-z-]{1,30})", text, re.IGNORECASE | re.MULTILINE)
    match found[1].lower() if found else "":
        case "abuse" | "fraud" | "virus" | "other":
            return Inbound("complaint", [_report(mail, "complained")])
        case "opt-out" | "opt-out-list":
            return Inbound("complaint", [_report(mail, "unsubscribed")])
        case _:  # `not-spam`, or a report about authentication (RFC 6591), which is no word of the person
            return Inbound("automatic")


def _is_bounce(mail: _Mail) -> bool:
    """A mail server's own words, in no format that is written down anywhere."""
    if mail.report_type == "delivery-status" or mail.header("X-Failed-Recipients"):
        return True
    _, author = parseaddr(mail.header("From"))
    return bool(_DAEMON.match(author))


def _is_automatic(mail: _Mail) -> bool:
    submitted = mail.header("Auto-Submitted").strip().lower()
    return (
        (bool(submitted) and not submitted.startswith("no"))
        or mail.header("Return-Path").strip() == "<>"
        or bool(mail.header("X-Autoreply") or mail.header("X-Autorespond") or mail.header("X-Auto-Response-Suppress"))
        or mail.header("Precedence").strip().lower() in {"auto_reply", "bulk", "junk"}
    )


def _text(message: Message, name: str) -> str:
    """A header as it stands, unfolded; empty when there is none."""
    return re.sub(r"\r?\n(?=[ \t])", "", str(message.get(name, "")))


def _decoded(text: str) -> str:
    """A header as a person reads it (RFC 2047)."""
    pieces = [(piece, charset) for piece, charset in decode_header(text)]
    return "".join(
        piece if isinstance(piece, str) else piece.decode(charset or "ascii", "replace") for piece, charset in pieces
    )
