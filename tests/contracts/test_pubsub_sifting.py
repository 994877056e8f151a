"""What looking through a subscription promises, on both servers."""

from datetime import UTC, datetime

import pytest

from tests.pubsub_bench import Bench
from tidings.adapters import pubsub_sifting
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.pubsub_sifting import look_through, sift
from tidings.errors import PublishError
from tidings.wire.topics import Waiting


def letters(pubsub: Bench, *bodies: bytes) -> None:
    """What waits in the subscription `inspect`."""
    ensure_topic(pubsub.project, "dead")
    ensure_subscription(pubsub.project, "inspect", "dead")
    Publisher(pubsub.project).publish("dead", [Message(body, {"size": str(len(body))}) for body in bodies])


def everything(pubsub: Bench) -> list[bytes]:
    found: list[bytes] = []
    while got := pull(pubsub.project, "inspect", 1000, wait=1):
        found += [message.data for message in got]
    return sorted(found)


def test_what_is_wanted_is_taken_out_of_a_subscription_and_all_else_stays_in_it(pubsub: Bench) -> None:
    bodies = [b"%d" % number for number in range(120)]
    letters(pubsub, *bodies)
    looked_at: list[Message] = []

    def odd(message: Message) -> bool:
        looked_at.append(message)
        return int(message.data) % 2 == 1

    assert sift(pubsub.project, "inspect", odd) == (120, 60, True)
    assert sorted(looked_at) == sorted(Message(body, {"size": str(len(body))}) for body in bodies)
    assert everything(pubsub) == sorted(bodies[::2])


def test_what_was_given_back_can_be_looked_at_again_at_once(pubsub: Bench) -> None:
    letters(pubsub, b"one", b"two", b"three")
    for _ in range(2):
        assert sift(pubsub.project, "inspect", lambda _: False) == (3, 0, True)
    assert sift(pubsub.project, "inspect", lambda message: message.data == b"two") == (3, 1, True)
    assert everything(pubsub) == [b"one", b"three"]


def test_sifting_an_empty_subscription_finds_nothing(pubsub: Bench) -> None:
    letters(pubsub)
    assert sift(pubsub.project, "inspect", lambda _: True) == (0, 0, True)


def test_sifting_that_runs_out_of_time_says_so_and_loses_nothing(pubsub: Bench) -> None:
    letters(pubsub, b"one", b"two")
    assert sift(pubsub.project, "inspect", lambda _: True, seconds=0) == (0, 0, False)
    assert everything(pubsub) == [b"one", b"two"]


def test_whoever_fails_while_sifting_keeps_nothing(pubsub: Bench) -> None:
    letters(pubsub, b"one")

    def fail(_: Message) -> bool:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        sift(pubsub.project, "inspect", fail)
    assert everything(pubsub) == [b"one"]


def test_sifting_what_is_not_there_is_a_publish_error(pubsub: Bench) -> None:
    with pytest.raises(PublishError, match=r"^nothing: NotFound$"):
        sift(pubsub.project, "nothing", lambda _: True)


def test_each_message_comes_with_its_id_and_its_time_and_a_second_look_sees_the_same(pubsub: Bench) -> None:
    before = datetime.now(UTC)
    letters(pubsub, b"one", b"two")
    looks: list[list[Waiting]] = [[], []]
    for found in looks:
        look_through(pubsub.project, "inspect", lambda one, found=found: found.append(one) or False)  # type: ignore[misc]
    first, second = (sorted(found) for found in looks)
    assert first == second
    assert len({one.id for one in first}) == 2
    assert all(before.timestamp() - 1 <= one.published.timestamp() <= datetime.now(UTC).timestamp() for one in first)


def test_what_a_visit_causes_is_not_visited_itself(pubsub: Bench) -> None:
    """A mail that fails again is a new letter, which would be tried for ever."""
    letters(pubsub, b"one", b"two")
    publisher = Publisher(pubsub.project)

    def fail_again(one: Waiting) -> bool:
        publisher.publish("dead", [Message(one.message.data + b" again", {"size": "0"})])
        return True

    assert look_through(pubsub.project, "inspect", fail_again, until=datetime.now(UTC)) == (2, 2, True)
    assert everything(pubsub) == [b"one again", b"two again"]


def test_what_was_taken_before_a_visit_failed_is_gone(pubsub: Bench) -> None:
    letters(pubsub, b"one", b"two", b"three")
    taken: list[bytes] = []

    def fail_at_last(one: Waiting) -> bool:
        if len(taken) == 2:
            raise ValueError("no")
        taken.append(one.message.data)
        return True

    with pytest.raises(ValueError, match="no"):
        look_through(pubsub.project, "inspect", fail_at_last)
    assert everything(pubsub) == sorted({b"one", b"two", b"three"} - set(taken))


def test_leases_are_renewed_while_visits_take_their_time(pubsub: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message is visited once, and taken or given back as ever."""
    monkeypatch.setattr(pubsub_sifting, "RENEW_SECONDS", 0.0)
    letters(pubsub, b"one", b"two", b"three")
    assert look_through(pubsub.project, "inspect", lambda one: one.message.data == b"two") == (3, 1, True)
    assert everything(pubsub) == [b"one", b"three"]
