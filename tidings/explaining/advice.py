"""What stops a mail, in one sentence, and what can be done about it. docs/why-no-mail.md says more."""

from typing import NamedTuple, get_args

from tidings.explaining.explanation import MailerGate, Stop
from tidings.records.store import ERASED, LedgerEntry
from tidings.wire.decisions import Decision, GateName


class Advice(NamedTuple):
    """What a reason means, and what to do."""

    sentence: str
    advice: str


_NOTHING = "Nothing."
ADVICE: dict[str, Advice] = {
    "missing_address": Advice("Nobody has told us an address of this person.", "Send identify with the trait email."),
    "no_consent": Advice("This is marketing, and the person never agreed to any.", "Ask for consent: docs/consent.md."),
    "opted_out": Advice(
        "The person has said no to this category, or to all marketing mail.", "Nothing: it is their choice."
    ),
    "suppressed_address": Advice(
        "The address bounced for good, is refused now, or was erased.", "Correct the address."
    ),
    "frequency_capped": Advice(
        "The person got enough marketing mail in that stretch of time.", "See frequency_cap and priority of the rule."
    ),
    "quiet_hours_missed": Advice(
        "It fell into the person's night, and the rule says on_miss: drop.", "on_miss: hold would wait for the morning."
    ),
    "exited": Advice("While it waited, something ended it, or the person left the audience.", _NOTHING),
    "duplicate": Advice("The same was decided before for the same person, under another id of theirs.", _NOTHING),
    "holdout": Advice(
        "The person belongs to the part that never gets it, so that its effect can be seen.",
        "Nothing, or a smaller holdout.",
    ),
    "rule_paused": Advice(
        "It fell due while the rule was paused.", "Set the rule to live; what was missed stays missed."
    ),
    "erased": Advice("Everything about the person was erased before it could go out.", _NOTHING),
    "render_failed": Advice(
        "The message could not be made from what the event brings.",
        "Mend the template (docs/templates.md), then replay its dead letter: docs/dead-letters.md.",
    ),
    "waited_too_long": Advice(
        "Its turn among many did not come in time, or mail was stopped for so long.",
        "Look at the limits and at `tidings sending status`: docs/sending-limits.md.",
    ),
    "shadow": Advice("The rule is in shadow: it decides, and never sends.", "Set the rule to live."),
    "unknown_role": Advice("The rule writes to a role that has no address.", "Give it one in TIDINGS_ROLES."),
    "refused": Advice("The mail server refuses this mail for good.", "Read the detail; the address may be fine."),
    "outcome_unknown": Advice(
        "It was handed to the mail server and no answer was recorded: it may have gone out.",
        "Look into the mail server's own log: docs/sends-once.md.",
    ),
    "gave_up": Advice(
        "Every try failed, until no more were left. It has not gone out.",
        "Mend what the detail names, then replay its dead letter: docs/dead-letters.md.",
    ),
}
"""By reason: those of decisions, `shadow`, and those of the mailer's dead letters."""

_MAILER: dict[str, MailerGate] = {
    "missing_address": "address",
    "unknown_role": "address",
    "erased": "address",
    "suppressed_address": "suppression",
    "no_consent": "consent",
    "opted_out": "consent",
    "waited_too_long": "turn",
    "render_failed": "render",
}
_GATES: dict[str, GateName] = {
    "exited": "exit",
    "duplicate": "exit",
    "rule_paused": "status",
    "shadow": "status",
    "opted_out": "consent",
    "holdout": "holdout",
    "quiet_hours_missed": "quiet_hours",
    "frequency_capped": "frequency_cap",
}
ENGINE_GATES: tuple[GateName, ...] = get_args(GateName)
_LETTERS = {"unknown_role": "unknown_role", "outcome unknown": "outcome_unknown", "gave up": "gave_up"}
"""How the ledger's detail of a dead letter begins, and the letter's reason."""


def stop_of_engine(decision: Decision) -> Stop | None:
    """What stopped it before the mailer had a say, if anything did."""
    if decision.outcome == "send":
        return None
    reason: str = "shadow" if decision.outcome == "shadow" else decision.reason or ""
    asked = next((gate.name for gate in decision.gates if not gate.passed), None)
    return _stop(asked or _GATES.get(reason, "exit"), reason)


def stop_of_mailer(entry: LedgerEntry) -> Stop | None:
    """What stopped it at the mailer, if anything did; of an entry that has not ended nothing has."""
    if entry.status == "dead_lettered":
        begins = (letter for text, letter in _LETTERS.items() if entry.detail.startswith(text))
        reason: str = entry.reason or next(begins, "refused")
    elif entry.status == "suppressed":
        reason = entry.reason or ""
    else:
        return None
    if reason == "suppressed_address" and entry.detail not in ("", ERASED):  # the mail server has said so just now
        return _stop("hand_over", reason)
    return _stop(_MAILER.get(reason, "hand_over"), reason)


def _stop(gate: str, reason: str) -> Stop:
    said = ADVICE.get(reason, Advice("It is not recorded why.", "See docs/why-no-mail.md."))
    return Stop(gate=gate, reason=reason, sentence=said.sentence, advice=said.advice)
