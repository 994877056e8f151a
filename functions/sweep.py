"""What the mailer does once a minute, without being asked by anybody: watch the bounces, and wake whoever waits."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from tidings import breaker, topics
from tidings.adapters.pubsub import Publisher
from tidings.sending import Sending
from tidings.settings import Settings
from tidings.store import LedgerEntry, Store

BATCH = 200
AT_ONCE = 8
"""So many of them are written down at a time: in a far database each takes some hundredths of a second, and
what has waited while mail was stopped is more than a few."""
LONGEST = timedelta(seconds=30)
"""After so long it leaves the rest to the next one."""
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
    """

    def __init__(
        self,
        settings: Settings,
        policy: Sending,
        store: Store,
        publisher: Publisher,
        provider: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._topic = settings.sends_topic
        self._policy = policy
        self._store = store
        self._publisher = publisher
        self._provider = provider
        self._clock = clock

    def __call__(self) -> int:
        """Sweep once; returns how many sends were woken.

        Raises:
            StoreError, PublishError: the next sweep does it. Nothing is lost.
        """
        why = breaker.look(self._store, self._policy.breaker, self._provider, self._clock())
        if why:
            log.error("Marketing mail is stopped: %s. Look why, then say: tidings sending resume", why)
        began, woken = self._clock(), 0
        while self._clock() - began < LONGEST:
            number = self._wake()
            woken += number
            if number < BATCH:
                break
        return woken

    def _wake(self) -> int:
        """Publish those whose turn has come. Dying between the two steps, they are published again in a minute."""
        now = self._clock()
        due = self._store.waiting(now, BATCH)
        messages = [topics.of_decision(one.decision) for one in due]
        if messages:
            self._publisher.publish(self._topic, messages)

        def put_off(one: LedgerEntry) -> None:
            self._store.wait(one.send_id, now, now + AGAIN, one.attempts)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(put_off, due))  # the list hears of their errors
        return len(due)
