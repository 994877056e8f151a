"""Since when an address has been somebody's: whether it has stood long enough, and unopposed, to be trusted with data.

Write keys stand in web pages, so anybody may `identify` somebody else's id with an address of their own, and from then
on mail for that person goes there, with the links to their page. That is put right when the true address is heard once
more. A copy of the data cannot be called back, nor an erasure taken back: for those two, an address counts only when no
other one was heard of for a week. That somebody can read mail there proves nothing about whose the id is.

What counts is the day on which we received word of an address. `timestamp` is the sender's own claim, and a forged one
could be years old. Days that are joined are a lattice, as profiles are (`tidings.records.profiles`): sets of them are
united, and what no question needs any more is left out.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from tidings.records.store import AddressDay, Profile

UNOPPOSED = timedelta(days=8)
"""An address is trusted on this day after the one on which it came: seven whole days lie between them."""

_MOST = 2
"""Of so many addresses of one day at most is kept that they were there: two are enough to say that it was disputed."""


def heard(traits: Mapping[str, Any], received_at: datetime) -> list[AddressDay]:
    """What an update says about the address: nothing when it does not speak of it."""
    return [(received_at.astimezone(UTC).date(), _mark(traits["email"]))] if "email" in traits else []


def join(one: Iterable[AddressDay], other: Iterable[AddressDay]) -> list[AddressDay]:
    """Both as one, in order: the days that a question may be about, and the last one before them."""
    days = _by_day({*one, *other})
    if not days:
        return []
    begin = max(days) - UNOPPOSED
    before = max((day for day in days if day <= begin), default=begin)
    return [(day, mark) for day, marks in sorted(days.items()) if day >= before for mark in marks[:_MOST]]


def trusted_from(profile: Profile | None) -> datetime | None:
    """The instant from which the address that the profile has may be trusted with the person's data.

    None: there is no address, or nobody knows since when.
    """
    if profile is None or not profile.traits.get("email"):
        return None
    mine = [_mark(profile.traits["email"])]
    since = None
    for day, marks in sorted(_by_day(profile.address_days).items(), reverse=True):
        if marks != mine:
            since = since or day  # disputed on the very last day
            break
        since = day
    return datetime.combine(since + UNOPPOSED, time(), UTC) if since else None


def is_trusted(profile: Profile | None, now: datetime) -> bool:
    """Whether the person's data may be handed out, or erased, on the word of whoever reads mail at the address."""
    begins = trusted_from(profile)
    return begins is not None and now >= begins


def _by_day(pairs: Iterable[AddressDay]) -> dict[date, list[str]]:
    days: dict[date, list[str]] = {}
    for day, mark in sorted(pairs):
        days.setdefault(day, []).append(mark)
    return days


def _mark(email: object) -> str:
    """Tells addresses apart. It stands beside the address itself, goes with it, and lets an earlier one go at once."""
    said = email.strip().casefold() if isinstance(email, str) else email
    return hashlib.blake2b(msgspec.json.encode(said, order="sorted"), digest_size=8).hexdigest()
