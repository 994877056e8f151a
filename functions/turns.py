"""Whether a mail may leave now, as far as its numbers go: limits, warm-up and circuit breaker."""

from datetime import datetime, timedelta

from functions.recipients import SuppressedError
from tidings.allowances import Allowances, windows
from tidings.breaker import Gate
from tidings.decisions import PERSON, Decision
from tidings.errors import TidingsError
from tidings.sending import Sending
from tidings.store import Store

PAUSE = timedelta(minutes=15)
"""So long a mail is put aside at a time while mail is stopped; so soon it goes on when it is resumed."""


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
        self._store = store
        self._provider = provider
        self._allowances = Allowances(store)
        self._gate = Gate(store)

    def ask(self, decision: Decision, address: str, now: datetime) -> None:
        """Return if the mail may leave now.

        Mail to a role counts as transactional, whatever its rule says: nobody unsubscribes from their own desk.

        Raises:
            NotYetError: it may leave later.
            SuppressedError: `waited_too_long`.
            StoreError: nobody can say now.
        """
        is_marketing = decision.kind == "marketing" and decision.to == PERSON
        if is_marketing and self._has_waited_too_long(decision, now):
            raise SuppressedError("waited_too_long")
        if self._gate.holds(is_marketing, now):
            raise NotYetError(now + PAUSE)
        domain = address.rpartition("@")[2]
        until = self._allowances.take(windows(self._policy, self._provider, domain, is_marketing, now), now)
        if until:
            raise NotYetError(until)

    def _has_waited_too_long(self, decision: Decision, now: datetime) -> bool:
        most = timedelta(milliseconds=self._policy.give_up_after)
        if now - decision.decided_at < most:  # then it has not waited for that long either, and nobody need be asked
            return False
        entry = self._store.ledger_entry(decision.send_id)
        return bool(entry and entry.waiting_since and now - entry.waiting_since >= most)
