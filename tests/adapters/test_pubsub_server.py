"""What only the embedded server promises: it survives a crash, answers soon, and refuses what it cannot do."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition, InvalidArgument, NotFound, OutOfRange
from google.cloud import pubsub_v1

from tests.endpoint import endpoint
from tests.pubsub_bench import Bench, bench
from tests.support import eventually
from tidings.adapters.pubsub_server import PubSubServer


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Bench]:
    with PubSubServer(**settings) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with bench() as ready:
            yield ready


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with serving(monkeypatch) as ready:
        yield ready


@contextmanager
def process(path: Path, port: int = 0) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The server as a process of its own, and its `host:port`."""
    command = [sys.executable, "-m", "tidings.adapters.pubsub_server", "--path", str(path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


def test_after_a_kill_nothing_acknowledged_returns_and_nothing_else_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pubsub.db"
    with process(path) as (running, address):
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with bench() as pubsub:
            topic = pubsub.topic()
            subscription = pubsub.subscription(topic, ack_deadline_seconds=600)
            ids = pubsub.publish(topic, *[b"x"] * 60)
            received = pubsub.pull(subscription, 40)
            acked, held = received[:20], received[20:]
            pubsub.acknowledge(subscription, acked)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    with process(path) as (_, address):
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with bench() as pubsub:
            waiting = pubsub.pull(subscription, 20)
            pubsub.set_deadline(subscription, held, 0)  # leases and their ack ids outlive the crash as well
            returned = pubsub.pull(subscription, 20)
            assert pubsub.pull_for(subscription, 0.5) == []
    assert {one.message.message_id for one in held} == {one.message.message_id for one in returned}
    assert {one.message.message_id for one in [*acked, *waiting, *returned]} == set(ids)


def test_sigterm_ends_the_process_in_good_order(tmp_path: Path) -> None:
    with process(tmp_path / "pubsub.db") as (running, _):
        running.terminate()
        assert running.wait(timeout=30) == 0


def test_a_restart_goes_on_pushing_what_was_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pubsub.db"
    policy = {"minimum_backoff": timedelta(seconds=600), "maximum_backoff": timedelta(seconds=600)}
    with endpoint(500, 204) as taken:
        with serving(monkeypatch, path=path) as pubsub:
            topic = pubsub.topic()
            pubsub.subscription(topic, push_config={"push_endpoint": taken.url}, retry_policy=policy)
            pubsub.publish(topic, b"decision")
            eventually(lambda: taken.bodies)
        with serving(monkeypatch, path=path):
            eventually(lambda: len(taken.bodies) == 2)  # long before its backoff is over


def test_a_dead_letter_arrives_though_nobody_pulls_the_subscription_any_more(pubsub: Bench) -> None:
    dead = pubsub.topic("dead-letters")
    morgue = pubsub.subscription(dead, "morgue")
    subscription = pubsub.subscription(pubsub.topic(), dead_letter_policy={"dead_letter_topic": dead})
    pubsub.publish(pubsub.topic_path("events"), b"poison")
    for _ in range(5):
        pubsub.set_deadline(subscription, pubsub.pull(subscription), 0)
    assert [one.message.data for one in pubsub.pull(morgue)] == [b"poison"]


def test_a_push_says_which_attempt_it_is_when_attempts_are_counted(pubsub: Bench) -> None:
    """As Google itself does, and its emulator does not."""
    dead = pubsub.topic("dead-letters")
    morgue = pubsub.subscription(dead, "morgue")
    topic = pubsub.topic()
    with endpoint(500) as taken:
        policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
        pubsub.subscription(topic, "push", push_config={"push_endpoint": taken.url}, dead_letter_policy=policy)
        pubsub.publish(topic, b"poison")
        [letter] = pubsub.pull(morgue)
    assert letter.message.data == b"poison"
    attempts = [body.partition(b'"deliveryAttempt": ')[2] for body in taken.bodies]
    assert attempts == [b"1}", b"2}", b"3}", b"4}", b"5}"]


def test_a_push_endpoint_that_is_not_there_yet_gets_its_messages_when_it_is(pubsub: Bench) -> None:
    topic = pubsub.topic()
    with endpoint(204) as gone:
        pass
    name = pubsub.subscription(topic, push_config={"push_endpoint": gone.url})
    pubsub.publish(topic, b"early")
    with endpoint(204) as taken:
        pubsub.subscriber.modify_push_config(subscription=name, push_config={"push_endpoint": taken.url})
        eventually(lambda: taken.bodies)


def test_an_empty_pull_is_answered_long_before_its_deadline(pubsub: Bench) -> None:
    subscription = pubsub.subscription(pubsub.topic())
    answer = pubsub.subscriber.pull(subscription=subscription, max_messages=10, timeout=20, retry=None)
    assert list(answer.received_messages) == []  # Google's emulator would have come to a DeadlineExceeded or near it


def test_a_waiting_pull_is_answered_when_a_message_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, empty_pull_seconds=600) as pubsub, ThreadPoolExecutor(1) as pool:
        topic = pubsub.topic()
        subscription = pubsub.subscription(topic)
        waiting = pool.submit(pubsub.subscriber.pull, subscription=subscription, max_messages=10, timeout=60)
        pubsub.publish(topic, b"at last")
        assert [one.message.data for one in waiting.result(timeout=30).received_messages] == [b"at last"]


def test_stopping_answers_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def clock() -> float:
        if threading.current_thread().name.startswith("pubsub_"):
            asked.set()  # a handler asks for the time when it looks for messages, and holds the lock until it waits
        return time.time()

    server = PubSubServer(empty_pull_seconds=600, clock=clock)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.start())
    with bench() as pubsub, ThreadPoolExecutor(1) as pool:
        subscription = pubsub.subscription(pubsub.topic())
        waiting = pool.submit(pubsub.subscriber.pull, subscription=subscription, max_messages=10, timeout=60)
        assert asked.wait(30)
        server.stop()
        assert list(waiting.result(timeout=30).received_messages) == []


def test_a_stream_never_holds_more_than_it_asked_for(pubsub: Bench) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, ack_deadline_seconds=600)
    pubsub.publish(topic, b"1", b"2", b"3")
    arrived = threading.Semaphore(0)
    held: list[Any] = []

    def take(message: Any) -> None:
        held.append(message)
        arrived.release()

    flow = pubsub_v1.types.FlowControl(max_messages=1)
    stream = pubsub.subscriber.subscribe(subscription, callback=take, flow_control=flow)
    for count in (1, 2):
        assert arrived.acquire(timeout=30)
        others = pubsub.pull(subscription, 3 - count)  # what the stream does not hold, anybody may have
        assert len(held) == count
        pubsub.set_deadline(subscription, others, 0)
        held[-1].ack()
    assert arrived.acquire(timeout=30)
    held[-1].ack()
    eventually(lambda: pubsub.pull_for(subscription, 0.2) == [])
    stream.cancel()
    stream.result(timeout=30)


def test_what_it_cannot_do_is_refused_by_name(pubsub: Bench) -> None:
    topic = pubsub.topic()
    endpoint_ = {"push_endpoint": "http://localhost/push"}
    refused: list[tuple[str, dict[str, Any]]] = [
        ("filter", {"filter": 'attributes.schema = "x"'}),
        ("enable_exactly_once_delivery", {"enable_exactly_once_delivery": True}),
        ("bigquery_config", {"bigquery_config": {"table": "p.d.t"}}),
        ("oidc_token", {"push_config": {**endpoint_, "oidc_token": {"audience": "x"}}}),
        ("no_wrapper", {"push_config": {**endpoint_, "no_wrapper": {}}}),
        *(
            ("push_endpoint", {"push_config": {"push_endpoint": url}})
            for url in (
                "ftp://localhost/push",
                "http://",
                "http://localhost:99999/",
                "http://localhost/a b",
                "http://ü/",
            )
        ),
        ("ack_deadline_seconds", {"ack_deadline_seconds": 9}),
        ("retry_policy", {"retry_policy": {"minimum_backoff": timedelta(seconds=601)}}),
    ]
    for named, settings in refused:
        with pytest.raises(InvalidArgument, match=named):
            pubsub.subscription(topic, **settings)
    with pytest.raises(OutOfRange, match="max_delivery_attempts"):
        pubsub.subscription(topic, dead_letter_policy={"dead_letter_topic": topic, "max_delivery_attempts": 4})
    with pytest.raises(InvalidArgument, match="schema_settings"):
        pubsub.publisher.create_topic(request={"name": topic + "-2", "schema_settings": {"schema": "x"}})
    with pytest.raises(NotFound):
        pubsub.publisher.list_topic_subscriptions(topic=topic + "-2")
    assert [one.name for one in pubsub.subscriber.list_subscriptions(project=f"projects/{pubsub.project}")] == []


def test_a_push_subscription_cannot_be_pulled(pubsub: Bench) -> None:
    name = pubsub.subscription(pubsub.topic(), push_config={"push_endpoint": "http://localhost:9/push"})
    with pytest.raises(FailedPrecondition):
        pubsub.subscriber.pull(subscription=name, max_messages=1)


def test_googles_limits_on_publishing_hold(pubsub: Bench) -> None:
    topic = pubsub.topic()
    too_much: list[list[dict[str, Any]]] = [
        [{"data": bytes(10_000_001)}],
        [{"attributes": {"k": "v" * 1025}}],
        [{"attributes": {"k" * 257: "v"}}],
        [{"attributes": {"": "v"}}],
        [{"attributes": {str(number): "v" for number in range(101)}}],
    ]
    for messages in too_much:
        with pytest.raises(InvalidArgument):
            pubsub.publish_together(topic, *messages)


def test_ordering_keys_come_back_and_do_not_order(pubsub: Bench) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, enable_message_ordering=True, ack_deadline_seconds=600)
    pubsub.publish_together(topic, {"data": b"1", "ordering_key": "k"}, {"data": b"2", "ordering_key": "k"})
    received = pubsub.pull(subscription, 2)  # Google would hold the second back until the first is acknowledged
    assert [one.message.ordering_key for one in received] == ["k", "k"]


def test_a_port_that_is_taken_is_an_error_and_the_file_stays_free(tmp_path: Path) -> None:
    with PubSubServer() as address:
        path = tmp_path / "pubsub.db"
        with pytest.raises(RuntimeError):
            PubSubServer(path, port=int(address.split(":")[1])).start()
        with PubSubServer(path):
            pass


def test_a_file_serves_one_server_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "pubsub.db"
    with process(path), pytest.raises(sqlite3.OperationalError, match="locked"):
        PubSubServer(path)


def test_nothing_of_an_acknowledged_message_stays_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a page that is free again, and after a while not in the write-ahead log either."""
    with serving(monkeypatch, path=tmp_path / "pubsub.db") as pubsub:
        topic = pubsub.topic()
        subscription = pubsub.subscription(topic, ack_deadline_seconds=600)
        pubsub.publish(topic, *[b"forget me" + bytes(3000)] * 20, b"keep me")
        received = pubsub.pull(subscription, 21)
        pubsub.acknowledge(subscription, [one for one in received if one.message.data != b"keep me"])

        def found() -> bytes:
            return b"".join(file.read_bytes() for file in tmp_path.iterdir())

        eventually(lambda: b"forget me" not in found())
        assert b"keep me" in found()
