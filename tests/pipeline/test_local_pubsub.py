"""How far the local pipeline believes to have read, with time as an argument: never further than it has."""

from collections.abc import Iterator

import pytest
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from pipeline.local_pubsub import Reading
from tests.pubsub_bench import Bench, bench
from tidings.adapters.pubsub_backlog import MAX_LEASED_BYTES
from tidings.adapters.pubsub_server import PubSubServer

NOON = 1_800_000_000.0
LEASE = 10
LARGE = bytes(MAX_LEASED_BYTES // 10 - 1000)
"""Ten of these fill an answer."""


class Desk:
    """A subscription with a clock that the test turns."""

    def __init__(self) -> None:
        self.now = NOON
        self.pubsub: Bench
        self.topic = self.subscription = ""

    def publish(self, *bodies: bytes) -> None:
        """Publish, now."""
        self.pubsub.publish(self.topic, *bodies)

    def reading(self) -> Reading:
        """A pipeline begins to read, now."""
        return Reading(self.pubsub.subscriber, self.subscription, self.now)

    def pull(self, reading: Reading) -> list[bytes]:
        """What one pull of that pipeline brings."""
        reading.acknowledge(self.now)
        received = reading.pull(self.now)
        reading.advance(self.now, [one.message.publish_time.timestamp() for one in received])
        return [one.message.data for one in received]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk()
    with PubSubServer(clock=lambda: desk.now) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with bench() as desk.pubsub:
            desk.topic = desk.pubsub.topic()
            desk.subscription = desk.pubsub.subscription(desk.topic, ack_deadline_seconds=LEASE)
            yield desk


def test_nothing_is_complete_while_a_message_may_still_come_back_from_a_pipeline_that_died(desk: Desk) -> None:
    """It has the order, and nobody works on it. When its lease is over and nothing is left, everything was read."""
    desk.publish(b"order")
    assert desk.pull(desk.reading()) == [b"order"]
    reading = desk.reading()
    assert (desk.pull(reading), reading.watermark) == ([], MIN_TIMESTAMP)
    desk.now = NOON + LEASE + 1
    assert (desk.pull(reading), reading.watermark) == ([b"order"], MIN_TIMESTAMP)
    assert desk.pull(reading) == []
    assert reading.watermark == Timestamp.of(desk.now - 0.5)


def test_a_pull_that_is_short_because_its_messages_are_large_has_not_read_everything(desk: Desk) -> None:
    """The order is back in the queue, behind a backlog of events of which a few fill an answer."""
    desk.publish(b"order")
    assert desk.pull(desk.reading()) == [b"order"]
    reading = desk.reading()
    desk.now = NOON + 5
    desk.publish(*[LARGE] * 35)
    desk.now = NOON + LEASE + 2
    read: list[bytes] = []
    while b"order" not in read:
        assert reading.watermark == MIN_TIMESTAMP
        pulled = desk.pull(reading)
        assert pulled, "the order is lost"
        read += pulled
    assert len(read) == 36
    assert desk.pull(reading) == []
    assert reading.watermark == Timestamp.of(desk.now - 0.5)


def test_traffic_that_never_pauses_does_not_hold_timers_up(desk: Desk) -> None:
    """No pull is ever empty; but what was published after everything had come back queues behind all of it."""
    desk.publish(b"order")
    assert desk.pull(desk.reading()) == [b"order"]
    reading = desk.reading()
    watermarks = []
    for second in range(1, LEASE + 4):
        desk.now = NOON + second
        desk.publish(b"view")
        assert desk.pull(reading)[-1] == b"view"
        watermarks.append(reading.watermark)
    assert watermarks == [MIN_TIMESTAMP] * LEASE + [Timestamp.of(NOON + LEASE + more) for more in (1, 2, 3)]


def test_a_backlog_that_begins_later_is_complete_up_to_the_oldest_message_of_each_pull(desk: Desk) -> None:
    """Once certain, always certain: messages come oldest first."""
    reading = desk.reading()
    desk.now = NOON + LEASE + 1
    assert desk.pull(reading) == []
    for second in (20, 21):
        desk.now = NOON + second
        desk.publish(*[LARGE] * 10)
    assert [len(desk.pull(reading)), reading.watermark] == [10, Timestamp.of(NOON + 20)]
    assert [len(desk.pull(reading)), reading.watermark] == [10, Timestamp.of(NOON + 21)]


def test_a_lost_answer_makes_everything_doubtful_again(desk: Desk) -> None:
    """And never moves the watermark back."""
    reading = desk.reading()
    desk.now = NOON + LEASE + 1
    assert desk.pull(reading) == []
    before = reading.watermark
    reading.doubt(desk.now)
    for second in (1, LEASE):
        desk.now = NOON + LEASE + 1 + second
        assert (desk.pull(reading), reading.watermark) == ([], before)
    desk.now += 1
    assert (desk.pull(reading), reading.watermark) == ([], Timestamp.of(desk.now - 0.5))


def test_what_was_read_is_acknowledged_when_it_had_time_to_be_processed(desk: Desk) -> None:
    """Earlier, a pipeline that dies would take it along."""
    reading = desk.reading()
    desk.publish(b"a", b"b")
    assert desk.pull(reading) == [b"a", b"b"]
    reading.acknowledge(NOON + 4.9)
    another = desk.reading()
    desk.now = NOON + LEASE
    assert desk.pull(another) == [b"a", b"b"]
    another.acknowledge(desk.now + 5)
    desk.now += 5 + LEASE
    assert desk.pull(another) == []
