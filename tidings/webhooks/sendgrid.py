"""SendGrid's Event Webhook: an array of events, signed as a whole.

Sources: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event and
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tidings.errors import InvalidEventError
from tidings.feedback.bounces import Verdict, classify, status_in
from tidings.mailing.mail import SEND_ID
from tidings.records.feedback import FeedbackKind, Origin
from tidings.settings import SettingsError
from tidings.webhooks.reports import (
    ForgedError,
    Reading,
    Report,
    check_age,
    decode,
    from_base64,
    from_epoch,
    ignoring,
    join,
)

SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"

_KINDS: Mapping[str, FeedbackKind] = {
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounced",
    "dropped": "bounced",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}
_CLASSES: Mapping[str, Verdict] = {
    "invalid": "dead_address",
    "mailbox": "address",
    "content": "refused",
    "reputation": "refused",
    "frequency": "refused",
    "technical": "temporary",
}
"""The first word of `bounce_classification`: some say `Invalid Address`, and others `invalid`."""
_DROPS: Mapping[str, Verdict] = {
    "invalid": "dead_address",  # it is no address at all
    # On a list of SendGrid's, for something that happened before, and that was reported then.
    "bounced address": "address",
    "spam reporting address": "address",
    "unsubscribed address": "address",
}
"""`reason` of `dropped`."""


class _Event(msgspec.Struct):
    event: str
    timestamp: float
    email: str | None = None
    sg_event_id: str | None = None
    sg_message_id: str | None = None
    smtp_id: str | None = msgspec.field(name="smtp-id", default=None)
    send_id: str | None = msgspec.field(name=SEND_ID, default=None)
    status: str | None = None
    reason: str | None = None
    response: str | None = None
    type: str | None = None
    bounce_classification: str | None = None
    sg_machine_open: bool | None = None
    useragent: str | None = None
    ip: str | None = None
    url: str | None = None


@lru_cache(maxsize=4)
def public_key(text: str) -> ec.EllipticCurvePublicKey:
    """The key as SendGrid shows it: base64 of a DER SubjectPublicKeyInfo, on P-256.

    Raises:
        SettingsError: it is none.
    """
    try:
        key = load_der_public_key(from_base64(text) or b"")
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise SettingsError("TIDINGS_HOOKS: what is given for sendgrid is not its verification key")
    return key


def verify(body: bytes, signature: str, timestamp: str, key: str, now: datetime) -> None:
    """ECDSA over timestamp and body, as they came; signature and timestamp are headers.

    Raises:
        ForgedError: `bad_signature`, or `too_old`.
    """
    given = from_base64(signature)
    if not (given and re.fullmatch(r"[0-9]{1,11}", timestamp)):
        raise ForgedError("bad_signature")
    try:
        public_key(key).verify(given, timestamp.encode() + body, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise ForgedError("bad_signature") from None
    check_age(from_epoch(int(timestamp)), now)


def parse(body: bytes) -> Reading:
    """What the events say.

    Raises:
        InvalidEventError: `unreadable`, it is no array.
    """
    reading = Reading([], Counter(), [])
    for item in decode(body, list[msgspec.Raw]):
        try:
            event = decode(bytes(item), _Event)
            kind = _KINDS.get(event.event)
            if kind is None:
                reading.ignored.update(ignoring(event.event).ignored)
            else:
                reading.reports.append(_report(event, kind))
        except InvalidEventError:
            reading.unreadable.append(bytes(item))
    return reading


def _report(event: _Event, kind: FeedbackKind) -> Report:
    said = event.reason or event.response or ""
    failed = kind in ("bounced", "deferred")
    given = status_in(event.status or "")
    status = (given if not given.endswith(".0.0") else "") or status_in(said)
    is_machine = bool(event.sg_machine_open)
    return Report(
        provider="sendgrid",
        event_id=event.sg_event_id or f"{event.sg_message_id}:{event.event}:{event.timestamp}",
        kind=kind,
        at=from_epoch(event.timestamp),
        send_id=join(event.send_id, event.smtp_id),
        recipient=event.email or "",
        verdict=_verdict(event, kind, status) if failed else None,
        status=(status or given) if failed else "",
        note=_note(event) if kind == "bounced" else "",
        everything=event.event != "group_unsubscribe",
        agent="prefetch" if is_machine else "unknown",
        reasons=("sg_machine_open",) if is_machine else (),
        url=event.url or "",
        origin=Origin(ip=event.ip or "", user_agent=event.useragent or "") if kind in ("opened", "clicked") else None,
    )


def _note(event: _Event) -> str:
    reason = (event.reason or "").lower()
    return f"dropped, {reason}" if event.event == "dropped" and reason in _DROPS else event.type or event.event


def _verdict(event: _Event, kind: FeedbackKind, status: str) -> Verdict | None:
    if kind == "deferred":
        return "temporary"
    if event.event == "dropped":
        return _DROPS.get((event.reason or "").lower(), "refused")
    said = re.match(r"[a-z]*", (event.bounce_classification or "").lower())
    hint = _CLASSES.get(said[0] if said else "")
    if event.type == "blocked":  # "could not or would not accept the message temporarily"
        return classify(status, "refused" if hint in (None, "dead_address") else hint)
    # "would not accept mail to this recipient permanently", unless the class, or a firm status, says something else
    return classify(status, hint or ("address" if event.bounce_classification else "dead_address"))
