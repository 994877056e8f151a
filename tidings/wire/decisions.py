"""What the engine decides, as it travels over the sends topic, and the closed lists of how it can end.

A decision is self-contained: the mailer needs it, the person's profile and consent, and nothing else.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from tidings.errors import InvalidEventError

SCHEMA = "tidings.decision.v1"
"""The Pub/Sub attribute `schema` of every decision."""

Reason = Literal[
    "missing_address",  # nobody to write to: no profile, no email trait, or one that is no address
    "no_consent",  # marketing, and the person never agreed
    "opted_out",  # the person has said no
    "suppressed_address",  # the address bounced for good or complained
    "frequency_capped",
    "quiet_hours_missed",
    "exited",
    "duplicate",
    "holdout",
    "rule_paused",
    "erased",
    "render_failed",
    "waited_too_long",  # marketing, and its turn among many did not come in time, or all mail was stopped
]
"""Why a decision did not become an email. One closed list, so that it can be counted and explained."""
REASONS: tuple[str, ...] = get_args(Reason)

PERSON = "person"
"""To whom a decision is, unless it is to a role."""

Outcome = Literal["send", "shadow", "suppressed"]
MailKind = Literal["marketing", "transactional"]


GateName = Literal["exit", "audience", "status", "consent", "holdout", "quiet_hours", "frequency_cap"]
"""What a send must pass, in the order in which it is asked."""


class Gate(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One gate that a send came to. A gate that its rule does not have is not asked, and not listed.

    Attributes:
        detail: what the answer rests on, for a person to read. Never a value that somebody has brought.
    """

    name: GateName
    passed: bool = True
    detail: str = ""


class Trigger(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One of the events behind a decision, with what a template may want to show of it."""

    name: str
    timestamp: datetime
    properties: msgspec.Raw = msgspec.Raw(b"{}")


class Decision(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One rule decided something for one person.

    Attributes:
        send_id: derived from content, see `send_id()`; ledger key, Message-ID and idempotency key.
        person: `u:<userId>` or `a:<anonymousId>`.
        entry_key: the value that keeps episodes apart (a cart id), or empty.
        episode: the name of this run of the rule, derived from the event that began it.
        to: `person`, or the name of a role whose address is configured (`support`).
        outcome: `send`; `shadow` (record it, never send it); or `suppressed`, with `reason`.
        due_at: the instant, in event time, at which the rule's condition became true.
        scheduled_at: when this send was to go, after the waits of steps and nights; None for `due_at`.
        decided_at: the instant the engine was told it is: receipt of the event, or the watermark of the timer.
        evidence: the messageIds that caused it, oldest first.
        gates: what it had to pass, in this order; the first that stopped it is the last one.
        event: the event that a template shows first (the completing one, or the latest anchor).
        events: all the events that the rule kept for the template, oldest first.
    """

    send_id: str
    rule_id: str
    rule_version: str
    person: str
    episode: str
    template: str
    due_at: datetime
    decided_at: datetime
    evidence: tuple[str, ...]
    event: Trigger
    events: tuple[Trigger, ...] = ()
    entry_key: str = ""
    step: int = 0
    to: str = PERSON
    kind: MailKind = "marketing"
    category: str = ""
    outcome: Outcome = "send"
    reason: Reason | None = None
    scheduled_at: datetime | None = None
    gates: tuple[Gate, ...] = ()


def send_id(rule_id: str, rule_version: str, person: str, entry_key: str, episode: str, step: int) -> str:
    """The identity of one send: the same content gives the same id in every run, replay and retry.

    Returns 32 hexadecimal characters (128 bits of BLAKE2b over the length-prefixed parts).
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (rule_id, rule_version, person, entry_key, episode, str(step)):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()


def without_person(decision: Decision, digest: str) -> Decision:
    """What may stay of a decision about somebody who was erased: what was decided and when, and not about whom.

    Args:
        decision: what was decided.
        digest: `tidings.permission.consent.person_digest`, in place of the person.
    """
    return replace(
        decision,
        person=digest,
        entry_key="",
        episode="",
        evidence=(),
        event=replace(decision.event, properties=msgspec.Raw(b"{}")),
        events=(),
    )


_decoder = msgspec.json.Decoder(Decision)


def decode(data: bytes) -> Decision:
    """Read a decision from the wire.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not one of ours.
    """
    return _decoder.decode(data)


def read_message(data: bytes, attributes: Mapping[str, str]) -> Decision:
    """What a message of the sends topic holds.

    Raises:
        InvalidEventError: `not_a_decision`; the detail says why and quotes nothing.
    """
    if attributes.get("schema") != SCHEMA:
        raise InvalidEventError("not_a_decision", f"the attribute schema must be {SCHEMA}")
    try:
        found = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_a_decision", f"the data cannot be read: {type(error).__name__}") from None
    if not re.fullmatch(r"[0-9a-f]{32}", found.send_id):  # it becomes a Message-ID, a header
        raise InvalidEventError("not_a_decision", "sendId must be 32 hexadecimal digits")
    instants = (found.due_at, found.decided_at, *(one.timestamp for one in (found.event, *found.events)))
    if any(instant.tzinfo is None for instant in instants):
        raise InvalidEventError("not_a_decision", "dueAt, decidedAt and the timestamps of events need an offset")
    return found


def encode(decision: Decision) -> bytes:
    """The wire form of a decision, one line of JSON."""
    return msgspec.json.encode(decision)
