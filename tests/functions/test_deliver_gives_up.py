"""The mailer when Pub/Sub is about to give up on a decision: it ends all the same, and says why."""

import sqlite3

import pytest

from functions.dispatch import RESERVE
from tests.functions.mail_room import DEAD_LETTERS, MailRoom, ago
from tests.functions.test_deliver_crashes import LEASE, SlowSender, Worker
from tests.mail_server import VANISH
from tests.sends import a_decision
from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription
from tidings.records.store import Claim
from tidings.settings import Settings
from tidings.wire import decisions

ALLOWED = Settings().delivery_attempts
LAST_TRY = ALLOWED - RESERVE
BUSY = "450 4.2.0 busy"


def test_a_decision_is_tried_as_often_as_it_is_delivered_and_then_given_up_with_the_reason(room: MailRoom) -> None:
    """The reserve behind the last try stays for giving up itself, which can fail too."""
    decision, worker = a_decision(), Worker(room)
    room.mail.answers["RCPT"] = [BUSY] * ALLOWED
    answers = [worker.push(decision, attempt) for attempt in range(1, ALLOWED + 1)]
    assert answers == [503] * (LAST_TRY - 1) + [204] * (RESERVE + 1)
    detail = f"gave up after {LAST_TRY} deliveries: the mail server says: RCPT 450 4.2.0"
    assert room.ending(decision) == ("dead_lettered", None, detail)
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.detail) == ("deliver", "gave_up", detail)
    assert decisions.decode(letter.data) == decision
    assert room.mail.mails == []


def test_the_last_try_can_succeed(room: MailRoom) -> None:
    decision = a_decision()
    assert Worker(room).push(decision, LAST_TRY) == 204
    assert room.ending(decision) == ("sent", None, "")
    assert room.dead_letters() == []


def test_where_nobody_counts_nobody_gives_up(room: MailRoom) -> None:
    """Without a dead-letter policy Pub/Sub delivers on and on."""
    decision, worker = a_decision(), Worker(room)
    room.mail.answers["RCPT"] = [BUSY] * 2 * ALLOWED
    assert {worker.push(decision) for _ in range(2 * ALLOWED)} == {503}
    assert room.ending(decision)[0] == "claimed"


def test_pubsub_itself_is_told_before_it_gives_up(room: MailRoom) -> None:
    """Over HTTP, with the attempts that it counts, and a mail server that is always busy."""
    decision = a_decision()
    room.mail.answers["RCPT"] = [BUSY] * ALLOWED
    room.open_topic("sends")
    policy = {"dead_letter_topic": DEAD_LETTERS, "max_delivery_attempts": ALLOWED, "min_backoff": 0, "max_backoff": 0}
    with room.served("deliver") as url:
        ensure_subscription(room.project, "deliver", "sends", push_endpoint=url, **policy)
        room.publisher.publish("sends", [Message(decisions.encode(decision), {"schema": decisions.SCHEMA})])
        (letter,) = eventually(room.dead_letters)
        eventually(lambda: room.ending(decision)[0] == "dead_lettered")
        ensure_subscription(room.project, "deliver", "sends")
    assert (letter.step, letter.reason) == ("deliver", "gave_up")
    assert room.dead_letters() == []


def test_what_was_given_up_can_be_sent_after_all(room: MailRoom) -> None:
    """As the page on missing mail says: take the entry out of the ledger, and publish what the letter holds."""
    decision = a_decision()
    room.mail.answers["RCPT"] = [BUSY]
    assert Worker(room).push(decision, LAST_TRY) == 204
    (letter,) = room.dead_letters()
    with sqlite3.connect(room.store_path) as db:
        db.execute("DELETE FROM ledger WHERE send_id = ?", (decision.send_id,))
    assert room.push_message(letter.data, {"schema": "tidings.decision.v1"}).status_code == 204
    assert (len(room.mail.mails), room.ending(decision)[0]) == (1, "sent")


# What the last try leaves open


@pytest.mark.parametrize("attempt", range(LAST_TRY + 1, ALLOWED + 1))
def test_after_the_last_try_nothing_is_sent_any_more(room: MailRoom, attempt: int) -> None:
    """The last try never came back: it may be this very decision that kills whoever works on it."""
    decision = a_decision()
    assert Worker(room).push(decision, attempt) == 204
    assert room.mail.mails == []
    assert [letter.reason for letter in room.dead_letters()] == ["gave_up"]
    assert room.ending(decision)[0] == "dead_lettered"


def test_a_decision_that_is_no_mail_is_recorded_however_late(room: MailRoom) -> None:
    """There is nothing to give up."""
    decision = a_decision(outcome="suppressed", reason="frequency_capped")
    assert Worker(room).push(decision, ALLOWED) == 204
    assert room.ending(decision) == ("suppressed", "frequency_capped", "")
    assert room.dead_letters() == []


def test_a_decision_that_somebody_works_on_is_not_given_up(room: MailRoom) -> None:
    """Who holds it will end it; or the lease ends while Pub/Sub still delivers."""
    decision = a_decision()
    assert room.store.claim(decision, ago(seconds=1), LEASE).answer is Claim.GRANTED
    assert Worker(room).push(decision, LAST_TRY + 1) == 503
    assert room.ending(decision)[0] == "claimed"
    assert room.dead_letters() == []


def test_a_worker_that_was_overtaken_in_its_last_try_gives_up_nothing(room: MailRoom) -> None:
    """The other one is sending it."""
    decision, sender = a_decision(), SlowSender(room.mail.url)
    slow, fast = Worker(room, sender=sender), Worker(room)

    def another_worker_sends_it() -> None:
        fast.now += LEASE
        assert fast.push(decision) == 204

    sender.meanwhile = another_worker_sends_it
    assert slow.push(decision, LAST_TRY) == 503
    assert room.ending(decision)[0] == "sent"
    assert (len(room.mail.mails), room.dead_letters()) == (1, [])


def test_a_worker_whose_lease_may_be_over_gives_up_nothing(room: MailRoom) -> None:
    """Another one may have begun; the next delivery will find out."""
    decision, sender = a_decision(), SlowSender(room.mail.url)
    worker = Worker(room, sender=sender)

    def the_lease_passes() -> None:
        worker.now += LEASE

    sender.meanwhile = the_lease_passes
    assert worker.push(decision, LAST_TRY) == 503
    assert (room.ending(decision)[0], room.dead_letters()) == ("claimed", [])
    assert worker.push(decision, LAST_TRY + 1) == 204
    assert [letter.reason for letter in room.dead_letters()] == ["gave_up"]


@pytest.mark.parametrize("kind", ["marketing", "transactional"])
def test_what_may_have_gone_out_is_not_called_given_up(room: MailRoom, kind: str) -> None:
    """The last try ended in silence: nobody knows, and that is what the letter says."""
    decision, worker = a_decision(kind=kind), Worker(room)
    room.mail.answers["MAIL DATA"] = [VANISH]
    assert worker.push(decision, LAST_TRY) == 503
    worker.now += LEASE
    assert worker.push(decision, LAST_TRY + 1) == 204
    assert len(room.mail.mails) == 1
    assert [letter.reason for letter in room.dead_letters()] == ["outcome_unknown"]
    assert room.ending(decision)[2].startswith("outcome unknown: ")


@pytest.mark.parametrize("command", ["RCPT", "MAIL DATA"])
def test_giving_up_is_tried_again_when_the_letter_cannot_be_published(room: MailRoom, command: str) -> None:
    """The mail certainly has not gone out, and is not called unknown because of that."""
    decision = a_decision()
    room.mail.answers[command] = [BUSY]
    lost = Publisher("a-project-without-topics", timeout=1)
    assert Worker(room, publisher=lost).push(decision, LAST_TRY) == 503
    assert room.ending(decision)[0] == "claimed"
    assert Worker(room).push(decision, LAST_TRY + 1) == 204
    assert [letter.reason for letter in room.dead_letters()] == ["gave_up"]
