"""Finds decisions in a store, by what a support agent has at hand: a send id, a part of one, or a person."""

import difflib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tidings import documents
from tidings.errors import TidingsError
from tidings.explaining import feed as feeds
from tidings.records.store import Activity, LedgerEntry, Store
from tidings.rollout.rule_set import RuleSet

SHORTEST = 8
"""A part of a send id must have so many characters to be looked for."""

MOST_ENTRIES = 1000

NEAR = timedelta(days=1)
"""People remember the day of a mail, and not its minute."""


class NotFoundError(TidingsError):
    """There is no such send, person or rule; the message has the nearest one."""


def entry_of(store: Store, send_id: str) -> LedgerEntry:
    """The entry of a send id, or of its first characters if no other one of the latest entries begins so.

    Raises:
        NotFoundError: there is none, or more than one.
    """
    entry = store.ledger_entry(send_id)
    if entry is not None:
        return entry
    latest = [one.send_id for one in store.ledger(limit=MOST_ENTRIES)]
    begin_so = [one for one in latest if len(send_id) >= SHORTEST and one.startswith(send_id)]
    if len(begin_so) > 1:
        raise NotFoundError(f"{send_id}: {len(begin_so)} sends begin so, {begin_so[0]} and {begin_so[1]} among them")
    found = store.ledger_entry(begin_so[0]) if begin_so else None
    if found is not None:
        return found
    close = difflib.get_close_matches(send_id, [*latest, *(one[: len(send_id)] for one in latest)], n=1)
    whole = next((one for one in latest if close and one.startswith(close[0])), None)
    hint = f"; did you mean {whole}?" if whole else ""
    short = f"; a part of one needs {SHORTEST} characters" if len(send_id) < SHORTEST else ""
    raise NotFoundError(f"{send_id}: no such send{hint}{short}")


def key_of(person: str) -> str:
    """`u:123` and `a:xyz` as they are; `123` is short for `u:123`."""
    return person if person.startswith(("u:", "a:")) else f"u:{person}"


def entries_of(store: Store, person: str, lines: Iterable[Activity]) -> list[LedgerEntry]:
    """Every entry of a person, and of the anonymous ids that have joined them, latest decision first."""
    found = [one for key in (person, *feeds.joined(lines)) for one in store.ledger(key, MOST_ENTRIES)]
    return sorted(found, key=lambda one: (one.decision.decided_at, one.send_id), reverse=True)


def on_their_way(lines: Iterable[Activity], entries: Iterable[LedgerEntry]) -> list[Activity]:
    """Decisions that are in the feed and not in the ledger: the mailer has not come to them yet."""
    known = {one.send_id for one in entries}
    return [one for one in lines if one.kind == "decision" and one.detail.get("send_id") not in known]


def check_rule(rule_id: str, rules: RuleSet, entries: Iterable[LedgerEntry]) -> None:
    """Whether anybody has heard of a rule.

    Raises:
        NotFoundError: nobody has.
    """
    known = {*rules.rules, *(one.rule_id for one in (entry.decision for entry in entries))}
    if rule_id not in known:
        question = documents.nearest(rule_id, sorted(known))
        raise NotFoundError(f"{rule_id}: there is no such rule{question and f'; {question}'}")


def nearest(entries: Sequence[LedgerEntry], at: datetime | None) -> LedgerEntry | None:
    """The one that was decided nearest to an instant, or the latest one where nobody names any.

    Args:
        entries: latest decision first.
        at: the instant.
    """
    if at is None:
        return entries[0] if entries else None
    return min(entries, key=lambda one: abs(one.decision.decided_at - at), default=None)


def is_near(entry: LedgerEntry, at: datetime | None) -> bool:
    """Whether it may be what somebody means who names this instant."""
    return at is None or abs(entry.decision.decided_at - at) <= NEAR
