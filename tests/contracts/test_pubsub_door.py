"""What our own door to Pub/Sub promises, on both servers."""

import threading
from datetime import timedelta

import pytest

from tests.endpoint import endpoint
from tests.pubsub_bench import Bench
from tests.support import eventually
from tidings.adapters.pubsub import (
    Message,
    Publisher,
    TopologyError,
    ensure_subscription,
    ensure_topic,
    pull,
)
from tidings.errors import PublishError


def test_publish_returns_when_the_messages_are_there(pubsub: Bench) -> None:
    ensure_topic(pubsub.project, "events")
    ensure_subscription(pubsub.project, "reader", "events")
    sent = [Message(b"one", {"schema": "x"}), Message(b"two")]
    Publisher(pubsub.project).publish("events", sent)
    assert sorted(pull(pubsub.project, "reader", 10)) == sorted(sent)
    assert pull(pubsub.project, "reader", 10, wait=0) == []


def test_more_than_one_request_can_hold_goes_through(pubsub: Bench) -> None:
    ensure_topic(pubsub.project, "events")
    ensure_subscription(pubsub.project, "reader", "events", ack_deadline=600)
    small = [Message(b"small", {"number": str(number)}) for number in range(2500)]
    large = [Message(bytes(900_000), {"number": str(number)}) for number in range(2500, 2525)]
    Publisher(pubsub.project, timeout=60).publish("events", small + large)
    numbers: list[str] = []
    while len(numbers) < 2525:
        got = pull(pubsub.project, "reader", 1000, wait=30)
        assert got, f"{len(numbers)} of 2525 messages came"
        numbers += [message.attributes["number"] for message in got]
    assert sorted(map(int, numbers)) == list(range(2525))


def test_publishing_nothing_is_allowed(pubsub: Bench) -> None:
    Publisher(pubsub.project).publish("events", [])


def test_an_unknown_topic_is_a_publish_error_that_quotes_nothing(pubsub: Bench) -> None:
    with pytest.raises(PublishError, match=r"^nothing: NotFound$"):
        Publisher(pubsub.project).publish("nothing", [Message(b"anna@example.org")])


def test_many_threads_can_share_a_publisher(pubsub: Bench) -> None:
    ensure_topic(pubsub.project, "events")
    ensure_subscription(pubsub.project, "reader", "events", ack_deadline=600)
    publisher = Publisher(pubsub.project)

    def work(worker: int) -> None:
        for number in range(20):
            publisher.publish("events", [Message(f"{worker}:{number}".encode())])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got: set[bytes] = set()
    while len(got) < 160:
        arrived = pull(pubsub.project, "reader", 1000, wait=30)
        assert arrived, f"{len(got)} of 160 messages came"
        got |= {message.data for message in arrived}


def test_setting_up_twice_is_setting_up_once_with_the_later_settings(pubsub: Bench) -> None:
    for name in ("events", "dead-letters"):
        ensure_topic(pubsub.project, name)
        ensure_topic(pubsub.project, name)
    ensure_subscription(pubsub.project, "reader", "events", ack_deadline=20)
    ensure_subscription(
        pubsub.project,
        "reader",
        "events",
        ack_deadline=30,
        dead_letter_topic="dead-letters",
        max_delivery_attempts=7,
        min_backoff=1,
        max_backoff=60,
    )
    found = pubsub.subscriber.get_subscription(subscription=pubsub.subscription_path("reader"))
    assert found.ack_deadline_seconds == 30
    assert found.dead_letter_policy.dead_letter_topic == pubsub.topic_path("dead-letters")
    assert found.dead_letter_policy.max_delivery_attempts == 7
    assert found.retry_policy.minimum_backoff == timedelta(seconds=1)
    assert found.retry_policy.maximum_backoff == timedelta(seconds=60)


def test_a_restarted_run_moves_the_push_endpoint(pubsub: Bench) -> None:
    ensure_topic(pubsub.project, "sends")
    with endpoint(204) as old, endpoint(204) as new:
        for taken in (old, new):
            ensure_subscription(pubsub.project, "deliver", "sends", push_endpoint=taken.url)
        Publisher(pubsub.project).publish("sends", [Message(b"decision")])
        eventually(lambda: new.bodies)
        assert old.bodies == []


def test_a_subscription_cannot_change_its_topic(pubsub: Bench) -> None:
    for name in ("events", "sends"):
        ensure_topic(pubsub.project, name)
    ensure_subscription(pubsub.project, "reader", "events")
    with pytest.raises(TopologyError):
        ensure_subscription(pubsub.project, "reader", "sends")
