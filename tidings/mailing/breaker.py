"""The circuit breaker: marketing mail stops when too much of it bounces or is called spam, until somebody has looked.

Mailbox providers judge a sender by these two shares, and hold them against all of the sender's mail; the people who did
want it are harmed by every one more that goes to the others. Only a person closes the breaker again: the shares fall by
themselves as soon as nothing is sent any more, and the list would be as bad as before.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from tidings import durations
from tidings.errors import StoreError
from tidings.mailing import sending
from tidings.mailing.sending import HOUR, NOTE, TALLIES_KEPT, Breaker, Outcome
from tidings.records.store import Store

LOOK_EVERY = timedelta(seconds=5)
"""So long a worker may go on after mail was stopped, and so long its counts stay with it."""

FEWEST = 3
"""So many bounces or complaints there must be at least: one person's click is above most limits among some hundred
mails, and says nothing about the others."""

Stopped = Literal["nothing", "marketing", "all"]


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether mail is stopped, as all workers and the operator share it.

    Attributes:
        stopped: what kind of mail.
        by: `breaker`, or `operator`.
        why / at: what led to it, and when; nothing personal.
        resumed_at: the breaker counts from then on: what was before is known and forgiven.
        forgiven: of the hour in which that was, each provider's counts until then.
    """

    stopped: Stopped = "nothing"
    by: Literal["", "breaker", "operator"] = ""
    why: str = ""
    at: datetime | None = None
    resumed_at: datetime | None = None
    forgiven: dict[str, dict[str, int]] = {}

    def holds(self, is_marketing: bool) -> bool:
        """Whether mail of this kind has to wait."""
        return self.stopped == "all" or (self.stopped == "marketing" and is_marketing)


def standing(store: Store) -> Standing:
    """How it stands now."""
    return msgspec.convert(store.note(NOTE) or {}, Standing)


def stop(store: Store, what: Stopped, by: Literal["breaker", "operator"], why: str, now: datetime) -> None:
    """Let mail wait from now on."""
    known = standing(store)
    _put(store, msgspec.structs.replace(known, stopped=what, by=by, why=why, at=now))


def resume(store: Store, now: datetime) -> None:
    """Let it go on, and begin to count anew."""
    found = store.tallies([sending.tally_name(provider, now) for provider in sending.PROVIDERS])
    forgiven = {str(provider): one for provider, one in zip(sending.PROVIDERS, found, strict=True) if one}
    _put(store, Standing(resumed_at=now, forgiven=forgiven))


def _put(store: Store, value: Standing) -> None:
    store.put_note(NOTE, msgspec.to_builtins(value))


def counts(store: Store, provider: str, over: int, now: datetime, since: Standing | None = None) -> Counter[str]:
    """What became of a provider's mail in the last `over` milliseconds, by the hour; the one that has begun counts.

    Args:
        store: holds the tallies.
        provider: whose.
        over: whole hours.
        now: the end of that time.
        since: with it, nothing from before it was resumed.
    """
    hours = [now - timedelta(hours=number) for number in range(over // HOUR)]
    found: Counter[str] = Counter()
    begun = since.resumed_at.astimezone(UTC) if since and since.resumed_at else None
    if since and begun:
        hours = [hour for hour in hours if _hour(hour) >= _hour(begun)]
        if _hour(begun) in map(_hour, hours):
            found.subtract(since.forgiven.get(provider, {}))
    for one in store.tallies([sending.tally_name(provider, hour) for hour in hours]):
        found.update(one)
    return found


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def verdict(breaker: Breaker, found: Mapping[str, int]) -> str:
    """Why marketing mail must stop, in one sentence; empty when it need not."""
    sent = found.get("sent", 0)
    if sent < breaker.at_least:
        return ""
    for what, limit, words in (
        ("hard_bounced", breaker.hard_bounces, "went to dead addresses"),
        ("complained", breaker.complaints, "were called spam"),
    ):
        number = found.get(what, 0)
        share = 100 * number / sent
        if number >= FEWEST and share > limit:
            over = durations.text(breaker.over)
            return f"{share:.2g}% of {sent:,} mails in the last {over} {words}; the limit is {limit:g}%"
    return ""


def look(store: Store, breaker: Breaker | None, provider: str, now: datetime) -> str:
    """Stop marketing mail if it must stop. Returns why, once; empty when there is nothing new to say."""
    if breaker is None:
        return ""
    known = standing(store)
    if known.stopped != "nothing":
        return ""
    why = verdict(breaker, counts(store, provider, breaker.over, now, known))
    if not why or standing(store) != known:  # somebody was faster: a sweep at the same time, or an operator
        return ""
    stop(store, "marketing", "breaker", why, now)
    return why


class Gate:
    """Whether mail has to wait, asked of the store every few seconds and not for every mail. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = Standing()
        self._looked_at: datetime | None = None

    def holds(self, is_marketing: bool, now: datetime) -> bool:
        """Whether mail of this kind has to wait.

        Raises:
            StoreError: nobody can say now.
        """
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_EVERY:
            self._known = standing(self._store)
            self._looked_at = now
        return self._known.holds(is_marketing)


class Meter:
    """Counts what becomes of mails, and tells the store every few seconds. Any number of threads may use it.

    What a worker that dies had not told is lost, up to `LOOK_EVERY` of mail: then the shares look worse than they are.
    """

    def __init__(self, store: Store, provider: str) -> None:
        self._store = store
        self._provider = provider
        self._pending: dict[str, Counter[str]] = {}
        self._told_at: datetime | None = None
        self._lock = threading.Lock()

    def count(self, now: datetime, *what: Outcome) -> None:
        """Count one mail that ended so."""
        with self._lock:
            self._pending.setdefault(sending.tally_name(self._provider, now), Counter()).update(what)
            if self._told_at is not None and abs(now - self._told_at) < LOOK_EVERY:
                return
            self._told_at = now
            pending, self._pending = self._pending, {}
        self._tell(pending, now)

    def tell(self, now: datetime) -> None:
        """Tell the store at once."""
        with self._lock:
            pending, self._pending = self._pending, {}
        self._tell(pending, now)

    def _tell(self, pending: dict[str, Counter[str]], now: datetime) -> None:
        for name, found in pending.items():
            try:
                self._store.tally(name, found, now + TALLIES_KEPT)
            except StoreError:  # the mail has ended, and does not come again for want of a count
                with self._lock:
                    self._pending.setdefault(name, Counter()).update(found)
