"""Mailgun's webhooks: one event in each, beside a signature that does not cover it.

The signature is over a time and a token and nothing else, so a token must be good for one body only: see `verify`.
Sources: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads and
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from tidings.feedback.bounces import Verdict, classify, status_in
from tidings.mailing.mail import SEND_ID
from tidings.records.feedback import Agent, FeedbackKind, Origin
from tidings.webhooks.reports import ForgedError, Reading, Report, check_age, decode, from_epoch, ignoring, join

_KINDS: Mapping[str, FeedbackKind] = {
    "delivered": "delivered",
    "failed": "bounced",
    "rejected": "bounced",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "opened": "opened",
    "clicked": "clicked",
}
_LISTED = frozenset({"suppress-bounce", "suppress-complaint", "suppress-unsubscribe"})
"""On a list of Mailgun's, for something that happened before, and that was reported then; no mail server was asked."""
_REASONS: Mapping[str, Verdict] = {
    "espblock": "refused",
    "old": "temporary",  # tried until its time was up
}
_BOTS: Mapping[str, Agent] = {"apple": "prefetch", "gmail": "proxy", "yahoo": "proxy"}
"""`client-info.bot`; any other name is a scanner's."""


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Message(msgspec.Struct):
    headers: dict[str, object] = {}


class _Delivery(msgspec.Struct, rename="kebab"):
    code: float | str | None = None
    enhanced_code: str | None = None
    message: str | None = None
    description: str | None = None


class _Client(msgspec.Struct, rename="kebab"):
    bot: str | None = None
    user_agent: str | None = None


class _Event(msgspec.Struct, rename="kebab"):
    event: str
    timestamp: float
    id: str | None = None
    severity: str | None = None
    reason: str | None = None
    recipient: str | None = None
    message: _Message | None = None
    delivery_status: _Delivery | None = None
    user_variables: dict[str, object] | None = None
    client_info: _Client | None = None
    ip: str | None = None
    url: str | None = None


class _Signed(msgspec.Struct):
    signature: _Signature


class _Body(msgspec.Struct, rename="kebab"):
    event_data: _Event


def verify(body: bytes, key: str, now: datetime) -> str:
    """HMAC-SHA256 over time and token. Returns the token, which the caller must accept with one body only.

    Raises:
        ForgedError: `bad_signature`, or `too_old`.
        InvalidEventError: `unreadable`.
    """
    given = decode(body, _Signed).signature
    said = (given.timestamp + given.token).encode("utf-8", "surrogatepass")
    expected = hmac.new(key.encode(), said, "sha256").hexdigest()
    if not hmac.compare_digest(expected.encode(), given.signature.encode("utf-8", "surrogatepass")):
        raise ForgedError("bad_signature")
    # A digit that wandered from token to time, or back, would be signed as well. No such time is near.
    if not re.fullmatch(r"[0-9]{1,11}", given.timestamp):
        raise ForgedError("bad_signature")
    check_age(from_epoch(int(given.timestamp)), now)
    return given.token


def parse(body: bytes) -> Reading:
    """What the event says.

    Raises:
        InvalidEventError: `unreadable`.
    """
    event = decode(body, _Body).event_data
    kind = _KINDS.get(event.event)
    if kind is None:
        return ignoring(event.event)
    if event.event == "failed" and event.severity == "temporary":
        kind = "deferred"
    reading = ignoring("", 0)
    reading.reports.append(_report(event, kind))
    return reading


def _report(event: _Event, kind: FeedbackKind) -> Report:
    headers = event.message.headers if event.message else {}
    message_id = headers.get("message-id")
    status = _status(event.delivery_status) if event.delivery_status else ""
    failed = kind in ("bounced", "deferred")
    client = event.client_info or _Client()
    is_hit = kind in ("opened", "clicked")
    return Report(
        provider="mailgun",
        # An id of Mailgun's is "guaranteed to be unique within a day", so the time is part of it.
        event_id=f"{event.id or message_id}:{event.timestamp}",
        kind=kind,
        at=from_epoch(event.timestamp),
        send_id=join((event.user_variables or {}).get(SEND_ID), message_id if isinstance(message_id, str) else None),
        recipient=event.recipient or "",
        verdict=_verdict(event, kind, status) if failed else None,
        status=status if failed else "",
        note=(event.reason or event.event) if kind == "bounced" else "",
        agent=_BOTS.get(client.bot, "scanner") if is_hit and client.bot else "unknown",
        reasons=("bot",) if is_hit and client.bot else (),
        url=event.url or "",
        origin=Origin(ip=event.ip or "", user_agent=client.user_agent or "") if is_hit else None,
    )


def _status(delivery: _Delivery) -> str:
    said = (delivery.enhanced_code, str(delivery.code or ""), delivery.message, delivery.description)
    return next((found for one in said if one and (found := status_in(one))), "")


def _verdict(event: _Event, kind: FeedbackKind, status: str) -> Verdict | None:
    if kind == "deferred":
        return "temporary"
    if event.reason in _LISTED:
        return "address"
    code = event.delivery_status.code if event.delivery_status else None
    # Without an enhanced status these three speak of the mailbox, as in SMTP, and not always for good.
    by_code: Verdict = "address" if str(code).removesuffix(".0") in ("550", "551", "553") else "refused"
    hint = _REASONS.get(event.reason or "", None if status else by_code)
    return classify(status, hint)
