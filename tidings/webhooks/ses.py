"""Amazon SES, which publishes to an SNS topic, which posts to us.

Sources: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html,
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html (`eventType`) and
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html (`notificationType`)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

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
    from_iso,
    ignoring,
    join,
)

_TOPIC = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9-]+):[0-9]+:[A-Za-z0-9_.-]+")
_CERTIFICATE = r"/SimpleNotificationService-[A-Za-z0-9]+\.pem"
_CONFIRM = r"/\?[!-~]+"
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
"""What of a message is signed, in this order; of what is not there, nothing."""
_HASHES = {"1": SHA1, "2": SHA256}

_PERMANENT: Mapping[str, Verdict] = {
    "General": "dead_address",
    "NoEmail": "dead_address",
    # It bounced lately as none, when another customer of Amazon's wrote to it: this is all that we hear of it, and it
    # counts against us there like a bounce of our own.
    "Suppressed": "dead_address",
}
_LISTED = "OnAccountSuppressionList"
"""On the account's own list, for a bounce or a complaint that was reported when it happened. The status that comes with
it, 5.1.1, is Amazon's own, and no mail server has said it."""
_TRANSIENT: Mapping[str, Verdict] = {
    "MessageTooLarge": "refused",
    "ContentRejected": "refused",
    "AttachmentRejected": "refused",
}
"""`bounceSubType`."""


class _Recipient(msgspec.Struct, rename="camel"):
    email_address: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    """What `bounce`, `complaint`, `delivery`, `deliveryDelay`, `open`, `click` and `subscription` may hold."""

    timestamp: str | None = None
    feedback_id: str | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    bounced_recipients: list[_Recipient] = []
    complained_recipients: list[_Recipient] = []
    complaint_feedback_type: str | None = None
    complaint_sub_type: str | None = None
    delayed_recipients: list[_Recipient] = []
    recipients: list[str] = []
    ip_address: str | None = None
    user_agent: str | None = None
    link: str | None = None
    new_topic_preferences: dict[str, object] | None = None


class _Mail(msgspec.Struct, rename="camel"):
    message_id: str
    timestamp: str
    tags: dict[str, list[str]] | None = None
    headers: list[dict[str, object]] | None = None
    destination: list[str] = []


class _Event(msgspec.Struct, rename="camel"):
    mail: _Mail
    event_type: str | None = None
    notification_type: str | None = None
    bounce: _Part | None = None
    complaint: _Part | None = None
    delivery: _Part | None = None
    delivery_delay: _Part | None = None
    open: _Part | None = None
    click: _Part | None = None
    subscription: _Part | None = None


def home(topic: str) -> str:
    """Where the topic's own region speaks from. No other host of Amazon's will do: on some of them anybody can publish.

    Raises:
        SettingsError: it is no topic's ARN.
    """
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise SettingsError("TIDINGS_HOOKS: what is given for ses is not the ARN of a topic")
    return f"https://sns.{found[2]}.amazonaws.com{'.cn' if found[1] == 'aws-cn' else ''}"


def verify(body: bytes, topic: str, certificate: Callable[[str], bytes], now: datetime) -> None:
    """Topic, certificate, signature, age, in this order: nothing is fetched for a stranger's topic.

    Args:
        body: as it came.
        topic: the ARN of the one topic that is ours.
        certificate: fetches what is at a URL of Amazon's; empty when there is nothing.
        now: the time.

    Raises:
        ForgedError: `wrong_topic`, `bad_certificate`, `bad_signature` or `too_old`.
        InvalidEventError: `unreadable`.
    """
    message = _envelope(body)
    if message.get("TopicArn") != topic:
        raise ForgedError("wrong_topic")
    url, kind = message.get("SigningCertURL", ""), _HASHES.get(message.get("SignatureVersion", ""))
    if not re.fullmatch(re.escape(home(topic)) + _CERTIFICATE, url):
        raise ForgedError("bad_certificate")
    signature = from_base64(message.get("Signature", ""))
    fields = _SIGNED.get(message.get("Type", ""))
    if signature is None or fields is None or kind is None:
        raise ForgedError("bad_signature")
    signed = "".join(f"{field}\n{message[field]}\n" for field in fields if field in message)
    try:
        public_key = x509.load_pem_x509_certificate(certificate(url)).public_key()
    except ValueError:
        raise ForgedError("bad_certificate") from None
    if not isinstance(public_key, RSAPublicKey):
        raise ForgedError("bad_certificate")
    try:
        public_key.verify(signature, signed.encode("utf-8", "surrogatepass"), PKCS1v15(), kind())
    except InvalidSignature:
        raise ForgedError("bad_signature") from None
    check_age(from_iso(message.get("Timestamp", "")), now)


def subscription(body: bytes, topic: str) -> str:
    """Of a verified body: the URL to visit to confirm that we want this topic's messages; otherwise empty.

    Raises:
        ForgedError: `bad_confirmation`, it is not where the topic is at home.
    """
    message = _envelope(body)
    if message.get("Type") != "SubscriptionConfirmation":
        return ""
    url = message.get("SubscribeURL", "")
    if not re.fullmatch(re.escape(home(topic)) + _CONFIRM, url):
        raise ForgedError("bad_confirmation")
    return url


def _envelope(body: bytes) -> dict[str, str]:
    """The text fields of an SNS message. Attributes, which may be a nested object, are not signed and not read."""
    return {name: value for name, value in decode(body, dict[str, object]).items() if isinstance(value, str)}


def parse(body: bytes) -> Reading:
    """What the event in the message says.

    Raises:
        InvalidEventError: `unreadable`.
    """
    message = _envelope(body)
    if message.get("Type") != "Notification":
        return ignoring(re.sub(r"(?<!^)(?=[A-Z])", " ", message.get("Type", "")))
    text = message.get("Message", "")
    if not text.lstrip().startswith("{"):  # Amazon's greeting to a new topic
        return ignoring("text")
    event = decode(text.encode("utf-8", "surrogatepass"), _Event)
    reading = ignoring("", 0)
    reading.reports.extend(_reports(event))
    return reading if reading.reports else ignoring(event.event_type or event.notification_type or "")


def _reports(event: _Event) -> Sequence[Report]:
    """One for each recipient."""
    name = event.event_type or event.notification_type
    match name:
        case "Bounce" if event.bounce:
            return [_failure(event, event.bounce, one, n) for n, one in enumerate(event.bounce.bounced_recipients)]
        case "Complaint" if event.complaint:
            return _complaints(event, event.complaint)
        case "Delivery" if event.delivery:
            return [
                _report(event, event.delivery, "delivered", one, n) for n, one in enumerate(event.delivery.recipients)
            ]
        case "DeliveryDelay" if event.delivery_delay:
            delay = event.delivery_delay
            return [_failure(event, delay, one, n, "deferred") for n, one in enumerate(delay.delayed_recipients)]
        case "Open" if event.open:
            return [_report(event, event.open, "opened")]
        case "Click" if event.click:
            return [_report(event, event.click, "clicked")]
        case "Subscription" if event.subscription:
            return _subscription(event, event.subscription)
        case "Reject" | "Rendering Failure":  # Amazon took it, and thought better of it
            return [_report(event, _Part(timestamp=event.mail.timestamp), "bounced", verdict="refused", note=name)]
        case "Bounce" | "Complaint" | "Delivery" | "DeliveryDelay" | "Open" | "Click" | "Subscription":
            raise InvalidEventError("unreadable", "an event of Amazon SES lacks the part that it is about")
        case _:
            return []


def _failure(event: _Event, part: _Part, one: _Recipient, number: int, kind: FeedbackKind = "bounced") -> Report:
    status = one.status if one.status and status_in(one.status) else status_in(one.diagnostic_code or "")
    sub_type = part.bounce_sub_type or ""
    if sub_type == _LISTED:
        return _report(event, part, kind, one.email_address or "", number, verdict="address", note=sub_type)
    hint: Verdict | None = None
    if part.bounce_type == "Permanent":
        hint = _PERMANENT.get(sub_type, "address")
    elif part.bounce_type == "Transient":
        hint = _TRANSIENT.get(sub_type, "temporary")
    verdict = "temporary" if kind == "deferred" else classify(status, hint)
    return _report(event, part, kind, one.email_address or "", number, verdict=verdict, status=status, note=sub_type)


def _complaints(event: _Event, part: _Part) -> Sequence[Report]:
    """A complaint; or a mail that Amazon did not send, because of a complaint that it has heard before."""
    if part.complaint_feedback_type == "not-spam":
        return []
    if part.complaint_sub_type:
        return [
            _report(event, part, "bounced", one.email_address or "", n, verdict="address", note=part.complaint_sub_type)
            for n, one in enumerate(part.complained_recipients)
        ]
    people = part.complained_recipients
    return [_report(event, part, "complained", one.email_address or "", n) for n, one in enumerate(people)]


def _subscription(event: _Event, part: _Part) -> Sequence[Report]:
    """Somebody chose at Amazon's own preference page, or by its List-Unsubscribe."""
    chosen = part.new_topic_preferences or {}
    topics = chosen.get("topicSubscriptionStatus")
    left = [one for one in topics if isinstance(one, dict)] if isinstance(topics, list) else []
    if chosen.get("unsubscribeAll") is True:
        return [_report(event, part, "unsubscribed")]
    if any(one.get("subscriptionStatus") == "OptOut" for one in left):
        return [_report(event, part, "unsubscribed", everything=False)]
    return []


def _report(
    event: _Event,
    part: _Part,
    kind: FeedbackKind,
    recipient: str = "",
    number: int = 0,
    *,
    verdict: Verdict | None = None,
    status: str = "",
    note: str = "",
    everything: bool = True,
) -> Report:
    mail = event.mail
    if not part.timestamp:
        raise InvalidEventError("unreadable", "an event of Amazon SES has no timestamp")
    is_hit = kind in ("opened", "clicked")
    return Report(
        provider="ses",
        event_id=f"{mail.message_id}:{part.feedback_id or part.timestamp}:{number}",
        kind=kind,
        at=from_iso(part.timestamp),
        send_id=join(next(iter((mail.tags or {}).get(SEND_ID, ())), None), *_message_ids(mail)),
        recipient=recipient,
        verdict=verdict,
        status=status,
        note=note,
        everything=everything,
        url=part.link or "",
        origin=Origin(ip=part.ip_address or "", user_agent=part.user_agent or "") if is_hit else None,
    )


def _message_ids(mail: _Mail) -> list[str]:
    """Ours, as it stood in the mail that we handed over: Amazon replaces it by one of its own."""
    named = [(one.get("name"), one.get("value")) for one in mail.headers or []]
    return [value for name, value in named if str(name).lower() == "message-id" and isinstance(value, str)]
