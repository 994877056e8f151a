"""What came back about a mail: opens and clicks that we saw ourselves, and what providers and mail servers report.

Everything is kept as it came, with whom we take to be behind it and why; nothing is thrown away because it looks like a
machine. What counts, and what becomes an event of the person, is decided from that.
"""

from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

FeedbackKind = Literal["delivered", "deferred", "bounced", "complained", "opened", "clicked", "unsubscribed"]
FEEDBACK_KINDS: tuple[str, ...] = get_args(FeedbackKind)

Agent = Literal[
    "human",  # nothing speaks against a person
    "proxy",  # a mail provider fetched it when the person looked (Gmail, Yahoo): a real open, another's address
    "prefetch",  # fetched before, or whether or not, anybody looked (Apple's Mail Privacy Protection)
    "scanner",  # a security product that follows every link
    "unknown",  # nothing is known of who it was
]
"""Who is taken to be behind a hit."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request came from. Personal data, and kept for a shorter time than what it was about."""

    ip: str = ""
    user_agent: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that came back about one mail.

    Attributes:
        feedback_id: derived from content, so that a webhook that is delivered twice is kept once.
        person / send_id: whose mail, and which.
        at: when it happened, by whoever saw it; never after we heard of it.
        source: who saw it: `engage`, `smtp`, `sendgrid`, `ses`, `mailgun`, `postmark`.
        agent / reasons: of opens and clicks, who is taken to be behind it, and what speaks for that, as short codes.
        detail: small and plain, and free of addresses: `link` (its number), `url`, `status` (of a bounce, such as
            5.1.1), `permanent`, ...
        origin: where the request came from; gone after a while, see `tidings.records.retention`.
    """

    feedback_id: str
    person: str
    send_id: str
    at: datetime
    kind: FeedbackKind
    source: str
    agent: Agent = "unknown"
    reasons: tuple[str, ...] = ()
    detail: dict[str, Any] = {}
    origin: Origin | None = None
