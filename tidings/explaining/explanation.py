"""What an explanation says. It holds nothing that a support agent may not see: no address, no property of an event."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

RuleState = Literal["current", "superseded", "unknown"]
GateState = Literal["passed", "stopped", "not asked", "not reached", "not yet", "not recorded"]
MailerGate = Literal["address", "suppression", "consent", "turn", "render", "hand_over"]
MAILER_GATES: tuple[MailerGate, ...] = get_args(MailerGate)


class RuleTold(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that decided.

    Attributes:
        version: under which it decided.
        state: `current`; `superseded`, by `current_version`; or `unknown`: this version is not kept any more.
        status: what the rule of today is: `live`, `paused`, ... Empty when there is no such rule.
        trigger: as YAML; empty when the version is unknown.
    """

    id: str
    version: str
    state: RuleState
    current_version: str = ""
    status: str = ""
    name: str = ""
    trigger: str = ""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """An event that counted. Without name and time when the feed does not keep it any longer."""

    message_id: str
    name: str = ""
    at: datetime | None = None


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """An instant, and why that one."""

    at: datetime
    why: str


class GateTold(msgspec.Struct, frozen=True, kw_only=True):
    """One gate, whether the send came to it or not."""

    name: str
    state: GateState
    detail: str = ""


class Mailing(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of the mailer's part; see `tidings.records.store.LedgerEntry`."""

    status: str
    at: datetime
    attempts: int
    repeats: int = 0
    reason: str = ""
    detail: str = ""
    reopened_at: datetime | None = None
    reopened_from: str = ""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """What kept a mail from going out.

    Attributes:
        gate: the first that stopped it.
        reason: one of `decisions.Reason`, `shadow`, or the reason of a dead letter.
        sentence: what that means.
        advice: what can be done, as in docs/why-no-mail.md.
    """

    gate: str
    reason: str
    sentence: str
    advice: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, explained.

    Attributes:
        step: which of the rule's sends, the first is 1; `steps` of them, or 0 when the version is unknown.
        evidence: the events that counted, oldest first.
        shown: a digest of what the template is shown of events, so that two mails with other content differ.
        due / scheduled / decided: when the condition became true, when the mail was to go, when that was decided.
        gates: those of the engine in the order in which they are asked, then those of the mailer.
        stopped_by: None for what went out, and for what has not ended yet.
    """

    send_id: str
    person: str
    rule: RuleTold
    entry_key: str
    step: int
    steps: int
    template: str
    to: str
    kind: str
    category: str
    outcome: str
    evidence: tuple[Counted, ...]
    shown: str
    due: Timer
    scheduled: Timer
    decided: Timer
    gates: tuple[GateTold, ...]
    mailer_gates: tuple[GateTold, ...]
    mailing: Mailing
    stopped_by: Stop | None


def encode(told: Explanation) -> bytes:
    """As JSON: the same explanation is the same bytes."""
    return msgspec.json.encode(told)
