"""What the mailer does once a minute, without being asked by anybody: watch the bounces, and wake whoever waits.

A limit may be one for ten seconds. Were those who wait for it woken once a minute, five of six stretches would go by
with nobody there to use them, and a day's mail would take a week: so the sweep stays while somebody's turn is near.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from tidings.adapters.pubsub import Publisher
from tidings.mailing import breaker
from tidings.mailing.sending import MINUTE, Sending
from tidings.records.store import LedgerEntry, Store
from tidings.settings import Settings
from tidings.wire import topics

BATCH = 200
AT_ONCE = 8
"""So many of them are written down at a time: in a far database each takes some hundredths of a second, and
what has waited while mail was stopped is more than a few."""
LONGEST = timedelta(seconds=50)
"""After so long it leaves the rest to the next one, which begins within the minute."""
LEAST = timedelta(seconds=1)
"""So long it waits for the next turn at least: those who wait come one after the other, and are woken together."""
AGAIN = timedelta(minutes=5)
"""So long a send that was published again is left in peace before the next sweep publishes it once more."""

log = logging.getLogger(__name__)


class Sweep:
    """Any number may run at the same time: what is published twice is worked on once.

    Args:
        settings: names the topic of sends.
        policy: when to stop.
        store: the ledger, and the counts.
        publisher: takes the decisions whose turn has come.
        provider: by which mail leaves.
        clock: the time.
        pause: waits for so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Sending,
        store: Store,
        publisher: Publisher,
        provider: str,
        clock: Callable[[], datetime],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._topic = settings.sends_topic
        self._policy = policy
        self._store = store
        self._publisher = publisher
        self._provider = provider
        self._clock = clock
        self._pause = pause
        # The function is ended after a lease.
        self._longest = min(LONGEST, timedelta(seconds=settings.lease_seconds) / 2)
        rates = [*policy.rates, *policy.domains.values()]
        self._may_stay = any(one.per < MINUTE for one in rates)

    def __call__(self) -> int:
        """Sweep once; returns how many sends were woken.

        Raises:
            StoreError, PublishError: the next sweep does it. Nothing is lost.
        """
        why = breaker.look(self._store, self._policy.breaker, self._provider, self._clock())
        if why:
            log.error("Marketing mail is stopped: %s. Look why, then say: tidings sending resume", why)
        began, woken, stayed = self._clock(), 0, timedelta(0)
        while self._clock() - began < self._longest and stayed < self._longest:
            number = self._wake()
            woken += number
            if number == BATCH:
                continue
            wait = self._until_next(began + self._longest)
            if wait is None:
                break
            self._pause(wait.total_seconds())
            stayed += wait  # counted as well, for a clock that stands still or runs ahead, as in a simulation
        return woken

    def _until_next(self, end: datetime) -> timedelta | None:
        """How long to wait for the next one whose turn comes before the end; None if it is not worth it."""
        soon = self._store.waiting(end, 1) if self._may_stay else []
        return max(soon[0].lease_until - self._clock(), LEAST) if soon else None

    def _wake(self) -> int:
        """Publish those whose turn has come. Dying between the two steps, they are published again in a minute."""
        now = self._clock()
        due = self._store.waiting(now, BATCH)
        messages = [topics.of_decision(one.decision) for one in due]
        if messages:
            self._publisher.publish(self._topic, messages)

        def put_off(one: LedgerEntry) -> None:
            self._store.wait(one, now, now + AGAIN)  # unless a worker has it already

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(put_off, due))  # the list hears of their errors
        return len(due)
