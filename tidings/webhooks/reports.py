"""A provider's word about one mail, in our terms; and what every reader of such words needs."""

import base64
import binascii
import hashlib
import hmac
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

import msgspec

from tidings.errors import InvalidEventError, TidingsError
from tidings.feedback.bounces import Verdict
from tidings.records.feedback import Agent, Feedback, FeedbackKind, Origin

AGE = timedelta(hours=25)
"""How old a signed request may be. Providers try for up to a day, some under the signature of the first time."""

AHEAD = timedelta(minutes=10)
"""How far a provider's clock may be ahead of ours."""

_SEND_ID = re.compile(r"[0-9a-f]{32}")
_MESSAGE_ID = re.compile(r"<?([0-9a-f]{32})@")
_Shape = TypeVar("_Shape")


class ForgedError(TidingsError):
    """The request does not come from whom it says, or is an old one played again. `reason` is safe as a label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one mail.

    Attributes:
        provider: who says so: `sendgrid`, `ses`, `mailgun`, `postmark`, or `smtp` for a bounce mail.
        event_id: the same whenever the same thing is reported again. No address, and nothing made of one alone.
        at: when it happened.
        send_id: which mail, where the report says it; otherwise empty.
        recipient: the address that it is about, as the provider writes it. It is compared, and never kept.
        address_digest: its digest, where that is all that is left of it: in a dead letter.
        verdict: of `bounced` and `deferred`, whose fault it is; None when nobody knows.
        status: of those, the enhanced status code, such as `5.1.1`.
        note: a short code of the provider's own for what happened, such as `suppress-bounce`.
        everything: of `unsubscribed`, whether they left all marketing mail, or what this mail was an example of.
        agent / reasons / url / origin: of `opened` and `clicked`.
    """

    provider: str
    event_id: str
    kind: FeedbackKind
    at: datetime
    send_id: str = ""
    recipient: str = ""
    address_digest: str = ""
    verdict: Verdict | None = None
    status: str = ""
    note: str = ""
    everything: bool = True
    agent: Agent = "unknown"
    reasons: tuple[str, ...] = ()
    url: str = ""
    origin: Origin | None = None

    @property
    def feedback_id(self) -> str:
        """Under which id the feedback is kept, once."""
        said = msgspec.json.encode((self.provider, self.event_id, self.kind))
        return f"{self.provider}-{hashlib.blake2b(said, digest_size=16).hexdigest()}"

    def feedback(self, person: str, now: datetime, links: tuple[str, ...] = ()) -> Feedback:
        """What is kept of it. `links` are the targets of the mail's own tracked links."""
        return Feedback(
            feedback_id=self.feedback_id,
            person=person,
            send_id=self.send_id,
            at=min(self.at, now),
            kind=self.kind,
            source=self.provider,
            agent=self.agent,
            reasons=self.reasons,
            detail=self._detail(links),
            origin=self.origin,
        )

    def _detail(self, links: tuple[str, ...]) -> dict[str, object]:
        detail: dict[str, object] = {"status": self.status, "verdict": self.verdict, "note": self.note}
        if self.kind == "bounced" and self.verdict is not None:
            detail["permanent"] = self.verdict == "dead_address"
        if self.url in links:  # any other URL may hold whatever a person brought along
            detail["link"] = links.index(self.url) + 1
        return {name: value for name, value in detail.items() if value not in ("", None)}


class Reading(NamedTuple):
    """What a body said.

    Attributes:
        reports: what concerns us.
        ignored: how often it told what does not, by the provider's name for it.
        unreadable: parts of the body that are not what they should be.
    """

    reports: list[Report]
    ignored: Counter[str]
    unreadable: list[bytes]


def ignoring(name: str, count: int = 1) -> Reading:
    """A reading of nothing but things that do not concern us. An unheard-of name is not repeated in logs."""
    label = re.sub(r"[^a-z0-9]+", "_", name.lower()) if re.fullmatch(r"[A-Za-z][A-Za-z _-]{0,39}", name) else "other"
    return Reading([], Counter({label: count}), [])


def decode(data: bytes, shape: type[_Shape]) -> _Shape:
    """JSON of this shape; numbers may be written as text.

    Raises:
        InvalidEventError: `unreadable`; nothing of it is quoted.
    """
    try:
        return msgspec.json.decode(data, type=shape, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("unreadable", f"the body cannot be read: {type(error).__name__}") from None


def check_age(at: datetime, now: datetime) -> None:
    """Refuse what was signed too long ago, or is said to be signed in the future.

    Raises:
        ForgedError: `too_old`.
    """
    if not now - AGE <= at <= now + AHEAD:
        raise ForgedError("too_old")


def check_basic(authorization: str, key: str) -> None:
    """HTTP Basic authentication with `user:password` (RFC 7617).

    Raises:
        ForgedError: `bad_credentials`.
    """
    scheme, _, given = authorization.partition(" ")
    found = from_base64(given.strip())
    if scheme.lower() != "basic" or found is None or not hmac.compare_digest(found, key.encode()):
        raise ForgedError("bad_credentials")


def from_base64(text: str) -> bytes | None:
    """The bytes, or None. One spelling for the same bytes: base64 lets the last letter of others decode to them too."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def from_epoch(seconds: float) -> datetime:
    """An instant in seconds since 1970.

    Raises:
        InvalidEventError: `unreadable`, no calendar has it.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidEventError("unreadable", "a time is beyond the calendar") from None


def from_iso(text: str) -> datetime:
    """An instant in ISO 8601; UTC when it does not say. What is finer than a microsecond is dropped.

    Raises:
        InvalidEventError: `unreadable`.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidEventError("unreadable", "a time is not in ISO 8601") from None


def join(metadata: object, *message_ids: str | None) -> str:
    """The send id: what we gave the provider along with the mail, else what a Message-ID of ours says, else empty."""
    if isinstance(metadata, str) and _SEND_ID.fullmatch(metadata):
        return metadata
    found = (_MESSAGE_ID.match(one.strip()) for one in message_ids if one)
    return next((one[1] for one in found if one), "")
