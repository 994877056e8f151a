"""Postmark's webhooks: one record in each. Nothing is signed: who knows user and password is believed.

Sources: https://postmarkapp.com/developer/webhooks/webhooks-overview and
https://postmarkapp.com/developer/api/bounce-api#bounce-types
"""

from collections.abc import Mapping

import msgspec

from tidings.feedback.bounces import Verdict, classify, status_in
from tidings.mailing.mail import SEND_ID
from tidings.records.feedback import FeedbackKind, Origin
from tidings.webhooks.reports import Reading, Report, check_basic, decode, from_iso, ignoring, join

_TYPES: Mapping[str, tuple[FeedbackKind, Verdict | None]] = {
    "HardBounce": ("bounced", "dead_address"),
    "BadEmailAddress": ("bounced", "dead_address"),
    "SoftBounce": ("bounced", "temporary"),
    "DnsError": ("bounced", "temporary"),
    "Transient": ("deferred", "temporary"),
    "ManuallyDeactivated": ("bounced", "address"),
    "Unconfirmed": ("bounced", "address"),
    "Blocked": ("bounced", "refused"),
    "SpamNotification": ("bounced", "refused"),
    "VirusNotification": ("bounced", "refused"),
    "ChallengeVerification": ("bounced", "refused"),
    "DMARCPolicy": ("bounced", "refused"),
    "SMTPApiError": ("bounced", "refused"),
    "TemplateRenderingFailed": ("bounced", "refused"),
    "InboundError": ("bounced", "refused"),
    "Unknown": ("bounced", None),
    "SpamComplaint": ("complained", None),
    "Unsubscribe": ("unsubscribed", None),
}
"""`Type` of a bounce; of one that is not here, nothing more is known."""
_ANSWERS = frozenset({"AutoResponder", "AddressChange", "OpenRelayTest", "Subscribe"})
"""Types that are no bounce: what people's mail programs write back."""


class _Geo(msgspec.Struct):
    ip: str | None = msgspec.field(name="IP", default=None)


class _Record(msgspec.Struct, rename="pascal"):
    record_type: str
    id: int | None = msgspec.field(name="ID", default=None)
    message_id: str | None = msgspec.field(name="MessageID", default=None)
    type: str | None = None
    metadata: dict[str, object] | None = None
    email: str | None = None
    recipient: str | None = None
    details: str | None = None
    delivered_at: str | None = None
    bounced_at: str | None = None
    received_at: str | None = None
    changed_at: str | None = None
    suppress_sending: bool | None = None
    suppression_reason: str | None = None
    user_agent: str | None = None
    geo: _Geo | None = None
    original_link: str | None = None


verify = check_basic


def parse(body: bytes) -> Reading:
    """What the record says.

    Raises:
        InvalidEventError: `unreadable`.
    """
    record = decode(body, _Record)
    kind: FeedbackKind
    verdict: Verdict | None = None
    match record.record_type:
        case "Delivery":
            kind, at = "delivered", record.delivered_at
        case "Open":
            kind, at = "opened", record.received_at
        case "Click":
            kind, at = "clicked", record.received_at
        case "SpamComplaint":
            kind, at = "complained", record.bounced_at
        case "Bounce" if record.type not in _ANSWERS:
            (kind, verdict), at = _TYPES.get(record.type or "", ("bounced", None)), record.bounced_at
        # The list also changes because of a bounce or a complaint, of which we hear by itself; or to let mail through.
        case "SubscriptionChange" if record.suppress_sending and record.suppression_reason == "ManualSuppression":
            kind, at = "unsubscribed", record.changed_at
        case _:
            return ignoring(record.type or record.record_type if record.record_type == "Bounce" else record.record_type)
    reading = ignoring("", 0)
    reading.reports.append(_report(record, kind, verdict, at or ""))
    return reading


def _report(record: _Record, kind: FeedbackKind, hint: Verdict | None, at: str) -> Report:
    failed = kind in ("bounced", "deferred")
    status = status_in(record.details or "") if failed else ""
    is_hit = kind in ("opened", "clicked")
    origin = Origin(ip=(record.geo and record.geo.ip) or "", user_agent=record.user_agent or "")
    return Report(
        provider="postmark",
        event_id=f"{record.message_id}:{record.id or at}:{record.record_type}",
        kind=kind,
        at=from_iso(at),
        send_id=join((record.metadata or {}).get(SEND_ID)),
        recipient=record.email or record.recipient or "",
        verdict=hint if kind == "deferred" else classify(status, hint) if failed else None,
        status=status,
        note=record.type or "" if kind == "bounced" else "",
        url=record.original_link or "",
        origin=origin if is_hit else None,
    )
