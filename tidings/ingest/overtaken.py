"""What was received before somebody was erased, and comes to the pipeline after that, is as forgotten as they are.

Pub/Sub may deliver an event days after the erasure that was published later: out of a backlog, or once more because an
answer to it was lost. The state cell that would know better is exactly what was erased. So of an event that was on its
way for a while the store is asked, which has a receipt of every erasure under a keyed digest, and keeps it for ever:
nothing more is remembered for this, by anybody, of whom.

An event that comes at once is not asked about, because nearly all do: what may still be taken for new was received in
the last seconds before the erasure, and overtaken by the message about it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from tidings.deciding.erasure import Erased
from tidings.deciding.identity import Handover
from tidings.permission.consent import person_digest
from tidings.records.store import Store
from tidings.wire.events import Event

AT_ONCE = timedelta(seconds=5)
"""What an event takes from the front door to the pipeline on an ordinary day, and some more."""

ErasedAt = Callable[[str], datetime | None]


class Overtaken:
    """Tells such events, and remembers what the store has answered: to be made anew for each bundle.

    Args:
        store: has the receipts.
        secret: digests ids, see `consent.person_digest`.
        attempt: wraps a call of the store, to try again while it is away.
    """

    def __init__(self, store: Store, secret: str, attempt: Callable[[ErasedAt], ErasedAt] = lambda call: call) -> None:
        self._secret = secret
        self._ask = attempt(store.erased_at)
        self._known: dict[str, datetime | None] = {}

    def has(self, key: str, event: Event, now: datetime) -> bool:
        """Whether an erasure has overtaken the event, for the id that is about to hear of it.

        That is when its person was erased since it was received, for whoever would hear of it; or when that id was, of
        which the person then hears nothing. A handover is always asked about: it holds all that its id remembers.

        Raises:
            StoreError: nobody can tell now.
        """
        concerned = {key, event.person}
        if isinstance(event, Handover):
            concerned.add(event.anonymous)
        elif isinstance(event, Erased) or now - event.received_at < AT_ONCE:
            return False
        return any(at is not None and event.received_at <= at for at in map(self._erased_at, concerned))

    def _erased_at(self, person: str) -> datetime | None:
        if person not in self._known:
            self._known[person] = self._ask(person_digest(person, self._secret))
        return self._known[person]
