"""Mails whose turn has not come: put aside, woken by the sweep, and told why when it takes too long."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from functions.sweep import AGAIN, Sweep
from functions.turns import PAUSE
from tests.functions.mail_room import MailRoom, envelope
from tests.functions.test_deliver_crashes import Worker
from tests.sends import a_decision
from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription
from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import StoreError
from tidings.mailing import breaker, sending
from tidings.wire import decisions
from tidings.wire.decisions import Decision

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
SENDS = "tidings-sends"


@pytest.fixture
def limited(room: MailRoom, tmp_path: Path) -> MailRoom:
    """An installation whose provider takes two mails a minute, one of them transactional."""
    return with_policy(room, tmp_path, "{rates: [{provider: smtp, max: 2, per: 1m}], kept_for_transactional: 50}")


def with_policy(room: MailRoom, folder: Path, policy: str) -> MailRoom:
    """The same installation with this `sending.yaml`."""
    (folder / "sending.yaml").write_text(policy)
    room.settings = replace(room.settings, policy=str(folder))
    room.open_topic(SENDS)
    return room


def worker_at(room: MailRoom, now: datetime, **parts: Any) -> Worker:
    """A mailer of the room, by a clock of its own."""
    worker = Worker(room, **parts)
    worker.now = now
    return worker


def some(number: int, **fields: Any) -> list[Decision]:
    """Decisions of a minute before nine."""
    at = NINE - timedelta(minutes=1)
    return [a_decision(episode=f"e{one}", decided_at=at, **fields) for one in range(number)]


def woken(room: MailRoom) -> list[Decision]:
    """What the sweeps have published since the last call."""
    return [decisions.decode(message.data) for message in room.messages(SENDS)]


def test_a_mail_whose_turn_has_not_come_is_put_aside_and_answered(limited: MailRoom) -> None:
    """It is no failure, so Pub/Sub does not count it as one."""
    first, second = some(2)
    worker = worker_at(limited, NINE + timedelta(seconds=20))
    assert [worker.push(first), worker.push(second)] == [204, 204]
    assert (len(limited.mail.mails), limited.ending(first)[0]) == (1, "sent")
    entry = limited.entry(second)
    assert (entry.status, entry.lease_until) == ("waiting", NINE + timedelta(minutes=1))
    assert limited.dead_letters() == []


def test_the_sweep_wakes_it_when_its_turn_has_come_and_not_before(limited: MailRoom) -> None:
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    assert (worker.sweep(), woken(limited)) == (204, [])
    worker.now = NINE + timedelta(minutes=1)
    assert worker.sweep() == 204
    assert woken(limited) == [second]
    assert worker.push(second) == 204
    assert [limited.ending(one)[0] for one in (first, second)] == ["sent", "sent"]
    assert len(limited.mail.mails) == 2


def test_who_was_woken_is_not_woken_again_at_once(limited: MailRoom) -> None:
    """But some minutes later, should the message come to nothing."""
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    worker.now += timedelta(minutes=1)
    worker.sweep()
    worker.now += timedelta(minutes=1)
    worker.sweep()
    assert woken(limited) == [second]
    worker.now += AGAIN
    worker.sweep()
    assert woken(limited) == [second]


def test_one_sweep_wakes_everybody_whose_turn_has_come(
    room: MailRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are, each once; batch after batch."""
    monkeypatch.setattr("functions.sweep.BATCH", 3)
    room = with_policy(room, tmp_path, "{}")
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    everybody, worker = some(10), worker_at(room, NINE)
    for one in everybody:
        worker.push(one)
    worker.now += PAUSE
    assert worker.sweep() == 204
    assert sorted(one.send_id for one in woken(room)) == sorted(one.send_id for one in everybody)


def test_a_sweep_leaves_the_rest_to_the_next_one(
    room: MailRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked by somebody who waits for its answer."""
    monkeypatch.setattr("functions.sweep.BATCH", 3)
    room = with_policy(room, tmp_path, "{}")
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    worker = worker_at(room, NINE)
    for one in some(10):
        worker.push(one)

    class Slow(Publisher):
        """Takes its time."""

        def publish(self, topic: str, messages: Any) -> list[str]:
            """Publish, and let thirty seconds pass."""
            slow.now += timedelta(seconds=30)
            return super().publish(topic, messages)

    slow = worker_at(room, NINE + PAUSE, publisher=Slow(room.project))
    assert slow.sweep() == 204
    assert len(woken(room)) == 6
    worker.now += PAUSE + timedelta(minutes=1)
    worker.sweep()
    assert len(woken(room)) == 4


def test_where_a_limit_is_for_less_than_a_minute_each_stretch_of_it_is_used(room: MailRoom, tmp_path: Path) -> None:
    """The sweep is asked once a minute, and stays while the turns of those who wait come one after the other."""
    room = with_policy(room, tmp_path, "{rates: [{provider: smtp, max: 2, per: 10s}], kept_for_transactional: 50}")
    worker = worker_at(room, NINE)
    for one in some(5):
        worker.push(one)
    assert len(room.mail.mails) == 1
    paused: list[float] = []

    def pause(seconds: float) -> None:
        """Meanwhile what was published is delivered."""
        for one in woken(room):
            worker.push(one)
        paused.append(seconds)
        worker.now += timedelta(seconds=seconds)

    sweep = Sweep(
        room.settings, sending.load(str(tmp_path)), room.store, room.publisher, "smtp", lambda: worker.now, pause
    )
    assert sweep() == 4
    assert len(room.mail.mails) == 4  # the fifth is being delivered
    assert (sum(paused), worker.now) == (40, NINE + timedelta(seconds=40))


def test_a_sweep_stays_for_nobody_whose_turn_is_far(room: MailRoom, tmp_path: Path) -> None:
    """Nor where a clock stands still."""
    room = with_policy(room, tmp_path, "{rates: [{provider: smtp, max: 2, per: 10s}]}")
    worker, paused = worker_at(room, NINE), list[float]()
    policy = sending.load(str(tmp_path))
    sweep = Sweep(room.settings, policy, room.store, room.publisher, "smtp", lambda: NINE, paused.append)
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    (stopped,) = some(1)
    worker.push(stopped)
    assert (sweep(), paused) == (0, [])
    room.store.wait(room.entry(stopped), NINE, NINE + timedelta(seconds=20))
    assert sweep() == 0
    assert paused == [20, 20, 20]


def test_a_sweep_stays_for_half_a_lease_at_most_and_for_a_second_at_least(room: MailRoom, tmp_path: Path) -> None:
    """The function is ended after a lease; and turns a moment apart are taken together."""
    room = with_policy(room, tmp_path, "{rates: [{provider: smtp, max: 2, per: 10s}]}")
    worker, paused = worker_at(room, NINE), list[float]()
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    (one,) = some(1)
    worker.push(one)
    room.store.wait(room.entry(one), NINE, NINE + timedelta(milliseconds=20))
    short, policy = replace(room.settings, lease_seconds=10), sending.load(str(tmp_path))
    Sweep(short, policy, room.store, room.publisher, "smtp", lambda: NINE, paused.append)()
    assert paused == [1] * 5


def test_a_sweep_that_cannot_write_says_so_and_the_next_one_wakes_them_again(room: MailRoom, tmp_path: Path) -> None:
    """Published and not written down: better twice than never, for it is worked on once."""
    room = with_policy(room, tmp_path, "{}")
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    (one,) = some(1)
    worker = worker_at(room, NINE)
    worker.push(one)
    worker.now += PAUSE

    class Away(SqliteStore):
        """Reads, and does not write."""

        def wait(self, *_: Any) -> None:
            """Fail."""
            raise StoreError("the store is away")

    away = Away(room.store_path)
    assert worker_at(room, worker.now, store=away).sweep() == 503
    away.close()
    assert worker.sweep() == 204
    assert woken(room) == [one, one]


def test_a_sweep_that_cannot_publish_loses_nobody(limited: MailRoom) -> None:
    """The next one does it."""
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    lost = worker_at(limited, NINE + timedelta(minutes=1), publisher=Publisher("a-project-without-topics", timeout=1))
    assert lost.sweep() == 503
    worker.now += timedelta(minutes=2)
    worker.sweep()
    assert woken(limited) == [second]


def test_a_message_that_overtakes_the_sweep_is_worked_on_and_put_aside_again(limited: MailRoom) -> None:
    """What was published is in the hands of a worker before the sweep has written so down; nobody is forgotten."""
    first, second, third = some(3)
    worker = worker_at(limited, NINE)
    for one in (first, second, third):
        worker.push(one)
    worker.now += timedelta(minutes=2)

    class Quick(Publisher):
        """Pub/Sub delivers before it answers."""

        def publish(self, topic: str, messages: Any) -> list[str]:
            """Publish, and be delivered."""
            for message in messages:
                if topic == SENDS:
                    assert worker.push(decisions.decode(message.data)) == 204
            return super().publish(topic, messages)

    worker_at(limited, worker.now, publisher=Quick(limited.project)).sweep()
    assert sorted(limited.ending(one)[0] for one in (second, third)) == ["sent", "waiting"]
    (left,) = [one for one in (second, third) if limited.ending(one)[0] == "waiting"]
    assert limited.entry(left).lease_until == NINE + timedelta(minutes=3)


def test_transactional_mail_passes_before_marketing_mail(limited: MailRoom) -> None:
    """Its share is left to it."""
    marketing, receipt = some(3), some(1, kind="transactional", template="welcome", rule_id="order-confirmed")
    worker = worker_at(limited, NINE)
    for one in marketing:
        worker.push(one)
    assert len(limited.mail.mails) == 1
    worker.push(replace(receipt[0], send_id="f" * 32))
    assert len(limited.mail.mails) == 2


def test_mail_to_a_role_waits_for_no_marketing_limit(limited: MailRoom) -> None:
    """Whoever is stuck needs the desk now, whatever kind of mail its rule is."""
    breaker.stop(limited.store, "marketing", "operator", "", NINE)
    call = replace(some(1, to="support")[0], kind="marketing")
    worker = worker_at(limited, NINE)
    assert worker.push(call) == 204
    assert limited.ending(call)[0] != "waiting"


def test_marketing_mail_that_has_waited_for_a_day_is_not_sent_any_more(limited: MailRoom) -> None:
    """A reminder of yesterday's cart; the ledger says so, and it can be counted."""
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    worker.now = NINE + timedelta(days=1)
    assert worker.push(second) == 204
    assert limited.ending(second) == ("suppressed", "waited_too_long", "")
    assert len(limited.mail.mails) == 1


def test_a_decision_is_not_too_old_for_having_been_decided_long_ago(limited: MailRoom) -> None:
    """A dead letter that somebody publishes again after a week has waited for its repair, and not for its turn."""
    (one,) = some(1)
    worker = worker_at(limited, NINE + timedelta(days=7))
    assert worker.push(one) == 204
    assert limited.ending(one)[0] == "sent"


def test_transactional_mail_waits_as_long_as_it_must(limited: MailRoom) -> None:
    """A receipt of yesterday is still wanted."""
    receipts = some(3, kind="transactional", template="welcome")
    worker = worker_at(limited, NINE)
    for one in receipts:
        worker.push(one)
    assert limited.ending(receipts[2])[0] == "waiting"
    worker.now = NINE + timedelta(days=2)
    worker.push(receipts[2])
    assert limited.ending(receipts[2])[0] == "sent"


def test_consent_withdrawn_while_a_mail_waits_counts(limited: MailRoom) -> None:
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    limited.consent("u:ada", "reminders", given=False, at=NINE + timedelta(seconds=30))
    worker.now += timedelta(minutes=1)
    assert worker.push(second) == 204
    assert limited.ending(second) == ("suppressed", "opted_out", "")


# As it is deployed


def test_a_limited_mailer_sends_everything_in_time(
    room: MailRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP and Pub/Sub, by the wall clock: what is stopped goes out after it is resumed, each mail once."""
    room = with_policy(room, tmp_path, "{}")
    monkeypatch.setenv("TIDINGS_POLICY", str(tmp_path))
    monkeypatch.setattr("functions.turns.PAUSE", timedelta(seconds=1))
    monkeypatch.setattr("tidings.mailing.breaker.LOOK_EVERY", timedelta(0))
    breaker.stop(room.store, "marketing", "operator", "", NINE)
    with room.served("deliver") as url:
        ensure_subscription(room.project, "deliver", SENDS, push_endpoint=url)
        asked = some(5)
        room.publisher.publish(SENDS, [Message(decisions.encode(one), {"schema": decisions.SCHEMA}) for one in asked])
        eventually(lambda: [entry.status for entry in room.store.ledger()] == ["waiting"] * 5)
        assert room.mail.mails == []
        breaker.resume(room.store, NINE)
        client = room.client("deliver")
        eventually(
            lambda: (
                client.post("/deliver/sweep").status_code == 204
                and [entry.status for entry in room.store.ledger()] == ["sent"] * 5
            )
        )
        ensure_subscription(room.project, "deliver", SENDS)
    assert len(room.mail.mails) == 5


def test_a_sweep_must_be_asked_for_with_post(room: MailRoom) -> None:
    """And nobody need bring anything."""
    client = room.client("deliver")
    assert client.get("/deliver/sweep").status_code == 405
    assert client.post("/deliver/sweep").status_code == 204
    assert room.dead_letters() == []


def test_no_log_line_of_a_sweep_says_who_waits(limited: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first, second = some(2)
    worker = worker_at(limited, NINE)
    worker.push(first)
    worker.push(second)
    worker.now += timedelta(minutes=1)
    worker.sweep()
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    assert "Sends were woken: 1" in [record.getMessage() for record in ours]
    assert not [record for record in ours if "ada" in record.getMessage()]


def test_what_a_push_request_holds_is_no_matter_to_a_sweep(room: MailRoom) -> None:
    """The path says what is asked."""
    (one,) = some(1)
    body = envelope(decisions.encode(one), {"schema": decisions.SCHEMA})
    assert room.client("deliver").post("/sweep", data=body).status_code == 204
    assert room.store.ledger() == []
