"""A provider that wants to be left alone: how long it says so for, and how all workers know.

`Retry-After` is read as RFC 9110 section 10.2.3 has it: seconds, or an HTTP date. Whoever is told notes it in the
store, and nobody asks that provider before: each mail that did would try its patience, and use up a delivery.
"""

import re
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tidings.errors import StoreError
from tidings.records.store import Store

LEAST, MOST = timedelta(seconds=1), timedelta(hours=1)
"""So long at least and at most, whatever it says: to ask once an hour harms nobody, and it may have been a mistake."""

LOOK_EVERY = timedelta(seconds=5)
"""So long a worker may go on after another one was told."""


def read(value: str, now: datetime) -> timedelta | None:
    """How long `value` asks to wait, from `LEAST` to `MOST`; None if it is nothing that the RFC knows.

    Args:
        value: of the header.
        now: the time, best by the clock of who sent it: then it does not matter how wrong it is.
    """
    value = value.strip()
    if re.fullmatch(r"[0-9]+", value):
        digits = value.lstrip("0")[:5]  # five are more than `MOST` already
        return _bounded(timedelta(seconds=int(digits or "0")))
    at = http_date(value)
    return None if at is None else _bounded(at - now)


def http_date(value: str) -> datetime | None:
    """An instant as HTTP writes it, in any of its three forms; None if it is none."""
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, LEAST), MOST)


def busy_until(store: Store, provider: str, now: datetime) -> datetime | None:
    """Until when a provider wants to be left alone, as far as all workers know; None if it does not."""
    note = store.note(_name(provider))
    until = datetime.fromisoformat(note["until"]) if note else now
    # Nobody may write down more than that, but whose clock is wrong.
    return until if now < until <= now + MOST else None


def _name(provider: str) -> str:
    return f"busy-{provider}"


class Busy:
    """Whether a provider wants to be left alone, asked of the store every few seconds and not for every mail.

    Any number of threads may use it.
    """

    def __init__(self, store: Store, provider: str) -> None:
        self._store = store
        self._provider = provider
        self._until: datetime | None = None
        self._looked_at: datetime | None = None
        self._lock = threading.Lock()

    def until(self, now: datetime) -> datetime | None:
        """When it may be asked again; None for at once.

        Raises:
            StoreError: nobody can say now.
        """
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_EVERY:
            self._learn(busy_until(self._store, self._provider, now), now)
            self._looked_at = now
        until = self._until
        return until if until and now < until <= now + MOST else None

    def begin(self, wait: timedelta, now: datetime) -> datetime:
        """It has just said so; returns until when. Others that cannot be told now will be told by the provider."""
        until = now + wait
        if self._learn(until, now):
            with suppress(StoreError):  # what became of the mail is known, and matters more
                self._store.put_note(_name(self._provider), {"until": until.isoformat()})
        return until

    def _learn(self, until: datetime | None, now: datetime) -> bool:
        """Whether that is news: who sends much hears it many times a second."""
        with self._lock:
            if until is None or (self._until and until - LEAST < self._until <= now + MOST):
                return False
            self._until = until
            return True
