"""Google's own, unmodified Pub/Sub clients with names of their own, for tests against any server."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient


class Bench:
    """One project that no other test uses, on the server that PUBSUB_EMULATOR_HOST names."""

    def __init__(self, publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient) -> None:
        self.project = f"test-{uuid.uuid4().hex[:12]}"
        self.publisher = publisher
        self.subscriber = subscriber

    def topic_path(self, name: str) -> str:
        """The full name of a topic."""
        return f"projects/{self.project}/topics/{name}"

    def subscription_path(self, name: str) -> str:
        """The full name of a subscription."""
        return f"projects/{self.project}/subscriptions/{name}"

    def topic(self, name: str = "events") -> str:
        """Create a topic."""
        return str(self.publisher.create_topic(name=self.topic_path(name)).name)

    def subscription(self, topic: str, name: str = "reader", **settings: Any) -> str:
        """Create a subscription."""
        request = {"name": self.subscription_path(name), "topic": topic, **settings}
        return str(self.subscriber.create_subscription(request=request).name)

    def publish(self, topic: str, *bodies: bytes, **attributes: str) -> list[str]:
        """Publish, and return the ids that the server gave."""
        return [self.publisher.publish(topic, body, **attributes).result(timeout=30) for body in bodies]

    def publish_together(self, topic: str, *messages: dict[str, Any]) -> None:
        """One Publish call with these messages, whatever they are: no batches and no checks on this side."""
        PublisherClient.publish(self.publisher, request={"topic": topic, "messages": list(messages)})

    def pull(self, subscription: str, count: int = 1, seconds: float = 30.0) -> list[Any]:
        """Received messages, `count` of them; fails when they do not come."""
        received: list[Any] = []
        deadline = time.monotonic() + seconds
        while len(received) < count:
            if time.monotonic() > deadline:
                pytest.fail(f"{len(received)} of {count} messages came within {seconds:g} s")
            received += self._pull_once(subscription, count - len(received), 5.0)
        return received

    def pull_for(self, subscription: str, seconds: float) -> list[Any]:
        """Whatever comes within the time. For tests that nothing does."""
        received: list[Any] = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            received += self._pull_once(subscription, 100, left + 1)  # an answer comes a second before the timeout
        return received

    def acknowledge(self, subscription: str, received: list[Any]) -> None:
        """Acknowledge what was pulled."""
        self.subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in received])

    def set_deadline(self, subscription: str, received: list[Any], seconds: int) -> None:
        """Let the leases end in so many seconds; 0 gives the messages back."""
        ack_ids = [one.ack_id for one in received]
        self.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=seconds)

    def _pull_once(self, subscription: str, most: int, timeout: float) -> list[Any]:
        try:
            answer = self.subscriber.pull(subscription=subscription, max_messages=most, timeout=timeout)
        except DeadlineExceeded:
            return []
        return list(answer.received_messages)


@contextmanager
def bench() -> Iterator[Bench]:
    """Clients that are closed again."""
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    try:
        yield Bench(publisher, subscriber)
    finally:
        publisher.stop()
        publisher.transport.close()
        subscriber.close()
