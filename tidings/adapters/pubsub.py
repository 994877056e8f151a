"""The door to Pub/Sub: publish and know that it is there, set topics up, and pull.

Everything honours PUBSUB_EMULATOR_HOST (read at each call, so that tests can change it) and otherwise talks to Google
with the application default credentials.
Source: https://cloud.google.com/pubsub/docs/publisher and https://cloud.google.com/pubsub/quotas#resource_limits
"""

import functools
import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
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
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tidings.errors import PublishError, TidingsError
from tidings.wire import topics

EMULATOR = "PUBSUB_EMULATOR_HOST"
"""When it is set, that address is asked, without credentials."""

MAX_MESSAGES = 1000
MAX_REQUEST_BYTES = 10_000_000
_FRAME_BYTES = 8
"""What protobuf adds to a message inside a request, at most: a tag and a length."""

_TRANSIENT = if_exception_type(
    Aborted, DeadlineExceeded, InternalServerError, ResourceExhausted, ServiceUnavailable, Unknown
)
_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC waits up to two minutes before it tries a dead server again; an emulator is back sooner than that.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Message = topics.Message
"""See there."""


class TopologyError(TidingsError):
    """A subscription of the name exists, and belongs to another topic, which Pub/Sub cannot change."""


class Publisher:
    """Publishes to the topics of one project. Thread-safe; the connection is made on first use and shared.

    Args:
        project: the Google Cloud project of the topics.
        timeout: seconds within which Pub/Sub must have taken everything of one call.
    """

    def __init__(self, project: str, timeout: float = 10.0) -> None:
        self._project = project
        self._timeout = timeout

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when Pub/Sub has every message, in requests of at most 1,000 messages and 10 MB, without delay.

        Raises:
            PublishError: it has not, or not all: nobody listens, the topic is unknown, time is up, a message is too
                large, there are no credentials. Some may be there all the same, so publishing again may publish twice.
        """
        deadline = time.monotonic() + self._timeout
        path = topic_path(self._project, topic)
        try:
            client = _publisher(os.environ.get(EMULATOR))
            for request in _requests(path, messages):
                left = max(deadline - time.monotonic(), 0.001)
                retry = Retry(predicate=_TRANSIENT, initial=0.05, maximum=1.0, multiplier=2.0, timeout=left)
                client.publish(request=request, retry=retry, timeout=left)
        except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
            # Any status that Pub/Sub answers with, time is up, or no credentials. It is named, and nothing is quoted.
            cause = error.cause if isinstance(error, RetryError) else error
            raise PublishError(f"{topic}: {type(cause).__name__}") from error


def topic_path(project: str, topic: str) -> str:
    """`projects/<project>/topics/<topic>`; a name that is a path already stays as it is."""
    return topic if "/" in topic else f"projects/{project}/topics/{topic}"


def subscription_path(project: str, subscription: str) -> str:
    """`projects/<project>/subscriptions/<subscription>`; a name that is a path already stays as it is."""
    return subscription if "/" in subscription else f"projects/{project}/subscriptions/{subscription}"


def ensure_topic(project: str, topic: str) -> None:
    """Create the topic, unless it is there."""
    try:
        _publisher(os.environ.get(EMULATOR)).create_topic(name=topic_path(project, topic))
    except AlreadyExists:
        return


def ensure_subscription(
    project: str,
    name: str,
    topic: str,
    *,
    push_endpoint: str | None = None,
    ack_deadline: int = 60,
    dead_letter_topic: str | None = None,
    max_delivery_attempts: int = 5,
    min_backoff: float | None = None,
    max_backoff: float | None = None,
) -> None:
    """Create the subscription, or give the one that is there these settings.

    Args:
        project: of the subscription and the topics.
        name: of the subscription.
        topic: what it subscribes to; it must exist.
        push_endpoint: the URL that messages are pushed to; None for a pull subscription.
        ack_deadline: seconds, 10 to 600; also the timeout of a push request.
        dead_letter_topic: where a message goes after `max_delivery_attempts` (5 to 100) deliveries; it must exist.
        max_delivery_attempts: only with a dead-letter topic.
        min_backoff: seconds before a message comes again, 0 to 600, doubled each time; None for Pub/Sub's own way.
        max_backoff: seconds that this grows to at most, 600 unless told.

    Raises:
        TopologyError: it is there, and subscribes to another topic.
    """
    client = subscriber(os.environ.get(EMULATOR))
    wanted = types.Subscription(
        name=subscription_path(project, name),
        topic=topic_path(project, topic),
        push_config=types.PushConfig(push_endpoint=push_endpoint or ""),
        ack_deadline_seconds=ack_deadline,
    )
    if dead_letter_topic is not None:
        wanted.dead_letter_policy = types.DeadLetterPolicy(
            dead_letter_topic=topic_path(project, dead_letter_topic), max_delivery_attempts=max_delivery_attempts
        )
    if min_backoff is not None or max_backoff is not None:
        wanted.retry_policy = types.RetryPolicy(
            minimum_backoff=timedelta(seconds=min_backoff if min_backoff is not None else 0),
            maximum_backoff=timedelta(seconds=max_backoff if max_backoff is not None else 600),
        )
    try:
        client.create_subscription(request=wanted)
    except AlreadyExists:
        if client.get_subscription(subscription=wanted.name).topic != wanted.topic:
            raise TopologyError(f"{wanted.name} exists, and does not subscribe to {wanted.topic}") from None
        paths = ["push_config", "ack_deadline_seconds", "dead_letter_policy", "retry_policy"]
        client.update_subscription(subscription=wanted, update_mask={"paths": paths})


def pull(project: str, subscription: str, max_messages: int, wait: float = 1.0) -> list[Message]:
    """Take up to `max_messages` out of a subscription, and acknowledge them.

    Waits up to `wait` seconds for a first message; returns an empty list when there is none.
    """
    client = subscriber(os.environ.get(EMULATOR))
    path = subscription_path(project, subscription)
    deadline = time.monotonic() + wait
    left = wait
    while True:
        try:
            # An answer comes back a second before the timeout, or not at all.
            received = client.pull(subscription=path, max_messages=max_messages, timeout=left + 1).received_messages
        except DeadlineExceeded:
            received = []
        if received:
            client.acknowledge(subscription=path, ack_ids=[one.ack_id for one in received])
            return [Message(one.message.data, dict(one.message.attributes)) for one in received]
        left = deadline - time.monotonic()
        if left <= 0:
            return []


@functools.lru_cache
def _publisher(emulator: str | None) -> PublisherClient:
    if emulator is None:
        return PublisherClient()
    channel = grpc.insecure_channel(emulator, options=_CHANNEL_OPTIONS)
    return PublisherClient(transport=PublisherGrpcTransport(channel=channel))


@functools.lru_cache
def subscriber(emulator: str | None) -> SubscriberClient:
    """Google's client, once for each server; `emulator` is PUBSUB_EMULATOR_HOST."""
    if emulator is None:
        return SubscriberClient()
    channel = grpc.insecure_channel(emulator, options=_CHANNEL_OPTIONS)
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


def _requests(path: str, messages: Sequence[Message]) -> Iterator[Any]:
    """Publish requests that together hold all messages in order, each within Pub/Sub's limits."""
    build, wrap = types.PublishRequest.pb(), types.PublishRequest.wrap  # raw: the wrappers cost more than the sending
    request = build(topic=path)
    size = start = request.ByteSize()
    for message in messages:
        raw = types.PubsubMessage.pb()(data=message.data, attributes=message.attributes)
        cost = raw.ByteSize() + _FRAME_BYTES
        if request.messages and (len(request.messages) == MAX_MESSAGES or size + cost > MAX_REQUEST_BYTES):
            yield wrap(request)
            request, size = build(topic=path), start
        request.messages.append(raw)
        size += cost
    if request.messages:
        yield wrap(request)
