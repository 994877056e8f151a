"""What time does to messages: the embedded server's backlog, with time as an argument."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from tidings.adapters.pubsub_backlog import MAX_LEASED_BYTES, PubsubMessage
from tidings.adapters.pubsub_broker import Broker

TOPIC, DEAD = "projects/p/topics/events", "projects/p/topics/dead-letters"
READER, MORGUE = "projects/p/subscriptions/reader", "projects/p/subscriptions/morgue"
NOON = 1_800_000_000.0


class Desk:
    """A broker in a file, spoken to in bytes."""

    def __init__(self, path: Path) -> None:
        self._broker = Broker(path, lambda: NOON)
        self._broker.lock.acquire()
        self.backlog = self._broker.backlog
        self.catalogue = self._broker.catalogue

    def close(self) -> None:
        """Close the file; once is enough."""
        if self._broker.closed:
            return
        self._broker.lock.release()
        self._broker.close()

    def subscribe(self, name: str = READER, topic: str = TOPIC, **settings: Any) -> None:
        """Create a subscription, and the topics it needs."""
        for needed in (topic, DEAD):
            if needed not in self.catalogue.topics:
                self.catalogue.create_topic(types.Topic.pb(types.Topic(name=needed)))
        subscription = types.Subscription(name=name, topic=topic, **settings)
        self.catalogue.create_subscription(types.Subscription.pb(subscription))

    def publish(self, *bodies: bytes, now: float = NOON, topic: str = TOPIC) -> list[str]:
        """Publish, and return the ids."""
        return self.backlog.publish(topic, [PubsubMessage(data=body) for body in bodies], now)

    def lease(self, now: float, name: str = READER, limit: int = 100) -> list[bytes]:
        """What is due, leased."""
        return [one.message.data for one in self.backlog.lease(name, limit, now)]

    def give_back(self, now: float) -> None:
        """Lease what is due and return it at once."""
        ack_ids = [one.ack_id for one in self.backlog.lease(READER, 100, now)]
        assert ack_ids, "nothing was due"
        self.backlog.modify_ack_deadline(READER, ack_ids, 0, now)


def stored_in(path: Path) -> int:
    """How many messages the file holds. Its desk must be closed."""
    db = sqlite3.connect(path)
    [(count,)] = db.execute("SELECT count(*) FROM messages").fetchall()
    db.close()
    return int(count)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pubsub.db"


@pytest.fixture
def desk(file: Path) -> Iterator[Desk]:
    opened = Desk(file)
    yield opened
    opened.close()


def test_a_lease_ends_at_its_deadline_and_not_before(desk: Desk) -> None:
    desk.subscribe(ack_deadline_seconds=10)
    desk.publish(b"a")
    assert desk.lease(NOON) == [b"a"]
    assert desk.lease(NOON + 9.9) == []
    assert desk.lease(NOON + 10) == [b"a"]


def test_messages_come_in_the_order_in_which_they_became_due(desk: Desk) -> None:
    desk.subscribe(ack_deadline_seconds=10)
    desk.publish(b"first", b"second")
    assert desk.lease(NOON, limit=1) == [b"first"]
    desk.publish(b"third", now=NOON + 5)
    desk.publish(b"fourth", now=NOON + 15)
    assert desk.lease(NOON + 20) == [b"second", b"third", b"first", b"fourth"]


def test_an_ack_that_comes_after_its_lease_still_counts(desk: Desk) -> None:
    desk.subscribe()
    desk.publish(b"a")
    [late] = desk.backlog.lease(READER, 1, NOON)
    assert desk.lease(NOON + 60) == [b"a"]
    desk.backlog.acknowledge(READER, [late.ack_id])
    assert desk.backlog.next_due(READER) is None


def test_a_late_return_does_not_touch_the_lease_of_another(desk: Desk) -> None:
    desk.subscribe(ack_deadline_seconds=10)
    desk.publish(b"a")
    [late] = desk.backlog.lease(READER, 1, NOON)
    assert desk.lease(NOON + 60) == [b"a"]
    desk.backlog.modify_ack_deadline(READER, [late.ack_id], 0, NOON + 61)
    assert desk.lease(NOON + 61) == []


def test_a_retry_policy_doubles_the_rest_up_to_its_maximum(desk: Desk) -> None:
    policy = {"minimum_backoff": timedelta(seconds=10), "maximum_backoff": timedelta(seconds=60)}
    desk.subscribe(retry_policy=policy)
    desk.publish(b"a")
    now, rests = NOON, []
    for _ in range(5):
        desk.give_back(now)
        due = desk.backlog.next_due(READER)
        assert due is not None
        rests.append(due - now)
        now = due
    assert rests == [10, 20, 40, 60, 60]


def test_the_rest_begins_when_the_lease_ends(desk: Desk) -> None:
    desk.subscribe(ack_deadline_seconds=10, retry_policy={"minimum_backoff": timedelta(seconds=30)})
    desk.publish(b"a")
    desk.lease(NOON)
    assert desk.backlog.next_due(READER) == NOON + 40


def test_a_push_subscription_rests_as_google_does_when_it_has_no_policy(desk: Desk) -> None:
    desk.subscribe(push_config={"push_endpoint": "http://localhost/push"})
    desk.publish(b"a")
    now, rests = NOON, []
    for _ in range(12):
        desk.give_back(now)
        due = desk.backlog.next_due(READER)
        assert due is not None
        rests.append(round(due - now, 2))
        now = due
    assert rests[:3] == [0.1, 0.2, 0.4]
    assert rests[-1] == 60


def test_a_lease_that_ends_for_the_last_time_makes_a_dead_letter_though_nobody_pulls(desk: Desk) -> None:
    desk.subscribe(dead_letter_policy={"dead_letter_topic": DEAD}, ack_deadline_seconds=10)
    desk.subscribe(MORGUE, DEAD)
    desk.publish(b"poison", b"good")
    for attempt in range(5):
        received = desk.backlog.lease(READER, 10, NOON + attempt * 10)
        if attempt == 0:
            desk.backlog.acknowledge(READER, [one.ack_id for one in received if one.message.data == b"good"])
    desk.backlog.dead_letter_due(NOON + 49)
    assert desk.lease(NOON + 49, MORGUE) == []
    desk.backlog.dead_letter_due(NOON + 50)
    assert desk.lease(NOON + 50, MORGUE) == [b"poison"]
    assert desk.backlog.next_due(READER) is None


def test_the_last_failure_is_a_dead_letter_without_another_rest(desk: Desk) -> None:
    policy = {"minimum_backoff": timedelta(seconds=100), "maximum_backoff": timedelta(seconds=100)}
    desk.subscribe(dead_letter_policy={"dead_letter_topic": DEAD}, retry_policy=policy)
    desk.subscribe(MORGUE, DEAD)
    desk.publish(b"poison")
    for attempt in range(5):
        desk.give_back(NOON + attempt * 100)
    assert desk.lease(NOON + 400) == []
    assert desk.lease(NOON + 400, MORGUE) == [b"poison"]


def test_without_its_dead_letter_topic_a_message_is_delivered_on_and_on(desk: Desk) -> None:
    desk.subscribe(dead_letter_policy={"dead_letter_topic": DEAD})
    desk.publish(b"poison")
    desk.catalogue.delete_topic(DEAD)
    for attempt in range(8):
        desk.give_back(NOON + attempt)
    desk.backlog.dead_letter_due(NOON + 10)
    [received] = desk.backlog.lease(READER, 1, NOON + 10)
    assert received.delivery_attempt == 9


def test_what_outlives_its_retention_is_dropped_and_said(
    desk: Desk, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk.subscribe(message_retention_duration=timedelta(minutes=10))
    desk.subscribe(MORGUE, message_retention_duration=timedelta(days=1))
    desk.publish(b"old", b"older")
    desk.publish(b"new", now=NOON + 300)
    desk.backlog.drop_expired(NOON + 601)
    assert desk.lease(NOON + 601) == [b"new"]
    assert desk.lease(NOON + 601, MORGUE) == [b"old", b"older", b"new"]
    assert caplog.messages == [f"{READER}: 2 messages outlived the retention and are dropped"]


def test_a_message_is_stored_once_and_until_the_last_subscription_is_done_with_it(desk: Desk, file: Path) -> None:
    desk.subscribe()
    desk.subscribe(MORGUE)
    desk.publish(b"a", b"b")
    for name in (READER, MORGUE):
        desk.backlog.acknowledge(name, [one.ack_id for one in desk.backlog.lease(name, 1, NOON)])
    desk.backlog.discard(desk.catalogue.delete_subscription(MORGUE))
    desk.close()
    assert stored_in(file) == 1


def test_a_message_that_nobody_subscribes_to_is_not_stored(desk: Desk, file: Path) -> None:
    desk.subscribe()
    assert len(desk.publish(b"a", topic=DEAD)) == 1
    desk.close()
    assert stored_in(file) == 0


def test_one_answer_stays_below_what_clients_accept_and_never_starves(desk: Desk) -> None:
    desk.subscribe()
    desk.publish(bytes(MAX_LEASED_BYTES + 1), *[bytes(MAX_LEASED_BYTES // 2 - 1000)] * 3)
    assert [len(desk.lease(NOON)) for _ in range(3)] == [1, 2, 1]


def test_reopening_the_file_finds_everything_and_gives_new_ids(file: Path) -> None:
    first = Desk(file)
    first.subscribe(ack_deadline_seconds=10, labels={"team": "mail"})
    old = first.publish(b"acked", b"leased", b"waiting")
    acked, _ = first.backlog.lease(READER, 2, NOON)
    first.backlog.acknowledge(READER, [acked.ack_id])
    first.close()
    second = Desk(file)
    assert dict(second.catalogue.subscription(READER).config.labels) == {"team": "mail"}
    assert second.lease(NOON + 1) == [b"waiting"]
    assert second.lease(NOON + 10) == [b"leased"]
    assert not set(second.publish(b"new")) & set(old)
    second.close()


def test_an_ack_id_counts_for_its_own_subscription_alone(desk: Desk) -> None:
    desk.subscribe(ack_deadline_seconds=10)
    desk.subscribe(MORGUE)
    desk.publish(b"a")
    [elsewhere] = desk.backlog.lease(MORGUE, 1, NOON)
    desk.lease(NOON)
    desk.backlog.acknowledge(READER, [elsewhere.ack_id])
    assert desk.lease(NOON + 10) == [b"a"]


def test_a_dead_letter_policy_can_be_taken_away_again(desk: Desk) -> None:
    desk.subscribe(dead_letter_policy={"dead_letter_topic": DEAD})
    change = types.Subscription.pb()(name=READER)
    updated = desk.catalogue.update_subscription(change, FieldMask(paths=["dead_letter_policy"]))
    assert not updated.HasField("dead_letter_policy")
