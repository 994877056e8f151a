"""The mailer when workers die, connections break, and neighbours are away: nothing lost, nothing sent twice."""

import socket
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import flask

from functions.deliver import Mailer
from tests.functions.mail_room import MailRoom, ago, envelope
from tests.mail_server import VANISH
from tests.sends import a_decision
from tidings.adapters.pubsub import Publisher
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.sqlite_store import SqliteStore
from tidings.mailing.mail import Mail
from tidings.records.store import Claim
from tidings.settings import Settings
from tidings.wire import decisions
from tidings.wire.decisions import Decision

LEASE = timedelta(seconds=Settings().lease_seconds)


def died_while(room: MailRoom, decision: Decision, *, handing_over: bool) -> None:
    """Leave behind what a worker leaves that claimed the decision three minutes ago and then died."""
    claim, held = room.store.claim(decision, ago(minutes=3), LEASE)
    assert claim is Claim.GRANTED
    if handing_over:
        assert room.store.hand_over(held, ago(minutes=3))


def test_a_worker_that_holds_the_decision_is_left_alone(room: MailRoom) -> None:
    """Its lease has not ended: come back later."""
    decision = a_decision()
    assert room.store.claim(decision, ago(seconds=1), LEASE).answer is Claim.GRANTED
    assert room.push(decision) == 503
    assert room.mail.mails == []


def test_a_crash_after_the_claim_delays_the_mail_and_loses_nothing(room: MailRoom) -> None:
    """When the lease has ended another worker takes over."""
    decision = a_decision()
    died_while(room, decision, handing_over=False)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    assert len(room.mail.mails) == 1
    assert room.entry(decision).attempts == 2


def test_a_crash_while_handing_over_never_sends_marketing_mail_twice(room: MailRoom) -> None:
    """It may have gone out: a person decides, from the dead letter."""
    decision = a_decision()
    died_while(room, decision, handing_over=True)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    assert room.mail.mails == []
    status, reason, detail = room.ending(decision)
    assert (status, reason) == ("dead_lettered", None)
    assert detail.startswith("outcome unknown: ")
    (letter,) = room.dead_letters()
    assert (letter.reason, decisions.decode(letter.data)) == ("outcome_unknown", decision)


def test_a_crash_while_handing_over_never_loses_transactional_mail(room: MailRoom) -> None:
    """It is sent again, under the same Message-ID, so that the receiving side can tell."""
    decision = a_decision(kind="transactional", template="welcome")
    died_while(room, decision, handing_over=True)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    (mail,) = room.mail.mails
    assert mail.parsed["Message-ID"] == f"<{decision.send_id}@shop.example>"
    assert room.ending(decision) == ("sent", None, "")
    assert room.dead_letters() == []


class Worker:
    """A mailer of its own on the room's store, with a clock that the test turns. The other parts can be replaced."""

    def __init__(self, room: MailRoom, **parts: Any) -> None:
        self.now = datetime.now(UTC)
        parts = {"store": room.store, "publisher": room.publisher, "sender": room.sender, **parts}
        self._mailer = Mailer(room.settings, **parts, clock=lambda: self.now)
        self._app = flask.Flask("worker")

    def push(self, decision: Decision, attempt: int = 0) -> int:
        """Deliver a decision to this worker, for the how manieth time."""
        body = envelope(decisions.encode(decision), {"schema": decisions.SCHEMA}, attempt)
        return self._post("/", body)

    def sweep(self) -> int:
        """Have it look after everything that waits."""
        return self._post("/deliver/sweep", b"")

    def _post(self, path: str, body: bytes) -> int:
        with self._app.test_request_context(path, method="POST", data=body):
            return self._mailer(flask.request).status_code


def test_a_connection_that_breaks_after_the_mail_left_is_an_open_question(room: MailRoom) -> None:
    """Within the lease nobody touches it; after it marketing mail is dead-lettered, although this one did arrive."""
    decision, worker = a_decision(), Worker(room)
    room.mail.answers["MAIL DATA"] = [VANISH]
    assert worker.push(decision) == 503
    assert room.ending(decision)[0] == "handing_over"
    assert worker.push(decision) == 503
    worker.now += LEASE
    assert worker.push(decision) == 204
    assert len(room.mail.mails) == 1
    assert [letter.reason for letter in room.dead_letters()] == ["outcome_unknown"]


def test_the_one_named_case_in_which_a_mail_arrives_twice_is_transactional_under_one_message_id(room: MailRoom) -> None:
    """No answer to its content the first time. Better twice than not at all, and recognisably the same."""
    decision, worker = a_decision(kind="transactional", template="welcome"), Worker(room)
    room.mail.answers["MAIL DATA"] = [VANISH]
    assert [worker.push(decision), worker.push(decision)] == [503, 503]
    worker.now += LEASE
    assert worker.push(decision) == 204
    assert len({mail.parsed["Message-ID"] for mail in room.mail.mails}) == 1
    assert len(room.mail.mails) == 2
    assert room.ending(decision)[0] == "sent"


def test_transactional_mail_is_repeated_once_however_long_its_outcome_stays_unknown(room: MailRoom) -> None:
    """A server that takes the mail and never says so would otherwise deliver a copy with every try."""
    decision, worker = a_decision(kind="transactional", template="welcome"), Worker(room)
    room.mail.answers["MAIL DATA"] = [VANISH] * 30
    for _ in range(30):
        worker.push(decision)
        worker.now += LEASE
    assert len(room.mail.mails) == 2
    status, reason, detail = room.ending(decision)
    assert (status, reason) == ("dead_lettered", None)
    assert detail.startswith("outcome unknown: ")
    (letter,) = room.dead_letters()
    assert (letter.reason, decisions.decode(letter.data)) == ("outcome_unknown", decision)


def test_tries_that_certainly_failed_do_not_use_up_the_repeat(room: MailRoom) -> None:
    """A server that was busy three times, then vanished with the mail, gets it once more."""
    decision, worker = a_decision(kind="transactional", template="welcome"), Worker(room)
    room.mail.answers["MAIL DATA"] = ["452 4.3.1 out of space"] * 3 + [VANISH]
    assert [worker.push(decision) for _ in range(4)] == [503] * 4
    worker.now += LEASE
    assert worker.push(decision) == 204
    assert (len(room.mail.mails), room.ending(decision)[0]) == (2, "sent")


def test_a_mail_server_that_takes_its_time_gets_the_mail_once(room: MailRoom) -> None:
    """It may take longer than any other step of the conversation, and what is left of the lease."""
    decision = a_decision(kind="transactional", template="welcome")
    room.mail.pause = 0.6
    assert Worker(room, sender=SmtpSender(room.mail.url, timeout=0.2)).push(decision) == 204
    assert (len(room.mail.mails), room.ending(decision)) == (1, ("sent", None, ""))


class PatientSender(SmtpSender):
    """Keeps for how long it would have waited."""

    patience: float | None = None

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """Announce, and send nothing."""
        self.patience = leave()


def test_the_mail_server_has_what_is_left_of_the_lease_but_for_the_time_to_write_its_answer_down(
    room: MailRoom,
) -> None:
    sender = PatientSender(room.mail.url)
    assert Worker(room, sender=sender).push(a_decision()) == 204
    assert sender.patience == LEASE.total_seconds() * 0.9


class SlowSender(SmtpSender):
    """A mail server that lets something happen before it wants the mail, once."""

    meanwhile: Callable[[], None] | None = None

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """Wait, then talk."""
        happening, self.meanwhile = self.meanwhile, None
        if happening:
            happening()
        super().send(mail, leave)


def test_a_worker_that_was_too_slow_does_not_send(room: MailRoom) -> None:
    """With a quarter of its lease gone it gives the decision back before anything has left."""
    decision, sender = a_decision(), SlowSender(room.mail.url)
    worker = Worker(room, sender=sender)

    def a_quarter_of_the_lease_passes() -> None:
        worker.now += LEASE / 4 + timedelta(seconds=1)

    sender.meanwhile = a_quarter_of_the_lease_passes
    assert worker.push(decision) == 503
    assert room.mail.mails == []
    assert worker.push(decision) == 204
    assert len(room.mail.mails) == 1


def test_a_store_that_takes_the_lease_to_write_down_that_the_mail_leaves_keeps_it_here(room: MailRoom) -> None:
    """Nobody would be left to hear the answer. Nothing has gone out, so it is given back."""

    class Slow(SqliteStore):
        """Writes when the lease is nearly over."""

        def hand_over(self, *about: Any) -> bool:
            """Take so long."""
            is_ours, worker.now = super().hand_over(*about), worker.now + LEASE * 0.95
            return is_ours

    decision, slow = a_decision(), Slow(room.store_path)
    worker = Worker(room, store=slow)
    assert worker.push(decision) == 503
    slow.close()
    assert (room.mail.mails, room.ending(decision)[0]) == ([], "claimed")
    other = Worker(room)
    other.now = worker.now
    assert other.push(decision) == 204
    assert len(room.mail.mails) == 1


def test_a_worker_that_was_overtaken_does_not_send(room: MailRoom) -> None:
    """Two workers believe that they hold the decision; the store lets one of them hand it over."""
    decision, sender = a_decision(), SlowSender(room.mail.url)
    slow, fast = Worker(room, sender=sender), Worker(room)
    answers: list[int] = []

    def another_worker_sends_it() -> None:
        fast.now += LEASE
        answers.append(fast.push(decision))

    sender.meanwhile = another_worker_sends_it
    assert (slow.push(decision), answers) == (503, [204])
    assert len(room.mail.mails) == 1
    assert room.ending(decision)[0] == "sent"


# Mail server, store and Pub/Sub away


def test_a_mail_server_that_is_away_loses_nothing(room: MailRoom) -> None:
    """While nobody listens the answer is 503; the mail goes out when somebody does."""
    decision = a_decision()
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        away = SmtpSender(f"smtp://127.0.0.1:{bound.getsockname()[1]}?tls=none")
        assert Worker(room, sender=away).push(decision) == 503
    assert room.ending(decision) == ("claimed", None, "")
    assert room.push(decision) == 204
    assert len(room.mail.mails) == 1


def test_without_the_store_the_decision_comes_again(room: MailRoom) -> None:
    """A store that does not answer is a temporary failure at every step."""
    decision, worker = a_decision(), Worker(room, store=SqliteStore(room.store_path, timeout=0.05))
    other = sqlite3.connect(room.store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert worker.push(decision) == 503
    other.execute("ROLLBACK")
    other.close()
    assert worker.push(decision) == 204
    assert len(room.mail.mails) == 1


class ThenLockedSender(SmtpSender):
    """A mail server that takes the mail, whereupon somebody locks the store."""

    def __init__(self, url: str, lock: Callable[[], object]) -> None:
        super().__init__(url)
        self._lock = lock

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """Talk, then lock."""
        super().send(mail, leave)
        self._lock()


def test_a_mail_whose_end_could_not_be_written_down_is_not_sent_again(room: MailRoom) -> None:
    """The mail is out and the store is gone: the entry says handing over, and marketing mail stays unrepeated."""
    decision = a_decision()
    other = sqlite3.connect(room.store_path, isolation_level=None)
    sender = ThenLockedSender(room.mail.url, lambda: other.execute("BEGIN IMMEDIATE"))
    worker = Worker(room, store=SqliteStore(room.store_path, timeout=0.05), sender=sender)
    assert worker.push(decision) == 503
    other.execute("ROLLBACK")
    other.close()
    assert room.ending(decision)[0] == "handing_over"
    worker.now += LEASE
    assert worker.push(decision) == 204
    assert len(room.mail.mails) == 1
    assert room.ending(decision)[0] == "dead_lettered"


def test_a_dead_letter_that_cannot_be_published_is_no_end(room: MailRoom) -> None:
    """503 until Pub/Sub has it: a failed mail is never just gone."""
    decision = a_decision(template="no-such-message")
    lost = Publisher("a-project-without-topics", timeout=1)
    assert Worker(room, publisher=lost).push(decision) == 503
    assert room.ending(decision)[0] == "claimed"
    assert Worker(room).push(decision) == 204
    assert [letter.reason for letter in room.dead_letters()] == ["render_failed"]
