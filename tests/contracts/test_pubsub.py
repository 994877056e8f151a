"""What Pub/Sub promises of messages, held against the embedded server and Google's emulator.

The clients are Google's own, unmodified.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import NotFound

from tests.endpoint import endpoint
from tests.pubsub_bench import Bench
from tests.support import eventually
from tidings.wire import dead_letter


def test_a_published_message_can_be_pulled_with_the_id_that_publish_returned(
    pubsub: Bench, topic: str, subscription: str
) -> None:
    before = datetime.now(UTC)
    [message_id] = pubsub.publish(topic, b"hello")
    [received] = pubsub.pull(subscription)
    assert (received.message.data, received.message.message_id) == (b"hello", message_id)
    assert abs(received.message.publish_time - before) < timedelta(minutes=1)


def test_every_message_gets_an_id_of_its_own(pubsub: Bench, topic: str, subscription: str) -> None:
    ids = pubsub.publish(topic, *[b"the same"] * 50)
    assert len(set(ids)) == 50
    assert {one.message.message_id for one in pubsub.pull(subscription, 50)} == set(ids)


def test_any_byte_and_any_text_comes_back_as_it_was(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, bytes(range(256)), schema="tidings.event.v1", name="Zoë & <b>", empty="")
    [received] = pubsub.pull(subscription)
    assert received.message.data == bytes(range(256))
    assert dict(received.message.attributes) == {"schema": "tidings.event.v1", "name": "Zoë & <b>", "empty": ""}


def test_attributes_alone_make_a_message(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"", kind="heartbeat")
    [received] = pubsub.pull(subscription)
    assert dict(received.message.attributes) == {"kind": "heartbeat"}


def test_every_subscription_gets_every_message(pubsub: Bench, topic: str, subscription: str) -> None:
    other = pubsub.subscription(topic, "other", ack_deadline_seconds=600)
    pubsub.publish(topic, b"1", b"2", b"3")
    for name in (subscription, other):
        received = pubsub.pull(name, 3)
        pubsub.acknowledge(name, received)  # and acknowledging in one leaves the other alone
        assert sorted(one.message.data for one in received) == [b"1", b"2", b"3"]


def test_a_subscription_gets_nothing_of_what_was_published_before_it(pubsub: Bench, topic: str) -> None:
    pubsub.publish(topic, b"before")
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"after")
    assert [one.message.data for one in pubsub.pull(subscription)] == [b"after"]


def test_a_pull_never_brings_more_than_it_asked_for(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, *[b"x"] * 10)
    answers = [pubsub.subscriber.pull(subscription=subscription, max_messages=3).received_messages for _ in range(2)]
    assert all(1 <= len(answer) <= 3 for answer in answers)


def test_an_acknowledged_message_does_not_come_back(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"done")
    received = pubsub.pull(subscription)
    pubsub.set_deadline(subscription, received, 1)
    pubsub.acknowledge(subscription, received)
    assert pubsub.pull_for(subscription, 1.5) == []


def test_an_unacknowledged_message_comes_again_after_its_deadline(pubsub: Bench, topic: str, subscription: str) -> None:
    [message_id] = pubsub.publish(topic, b"forgotten")
    first = pubsub.pull(subscription)
    pubsub.set_deadline(subscription, first, 1)
    [second] = pubsub.pull(subscription)
    assert second.message.message_id == message_id
    assert second.ack_id != first[0].ack_id


def test_a_leased_message_goes_to_nobody_else(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"mine")
    pubsub.pull(subscription)
    assert pubsub.pull_for(subscription, 1.0) == []


def test_a_deadline_of_zero_gives_the_message_back_at_once(pubsub: Bench, topic: str, subscription: str) -> None:
    [message_id] = pubsub.publish(topic, b"not now")
    pubsub.set_deadline(subscription, pubsub.pull(subscription), 0)
    [again] = pubsub.pull(subscription)
    assert again.message.message_id == message_id


def test_a_longer_deadline_keeps_the_message(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"slow work")
    received = pubsub.pull(subscription)
    pubsub.set_deadline(subscription, received, 1)
    pubsub.set_deadline(subscription, received, 60)
    assert pubsub.pull_for(subscription, 1.5) == []


def test_a_retry_policy_makes_a_returned_message_rest(pubsub: Bench, topic: str) -> None:
    policy = {"minimum_backoff": timedelta(seconds=1), "maximum_backoff": timedelta(seconds=1)}
    subscription = pubsub.subscription(topic, retry_policy=policy)
    [message_id] = pubsub.publish(topic, b"later")
    for _ in range(2):  # Google's emulator begins with the second time
        pubsub.set_deadline(subscription, pubsub.pull(subscription), 0)
    assert pubsub.pull_for(subscription, 0.5) == []
    [again] = pubsub.pull(subscription)
    assert again.message.message_id == message_id


@contextmanager
def streaming(pubsub: Bench, subscription: str, take: Callable[[Any], None]) -> Iterator[None]:
    """A background subscriber; leaving waits for the acknowledgements under way."""
    future = pubsub.subscriber.subscribe(subscription, callback=take, await_callbacks_on_shutdown=True)
    try:
        yield
    finally:
        future.cancel()
        future.result(timeout=30)


def test_every_message_streams_in_and_acknowledged_ones_are_gone(pubsub: Bench, topic: str, subscription: str) -> None:
    seen: list[bytes] = []

    def take(message: Any) -> None:
        seen.append(message.data)
        message.ack()

    bodies = [str(number).encode() for number in range(100)]
    with streaming(pubsub, subscription, take):
        pubsub.publish(topic, *bodies)
        eventually(lambda: len(seen) >= 100)
    assert sorted(seen) == sorted(bodies)
    assert pubsub.pull_for(subscription, 1.0) == []


def test_a_message_given_back_streams_in_again(pubsub: Bench, topic: str, subscription: str) -> None:
    seen: list[bytes] = []

    def take(message: Any) -> None:
        seen.append(message.data)
        (message.ack if len(seen) > 1 else message.nack)()

    with streaming(pubsub, subscription, take):
        pubsub.publish(topic, b"again")
        eventually(lambda: len(seen) >= 2)
    assert seen == [b"again", b"again"]


def test_an_unknown_subscription_ends_the_stream(pubsub: Bench) -> None:
    stream = pubsub.subscriber.subscribe(pubsub.subscription_path("nobody"), callback=lambda message: None)
    with pytest.raises(NotFound):
        stream.result(timeout=30)


def test_a_message_is_pushed_again_until_the_endpoint_takes_it(pubsub: Bench, topic: str) -> None:
    with endpoint(500, 503, 204) as taken:
        name = pubsub.subscription(topic, "push", push_config={"push_endpoint": taken.url})
        [message_id] = pubsub.publish(topic, b"\x00\xffhello", schema="tidings.decision.v1")
        eventually(lambda: len(taken.bodies) >= 3)
        [last_id] = pubsub.publish(topic, b"after")
        eventually(lambda: len(taken.bodies) >= 4)
    first, second, third, fourth = (json.loads(body) for body in taken.bodies)
    assert first == second == third
    assert first["subscription"] == name
    message = first["message"]
    assert base64.b64decode(message["data"]) == b"\x00\xffhello"
    assert message["attributes"] == {"schema": "tidings.decision.v1"}
    assert message["messageId"] == message["message_id"] == message_id
    assert message["publishTime"] == message["publish_time"]
    assert message["publishTime"].endswith("Z")
    assert datetime.fromisoformat(message["publishTime"]).tzinfo is not None
    assert fourth["message"]["messageId"] == last_id
    assert taken.headers[0]["Content-Type"] == "application/json"


def test_a_push_subscription_can_become_one_that_is_pulled(pubsub: Bench, topic: str) -> None:
    with endpoint(204) as taken:
        name = pubsub.subscription(topic, "push", push_config={"push_endpoint": taken.url})
        pubsub.publish(topic, b"pushed")
        eventually(lambda: taken.bodies)
        pubsub.subscriber.modify_push_config(subscription=name, push_config={})
        pubsub.publish(topic, b"pulled")
        assert [one.message.data for one in pubsub.pull(name)] == [b"pulled"]
    assert len(taken.bodies) == 1


def test_after_the_last_attempt_a_message_goes_to_the_dead_letter_topic(pubsub: Bench, topic: str) -> None:
    dead = pubsub.topic("dead-letters")
    morgue = pubsub.subscription(dead, "morgue")
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscription = pubsub.subscription(topic, dead_letter_policy=policy)
    pubsub.publish(topic, b"poison", kind="bad")
    attempts = []
    for _ in range(5):
        received = pubsub.pull(subscription)
        attempts.append(received[0].delivery_attempt)
        pubsub.set_deadline(subscription, received, 0)
    assert attempts == [1, 2, 3, 4, 5]
    assert pubsub.pull_for(subscription, 0.5) == []
    [letter] = pubsub.pull(morgue)
    attributes = dict(letter.message.attributes)
    assert dead_letter.read(letter.message.data, attributes).reason == "undeliverable"
    assert datetime.fromisoformat(attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime"))
    assert letter.message.data == b"poison"
    assert attributes == {
        "kind": "bad",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "reader",
        "CloudPubSubDeadLetterSourceSubscriptionProject": pubsub.project,
    }


def test_a_message_that_is_taken_in_time_is_no_dead_letter(pubsub: Bench, topic: str) -> None:
    dead = pubsub.topic("dead-letters")
    morgue = pubsub.subscription(dead, "morgue")
    subscription = pubsub.subscription(topic, dead_letter_policy={"dead_letter_topic": dead})
    pubsub.publish(topic, b"hesitant")
    for _ in range(4):
        pubsub.set_deadline(subscription, pubsub.pull(subscription), 0)
    pubsub.acknowledge(subscription, pubsub.pull(subscription))
    assert pubsub.pull_for(morgue, 1.5) == []
