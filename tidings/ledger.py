"""The life of a send, as pure functions from one ledger entry to the next. Both stores apply them atomically.

    (none) --claim--> claimed --hand over--> handing_over --finish--> sent | suppressed | shadow | dead_lettered
                       |   ^-----release, repeat-----'
                       '-wait-> waiting --claim--> claimed
    dead_lettered --reopen--> waiting

`finish` may also end a `claimed` or `waiting` entry, and only a person reopens one. A function that changes nothing
returns the very entry it was given.

What was handed over and never answered for may have gone out, and nobody can know. A claim after the lease then finds
it UNKNOWN, for a person to look at; or repeats it, as often as `REPEATS` allows for mail of its kind.
"""

from datetime import datetime, timedelta
from typing import get_args

from msgspec.structs import replace

from tidings.decisions import Decision, MailKind, Reason
from tidings.store import Claim, FinalStatus, LedgerEntry, Letter

FINAL: frozenset[str] = frozenset(get_args(FinalStatus))

REPEATS: dict[MailKind, int] = {"marketing": 0, "transactional": 1}
"""How often a mail is sent again of which nobody knows whether it went out."""

OUTCOME_UNKNOWN = "outcome unknown: the mail was handed over, and no answer to it was recorded"
"""The detail of a dead letter's entry of whose mail nobody knows whether it went out."""


def claim(entry: LedgerEntry | None, decision: Decision, now: datetime, lease: timedelta) -> tuple[LedgerEntry, Claim]:
    """Take the send for `lease`, if nobody else has it."""
    until = now + lease
    if entry is None:
        fresh = LedgerEntry(
            send_id=decision.send_id, status="claimed", decision=decision, updated_at=now, lease_until=until
        )
        return fresh, Claim.GRANTED
    if entry.status in FINAL:
        return entry, Claim.DONE
    if now < entry.lease_until and entry.status != "waiting":
        return entry, Claim.HELD
    renewed = replace(entry, updated_at=now, lease_until=until)
    if entry.status == "waiting":
        renewed = replace(renewed, status="claimed")
    if entry.status == "handing_over":
        if entry.repeats >= REPEATS[entry.decision.kind]:
            return renewed, Claim.UNKNOWN
        renewed = replace(renewed, status="claimed", repeats=entry.repeats + 1)
    return replace(renewed, attempts=entry.attempts + 1), Claim.GRANTED


def wait(entry: LedgerEntry, now: datetime, until: datetime, attempts: int | None) -> LedgerEntry:
    """Put it aside until its turn comes; or put that off, if nobody has claimed it since its `attempts` were seen."""
    if entry.status not in ("claimed", "waiting") or attempts not in (None, entry.attempts):
        return entry
    since = entry.waiting_since or now
    return replace(entry, status="waiting", updated_at=now, lease_until=until, waiting_since=since)


def hand_over(entry: LedgerEntry, now: datetime, letter: Letter | None = None) -> LedgerEntry:
    """Only a `claimed` entry can be handed over, so of two workers who believe to hold it one wins."""
    if entry.status != "claimed":
        return entry
    return replace(entry, status="handing_over", updated_at=now, letter=letter)


def release(entry: LedgerEntry, now: datetime, handed_over: bool) -> LedgerEntry:
    """Open the entry for the next claim."""
    if entry.status == "claimed" or (entry.status == "handing_over" and handed_over):
        return replace(entry, status="claimed", updated_at=now, lease_until=now)
    return entry


def finish(
    entry: LedgerEntry,
    status: FinalStatus,
    now: datetime,
    reason: Reason | None,
    detail: str,
    decision: Decision | None = None,
) -> LedgerEntry:
    """End it, once; with `decision` in place of the one that was claimed, and nothing of its letter."""
    if entry.status in FINAL:
        return entry
    ended = replace(entry, status=status, updated_at=now, reason=reason, detail=detail)
    return replace(ended, decision=decision, letter=None) if decision else ended


def may_have_gone_out(entry: LedgerEntry) -> bool:
    """Whether nobody can know of a dead letter's mail that it has not gone out, in the last try or in one before."""
    return entry.detail == OUTCOME_UNKNOWN or entry.repeats > 0


def reopen(entry: LedgerEntry, now: datetime, may_repeat: bool) -> LedgerEntry:
    """Let what ended as a dead letter be tried again, from now on, and keep how it had ended.

    What may have gone out stays ended, unless it `may_repeat`; then that is counted as any other repeat.
    """
    doubtful = may_have_gone_out(entry)
    if entry.status != "dead_lettered" or (doubtful and not may_repeat):
        return entry
    return replace(
        entry,
        status="waiting",
        updated_at=now,
        lease_until=now,
        waiting_since=now,
        repeats=entry.repeats + doubtful,
        reason=None,
        detail="",
        reopened_at=now,
        reopened_from=": ".join(filter(None, (entry.reason, entry.detail))),
    )
