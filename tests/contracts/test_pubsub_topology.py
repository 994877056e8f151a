"""What Pub/Sub promises of topics and subscriptions, and how it refuses, on both servers."""

from datetime import timedelta
from typing import Any

import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound
from google.protobuf.field_mask_pb2 import FieldMask

from tests.pubsub_bench import Bench


def test_topics_and_subscriptions_are_found_again(pubsub: Bench) -> None:
    topics = [pubsub.topic(name) for name in ("orders", "clicks")]
    subscription = pubsub.subscription(topics[0])
    project = f"projects/{pubsub.project}"
    assert [one.name for one in pubsub.publisher.list_topics(project=project)] == sorted(topics)
    assert list(pubsub.publisher.list_topic_subscriptions(topic=topics[0])) == [subscription]
    assert list(pubsub.publisher.list_topic_subscriptions(topic=topics[1])) == []
    assert [one.name for one in pubsub.subscriber.list_subscriptions(project=project)] == [subscription]
    assert pubsub.publisher.get_topic(topic=topics[0]).name == topics[0]
    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert (found.topic, found.ack_deadline_seconds) == (topics[0], 10)
    assert found.message_retention_duration == timedelta(days=7)


def test_long_lists_come_in_pages(pubsub: Bench) -> None:
    names = sorted(pubsub.topic(f"topic-{number}") for number in range(5))
    pages = pubsub.publisher.list_topics(request={"project": f"projects/{pubsub.project}", "page_size": 2}).pages
    assert [[one.name for one in page.topics] for page in pages] == [names[:2], names[2:4], names[4:]]


def test_what_is_there_already_cannot_be_created(pubsub: Bench, topic: str, subscription: str) -> None:
    with pytest.raises(AlreadyExists):
        pubsub.topic()
    with pytest.raises(AlreadyExists):
        pubsub.subscription(topic)


def test_what_is_not_there_is_not_found(pubsub: Bench, topic: str) -> None:
    nothing, nobody = pubsub.topic_path("nothing"), pubsub.subscription_path("nobody")
    dead = {"dead_letter_topic": nothing}
    calls = [
        lambda: pubsub.publish(nothing, b"lost"),
        lambda: pubsub.publisher.get_topic(topic=nothing),
        lambda: pubsub.publisher.delete_topic(topic=nothing),
        lambda: pubsub.subscription(nothing),
        lambda: pubsub.subscription(topic, dead_letter_policy=dead),
        lambda: pubsub.subscriber.get_subscription(subscription=nobody),
        lambda: pubsub.subscriber.delete_subscription(subscription=nobody),
        lambda: pubsub.subscriber.pull(subscription=nobody, max_messages=1),
        lambda: pubsub.subscriber.acknowledge(subscription=nobody, ack_ids=["1-1-1"]),
        lambda: pubsub.subscriber.modify_push_config(subscription=nobody, push_config={}),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


def test_nonsense_is_an_invalid_argument(pubsub: Bench, topic: str, subscription: str) -> None:
    calls = [
        lambda: pubsub.publisher.create_topic(name=pubsub.topic_path("1-starts-with-a-digit")),
        lambda: pubsub.publisher.create_topic(name=pubsub.subscription_path("not-a-topic")),
        lambda: pubsub.publish_together(topic, {}),
        lambda: pubsub.publish_together(topic),
        lambda: pubsub.publish_together(topic, *[{"data": b"x"}] * 1001),
        lambda: pubsub.subscription(topic, "slow", ack_deadline_seconds=601),
        lambda: pubsub.subscription(topic, "brief", message_retention_duration=timedelta(seconds=60)),
        lambda: pubsub.subscriber.pull(subscription=subscription, max_messages=0),
        lambda: pubsub.subscriber.acknowledge(subscription=subscription, ack_ids=["nonsense"]),
        lambda: pubsub.subscriber.acknowledge(subscription=subscription, ack_ids=[]),
        lambda: update(pubsub, subscription, ["topic"]),
        lambda: update(pubsub, subscription, ["no_such_field"]),
        lambda: update(pubsub, subscription, []),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument):
            call()


def test_only_the_named_settings_of_a_subscription_change(pubsub: Bench, topic: str) -> None:
    subscription = pubsub.subscription(topic, ack_deadline_seconds=20, labels={"team": "mail"})
    updated = update(pubsub, subscription, ["ack_deadline_seconds"], ack_deadline_seconds=30, labels={"team": "x"})
    assert updated == pubsub.subscriber.get_subscription(subscription=subscription)
    assert (updated.ack_deadline_seconds, dict(updated.labels)) == (30, {"team": "mail"})


def test_a_deleted_subscription_is_gone_with_its_messages(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"for the old one")
    pubsub.subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        pubsub.subscriber.pull(subscription=subscription, max_messages=1)
    assert pubsub.pull_for(pubsub.subscription(topic), 1.0) == []


def test_a_deleted_topic_leaves_its_subscriptions_what_they_have(pubsub: Bench, topic: str, subscription: str) -> None:
    pubsub.publish(topic, b"last words")
    pubsub.publisher.delete_topic(topic=topic)
    assert pubsub.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    assert [one.message.data for one in pubsub.pull(subscription)] == [b"last words"]


def update(pubsub: Bench, subscription: str, paths: list[str], **settings: Any) -> Any:
    return pubsub.subscriber.update_subscription(
        subscription={"name": subscription, **settings}, update_mask=FieldMask(paths=paths)
    )
