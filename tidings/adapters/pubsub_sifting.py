"""Looking through a pull subscription: some messages are taken out of it, and all others stay in it.

Whoever looks at a message holds it: it is leased, and nobody else sees it meanwhile. What is not taken stays leased
until the end, or it would come again and again, and is then given back at once.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    GoogleAPICallError,
    InternalServerError,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
    Unknown,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import SubscriberClient

from tidings.adapters.pubsub import EMULATOR, MAX_MESSAGES, subscriber, subscription_path
from tidings.errors import PublishError
from tidings.wire.topics import Message, Sifted, Waiting

LEASE_SECONDS = 60
"""So long a message is held at a time: if this process dies, the others see it again after that."""

ALL_TOO_NEW = 3
"""So many answers in a row that hold only what is too new are believed to be the end: order is not promised."""

RENEW_SECONDS = 15.0
"""So often leases are renewed, so that a visit may take its time."""

_AWAY = if_exception_type(Aborted, InternalServerError, ResourceExhausted, ServiceUnavailable, Unknown)
_patiently = Retry(predicate=_AWAY, initial=0.1, maximum=1.0, timeout=10.0)
"""A person is waiting; by default the library tries for a minute before it says a word."""


def sift(project: str, subscription: str, wanted: Callable[[Message], bool], seconds: float = 20.0) -> Sifted:
    """Take what is `wanted` out of a subscription. See `look_through`."""
    return look_through(project, subscription, lambda one: wanted(one.message), seconds=seconds)


def look_through(
    project: str,
    subscription: str,
    visit: Callable[[Waiting], bool],
    *,
    until: datetime | None = None,
    seconds: float | None = None,
) -> Sifted:
    """Visit everything that waits, once; what `visit` answers True to is gone afterwards.

    A message is acknowledged only after its visit. If this process dies in between, it may be visited a second time.

    Args:
        project: of the subscription.
        subscription: its name.
        visit: whatever it raises ends the looking; what was taken by then is gone, and all else is given back.
        until: what was published later is not visited: a visit may cause more messages.
        seconds: how long it may take; None for as long as it takes.

    Raises:
        PublishError: Pub/Sub cannot be reached now; what was acknowledged by then is gone.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    held = _Held(subscriber(os.environ.get(EMULATOR)), subscription_path(project, subscription))
    seen = taken = too_new = 0
    try:
        while deadline is None or time.monotonic() < deadline:
            fresh = held.pull()
            news = [one for one in fresh if until is None or one.published <= until]
            too_new = 0 if news else too_new + 1
            if not fresh or too_new == ALL_TOO_NEW:
                return Sifted(seen, taken, True)
            for one in news:
                held.renew()
                seen += 1
                if visit(one):
                    held.take(one)
                    taken += 1
            held.acknowledge()
        return Sifted(seen, taken, False)
    except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
        cause = error.cause if isinstance(error, RetryError) else error
        raise PublishError(f"{subscription}: {type(cause).__name__}") from error
    finally:
        held.give_back()


class _Held:
    """What this process holds of a subscription: ack ids by message id."""

    def __init__(self, client: SubscriberClient, path: str) -> None:
        self._client = client
        self._path = path
        self._held: dict[str, str] = {}
        self._taken: dict[str, str] = {}
        self._renewed_at = time.monotonic()

    def pull(self) -> list[Waiting]:
        """What is there now and was not before; nothing when nothing comes within two seconds."""
        self.renew()
        try:
            # An answer comes back a second before the timeout, or not at all.
            answer = self._client.pull(subscription=self._path, max_messages=MAX_MESSAGES, retry=_patiently, timeout=3)
        except DeadlineExceeded:
            return []
        received = answer.received_messages
        news = [_waiting(one.message) for one in received if one.message.message_id not in self._held]
        self._held |= {one.message.message_id: one.ack_id for one in received}
        return news

    def renew(self) -> None:
        """Go on holding everything, if it is time to say so."""
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            self.acknowledge()
            self._lease(LEASE_SECONDS)
            self._renewed_at = time.monotonic()

    def take(self, one: Waiting) -> None:
        """It is done with."""
        self._taken[one.id] = self._held.pop(one.id)

    def acknowledge(self) -> None:
        """What was taken goes out of the subscription."""
        for some in _chunks(self._taken.values()):
            self._client.acknowledge(subscription=self._path, ack_ids=some)
        self._taken.clear()

    def give_back(self) -> None:
        """All that is left, at once; where that fails, the leases end by themselves a little later."""
        with suppress(GoogleAPICallError, RetryError, GoogleAuthError):
            self.acknowledge()
            self._lease(0)

    def _lease(self, seconds: int) -> None:
        for some in _chunks(self._held.values()):
            self._client.modify_ack_deadline(subscription=self._path, ack_ids=some, ack_deadline_seconds=seconds)


def _chunks(ack_ids: Iterable[str]) -> Iterator[list[str]]:
    """As many as one request may hold."""
    rest = iter(list(ack_ids))
    while some := list(islice(rest, MAX_MESSAGES)):
        yield some


def _waiting(message: Any) -> Waiting:
    published = datetime.fromtimestamp(message.publish_time.timestamp(), UTC)  # a plain one: Google's class is its own
    return Waiting(message.message_id, published, Message(message.data, dict(message.attributes)))
