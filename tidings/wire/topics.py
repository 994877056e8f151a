"""What travels over topics, and the doors to it as the core sees them. `tidings.adapters.pubsub` opens them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tidings.wire import attributes, decisions, events
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Message(NamedTuple):
    """What is published and pulled: bytes, and attributes for those who route without decoding."""

    data: bytes
    attributes: Mapping[str, str] = _NO_ATTRIBUTES


def of_event(event: Event) -> Message:
    """An event, for the events topic."""
    return Message(events.encode(event), attributes.of_event(event))


def of_decision(decision: Decision) -> Message:
    """A decision, for the sends topic."""
    return Message(decisions.encode(decision), attributes.of_decision(decision))


class Publisher(Protocol):
    """Publishes to topics."""

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when every message is there.

        Raises:
            PublishError: they are not, or not all of them.
        """


class Waiting(NamedTuple):
    """A message that waits in a subscription.

    Attributes:
        id: Pub/Sub's own, the same whenever it is delivered again; `gcloud` calls it MESSAGE_ID.
        published: when Pub/Sub got it.
        message: what it is.
    """

    id: str
    published: datetime
    message: Message


class Sifted(NamedTuple):
    """What came of sifting a subscription.

    Attributes:
        seen: so many messages were looked at.
        taken: so many of them were taken out.
        complete: whether nothing was left to look at. False when time was up; messages that somebody else holds at
            the moment are never seen.
    """

    seen: int
    taken: int
    complete: bool


class Sieve(Protocol):
    """Takes some messages out of a subscription, and leaves the others in it."""

    def __call__(self, wanted: Callable[[Message], bool]) -> Sifted:
        """Look at what waits; what is `wanted` is gone afterwards.

        Raises:
            PublishError: Pub/Sub cannot be reached now. What has been taken out so far stays out.
        """
