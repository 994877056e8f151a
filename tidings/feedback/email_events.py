"""What becomes of our mail, as events of the person who got it: the words of Segment's email spec, and two of our own.

Source: https://segment.com/docs/connections/spec/email/ (and `Email Sent`, `Email Suppressed`, which it does not have).

One builder for everybody who has something to tell: the mailer, the pages behind the links, the webhooks. An event
carries one id of a person, so it joins nobody to anybody; and no IP address, for those are kept for a shorter time
than events are (`tidings.records.retention`). Its messageId is derived from what it tells, so it may be told twice.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from tidings.permission.consent import MARKETING
from tidings.records.feedback import Agent, Feedback, FeedbackKind
from tidings.records.store import LedgerEntry
from tidings.wire.decisions import PERSON
from tidings.wire.events import Event, track

SENT, SUPPRESSED = "Email Sent", "Email Suppressed"

NAMES: Mapping[FeedbackKind, str] = {
    "delivered": "Email Delivered",
    "bounced": "Email Bounced",
    "complained": "Email Marked as Spam",
    "unsubscribed": "Unsubscribed",
    "opened": "Email Opened",
    "clicked": "Email Link Clicked",
}
"""What each kind of feedback is called. `deferred` is none of the person's business: the mail is still on its way."""

_COUNTS: Mapping[FeedbackKind, frozenset[Agent]] = {
    "opened": frozenset({"human", "proxy"}),
    "clicked": frozenset({"human"}),
}
"""Behind which hits there is taken to be a person. A scanner's click would have a rule write to somebody asleep."""

_ENDINGS = {"sent": SENT, "suppressed": SUPPRESSED}


def of_feedback(feedback: Feedback, entry: LedgerEntry | None, received_at: datetime) -> Event | None:
    """The event that a piece of feedback is to its person, or None when it is none.

    None for a deferral, for an open that no person is taken to be behind, for a click that is not human, and for
    whatever comes back about mail to a role: the person whom it was about has nothing to do with it.

    Args:
        feedback: `detail` may hold `link` and `url` (of a click), `status` and `permanent` (of a bounce), and
            `category` (what an unsubscription is about; all marketing when it does not say).
        entry: the ledger's, if there still is one: it knows subject, rule and the target of a link.
        received_at: when we heard of it; not before `feedback.at`.
    """
    name = NAMES.get(feedback.kind)
    is_to_role = entry is not None and entry.decision.to != PERSON
    if name is None or is_to_role or feedback.agent not in _COUNTS.get(feedback.kind, {feedback.agent}):
        return None
    said = _of_mail(feedback.send_id, entry) | _of_kind(feedback, entry)
    told = (feedback.person, feedback.feedback_id)
    digest = hashlib.blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()
    return track(f"feedback-{digest}", name, feedback.person, said, feedback.at, received_at)


def of_ending(entry: LedgerEntry) -> Event | None:
    """`Email Sent` or `Email Suppressed` (with its `reason`) for a ledger entry that has ended so.

    None while it has not ended, for mail to a role, a shadow or a dead letter, of which the person hears nothing; and
    for somebody who was erased: there is nobody to tell it of.
    """
    name = _ENDINGS.get(entry.status)
    if name is None or entry.decision.to != PERSON or entry.reason == "erased":
        return None
    said = _of_mail(entry.send_id, entry) | {"reason": entry.reason}
    message_id = f"{entry.status}-{entry.send_id}"
    return track(message_id, name, entry.decision.person, said, entry.updated_at, entry.updated_at)


def _of_mail(send_id: str, entry: LedgerEntry | None) -> dict[str, Any]:
    if entry is None:
        return {"email_id": send_id}
    return {
        "email_id": send_id,
        "email_subject": entry.letter.subject if entry.letter else None,
        "campaign_id": entry.decision.rule_id,
        "campaign_name": entry.decision.rule_id,  # the name of a rule may change, and what happened may not
        "category": entry.decision.category or MARKETING,
    }


def _of_kind(feedback: Feedback, entry: LedgerEntry | None) -> dict[str, Any]:
    detail = feedback.detail
    match feedback.kind:
        case "opened":
            return {"agent": feedback.agent}
        case "clicked":
            number = detail.get("link")
            links = entry.links if entry else ()
            target = links[number - 1] if isinstance(number, int) and 1 <= number <= len(links) else None
            link_id = None if number is None else str(number)
            return {"agent": feedback.agent, "link_id": link_id, "link_url": detail.get("url") or target}
        case "bounced":
            return {name: detail.get(name) for name in ("status", "permanent")}
        case "unsubscribed":
            return {"category": detail.get("category") or MARKETING, "source": feedback.source}
        case _:
            return {}
