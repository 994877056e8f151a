"""What is kept about people, where, and for how long: the table that exports carry and docs/privacy.md shows."""

from datetime import timedelta

import msgspec

from tidings.records import retention


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of data.

    Attributes:
        what / where: for a person to read.
        days: how long; None where time alone does not end it, and `until` says what does.
    """

    what: str
    where: str
    days: int | None
    until: str = ""


def _days(length: timedelta) -> int:
    return length.days


TABLE = (
    Kept(what="profile: traits and their times", where="store", days=None, until="erasure"),
    Kept(what="consent: who agreed to what, when, and to which words", where="store", days=None, until="erasure"),
    Kept(what="activity feed", where="store", days=_days(retention.ACTIVITY)),
    Kept(what="sends: what was mailed, or why not", where="store", days=_days(retention.LEDGER)),
    Kept(what="opens, clicks, bounces and complaints", where="store", days=_days(retention.FEEDBACK)),
    Kept(what="IP addresses and browser names of these and of consent", where="store", days=_days(retention.ORIGINS)),
    Kept(what="events as they were received", where="archive in BigQuery", days=_days(retention.ARCHIVE)),
    Kept(what="what rules and segments remember of a person", where="pipeline", days=400),
    Kept(what="events, decisions and dead letters on their way", where="Pub/Sub", days=7),
    Kept(what="suppression: a keyed digest of an address", where="store", days=None, until="it is lifted"),
    Kept(what="receipts of exports and erasures: a keyed digest of an id", where="store", days=None, until="ever"),
)
"""Pub/Sub keeps what nobody takes for seven days (terraform/pubsub.tf); the pipeline forgets as `state.MEMORY` says."""
