"""Whether a mail may leave now: limits, warm-up, circuit breaker, and a provider that wants to be left alone."""

import logging
from datetime import datetime, timedelta

from functions.recipients import SuppressedError
from tidings.errors import TemporaryError, TidingsError, UnknownOutcomeError
from tidings.mailing.allowances import Allowances, windows
from tidings.mailing.breaker import Gate
from tidings.mailing.retry_after import Busy
from tidings.mailing.sending import Sending
from tidings.records.store import LedgerEntry, Store
from tidings.wire.decisions import PERSON, Decision

PAUSE = timedelta(minutes=15)
"""So long a mail is put aside at a time while mail is stopped; so soon it goes on when it is resumed."""


log = logging.getLogger(__name__)


class NotYetError(TidingsError):
    """Nobody's fault: the turn of this mail has not come. It is put aside, and not retried.

    Attributes:
        until: when to ask again.
    """

    def __init__(self, until: datetime) -> None:
        super().__init__("its turn has not come")
        self.until = until


class Turns:
    """Asked by one worker, for every mail. Any number of threads may use it.

    Args:
        policy: the operator's limits.
        store: what all workers share.
        provider: by which mail leaves.
    """

    def __init__(self, policy: Sending, store: Store, provider: str) -> None:
        self._policy = policy
        self._provider = provider
        self._allowances = Allowances(store)
        self._gate = Gate(store)
        self._busy = Busy(store, provider)

    def ask(self, decision: Decision, held: LedgerEntry, address: str, now: datetime) -> None:
        """Return if the mail may leave now.

        Mail to a role counts as transactional, whatever its rule says: nobody unsubscribes from their own desk.

        Raises:
            NotYetError: it may leave later.
            SuppressedError: `waited_too_long`.
            StoreError: nobody can say now.
            TemporaryError: the provider wants to be left alone, and the mail has waited for that long enough.
        """
        is_marketing = decision.kind == "marketing" and decision.to == PERSON
        has_waited_long = self._has_waited_long(held, now)
        if is_marketing and has_waited_long:
            raise SuppressedError("waited_too_long")
        if busy := self._busy.until(now):
            raise TemporaryError(f"{self._provider} is busy") if has_waited_long else NotYetError(busy)
        if self._gate.holds(is_marketing, now):
            raise NotYetError(now + PAUSE)
        domain = address.rpartition("@")[2]
        until = self._allowances.take(windows(self._policy, self._provider, domain, is_marketing, now), now)
        if until:
            raise NotYetError(until)

    def heed(self, fault: TemporaryError, held: LedgerEntry, now: datetime) -> None:
        """Let all mail wait for as long as the provider wants to be left alone, and the one that was told so too.

        One that has waited for a long time already is tried as after any other failure: that comes to an end, and a
        provider that says the same for ever does not. And whether one may have gone out is not for us to say.

        Raises:
            NotYetError: it certainly did not go out, and may later.
        """
        if fault.retry_after is None:
            return
        until = self._busy.begin(fault.retry_after, now)
        log.warning("%s wants to be left alone for %d s", self._provider, fault.retry_after.total_seconds())
        if not isinstance(fault, UnknownOutcomeError) and not self._has_waited_long(held, now):
            raise NotYetError(until) from None

    def _has_waited_long(self, held: LedgerEntry, now: datetime) -> bool:
        most = timedelta(milliseconds=self._policy.give_up_after)
        return bool(held.waiting_since and now - held.waiting_since >= most)
