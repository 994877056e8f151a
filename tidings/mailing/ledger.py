"""The life of a send, as pure functions from one ledger entry to the next. Both stores apply them atomically.

    (none) --claim--> claimed --hand over--> handing_over --finish--> sent | suppressed | shadow | dead_lettered
                       |   ^-----release, repeat-----'  |
                       '---wait---> waiting <---wait----'
    waiting --claim--> claimed
    dead_lettered --reopen--> waiting

`finish` may also end a `claimed` or `waiting` entry, and only a person reopens one. A function that changes nothing
returns the very entry it was given.

A lease alone keeps nobody away who oversleeps it, in a store call or by a clock that is wrong. So each claim has an id,
and the functions after `claim` act for the newest claim alone: they want the entry as the caller knows it, `held`, and
compare. (It is random and no number, because what was erased is counted from one again.)

What was handed over and never answered for may have gone out, and nobody can know. A claim after the lease then finds
it UNKNOWN, for a person to look at; or repeats it, as often as `REPEATS` allows for mail of its kind.
"""

from datetime import datetime, timedelta
from typing import get_args

from msgspec.structs import replace

from tidings.records.store import Claim, Claimed, FinalStatus, LedgerEntry, Letter
from tidings.wire.decisions import Decision, MailKind, Reason

FINAL: frozenset[str] = frozenset(get_args(FinalStatus))

REPEATS: dict[MailKind, int] = {"marketing": 0, "transactional": 1}
"""How often a mail is sent again of which nobody knows whether it went out."""

OUTCOME_UNKNOWN = "outcome unknown: the mail was handed over, and no answer to it was recorded"
"""The detail of a dead letter's entry of whose mail nobody knows whether it went out."""


def claim(entry: LedgerEntry | None, decision: Decision, now: datetime, lease: timedelta, claim_id: str) -> Claimed:
    """Take the send for `lease`, if nobody else has it. `claim_id` was never used before."""
    until = now + lease
    if entry is None:
        fresh = LedgerEntry(
            send_id=decision.send_id,
            status="claimed",
            decision=decision,
            updated_at=now,
            lease_until=until,
            claim_id=claim_id,
        )
        return Claimed(Claim.GRANTED, fresh)
    if entry.status in FINAL:
        return Claimed(Claim.DONE, entry)
    if now < entry.lease_until and entry.status != "waiting":
        return Claimed(Claim.HELD, entry)
    taken = replace(entry, updated_at=now, lease_until=until, claim_id=claim_id)
    if entry.status == "handing_over":
        if entry.repeats >= REPEATS[entry.decision.kind]:
            return Claimed(Claim.UNKNOWN, taken)
        taken = replace(taken, repeats=entry.repeats + 1)
    return Claimed(Claim.GRANTED, replace(taken, status="claimed", attempts=entry.attempts + 1))


def hand_over(entry: LedgerEntry, held: LedgerEntry, now: datetime, letter: Letter | None = None) -> LedgerEntry:
    """The mail is about to leave. Only a `claimed` entry can be handed over, and so only once a claim."""
    if entry.claim_id != held.claim_id or entry.status != "claimed":
        return entry
    return replace(entry, status="handing_over", updated_at=now, letter=letter)


def release(entry: LedgerEntry, held: LedgerEntry, now: datetime) -> LedgerEntry:
    """Open the entry for the next claim."""
    if entry.status == "waiting" or not _certainly_has_it(entry, held):
        return entry
    return replace(entry, status="claimed", updated_at=now, lease_until=now)


def wait(entry: LedgerEntry, held: LedgerEntry, now: datetime, until: datetime) -> LedgerEntry:
    """Put it aside until its turn comes, or put that off."""
    if not _certainly_has_it(entry, held):
        return entry
    since = entry.waiting_since or now
    return replace(entry, status="waiting", updated_at=now, lease_until=until, waiting_since=since)


def _certainly_has_it(entry: LedgerEntry, held: LedgerEntry) -> bool:
    """Whether the mail is still here, and it is for this one to say so: who found it UNKNOWN cannot know."""
    return entry.claim_id == held.claim_id and entry.status not in FINAL and held.status != "handing_over"


def finish(
    entry: LedgerEntry,
    held: LedgerEntry,
    status: FinalStatus,
    now: datetime,
    reason: Reason | None = None,
    detail: str = "",
    decision: Decision | None = None,
) -> LedgerEntry:
    """End it, once; with `decision` in place of the one that was claimed, and nothing of its letter.

    That a mail was sent is true whoever has claimed it since, and keeps the others from sending one more.
    """
    if entry.status in FINAL or (entry.claim_id != held.claim_id and status != "sent"):
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
        claim_id="",  # it is nobody's
        waiting_since=now,
        repeats=entry.repeats + doubtful,
        reason=None,
        detail="",
        reopened_at=now,
        reopened_from=": ".join(filter(None, (entry.reason, entry.detail))),
    )
