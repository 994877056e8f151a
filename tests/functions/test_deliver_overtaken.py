"""Workers that oversleep their leases in the middle of any word to the ledger, with clocks that differ and step back.

Each of three real mailers is a thread that stands still around everything it says to the ledger, until it is told to go
on; Hypothesis decides who goes on when. The mail server and the store are real, and shared.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.functions.mail_room import MailRoom, ago
from tests.functions.test_deliver_crashes import LEASE, Worker
from tests.mail_server import VANISH
from tests.sends import a_decision
from tidings.adapters.sqlite_store import SqliteStore
from tidings.mailing import breaker
from tidings.mailing.ledger import FINAL, OUTCOME_UNKNOWN
from tidings.records.store import Claimed, LedgerEntry
from tidings.wire.decisions import Decision

EPISODES = count()
PATIENCE = 60
"""Seconds in which a thread must have come to its next standstill; then something is wrong with the test."""


class Halting(SqliteStore):
    """A store that lets its caller stand still in between all that is said to the ledger."""

    halt: Callable[[], None] = staticmethod(lambda: None)

    def claim(self, *about: Any) -> Claimed:
        """Claim it, and stand still."""
        answer = super().claim(*about)
        self.halt()
        return answer

    def hand_over(self, *about: Any) -> bool:
        """Stand still, hand it over, and stand still again before it leaves."""
        self.halt()
        answer = super().hand_over(*about)
        self.halt()
        return answer

    def release(self, *about: Any) -> bool:
        """Stand still, and give it back."""
        self.halt()
        return super().release(*about)

    def wait(self, *about: Any) -> bool:
        """Stand still, and put it aside."""
        self.halt()
        return super().wait(*about)

    def finish(self, *about: Any) -> LedgerEntry | None:
        """Stand still, and end it."""
        self.halt()
        return super().finish(*about)


class Sleeper:
    """A mailer that works in a thread of its own, from one standstill to the next."""

    def __init__(self, room: MailRoom) -> None:
        self._store = Halting(room.store_path)
        self._store.halt = self._halt
        self.worker = Worker(room, store=self._store)
        self.answer = 0
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is in the middle of something."""
        return self._thread is not None

    def begin(self, decision: Decision) -> None:
        """Let it be delivered to, up to its first standstill."""
        self._thread = threading.Thread(target=self._work, args=(decision,))
        self._thread.start()
        self._wait()

    def go_on(self) -> None:
        """Let it come to the next standstill, or to its end."""
        self._go.release()
        self._wait()

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=PATIENCE)
        if self._thread and not self._is_standing:
            self._thread.join()
            self._thread = None

    def _work(self, decision: Decision) -> None:
        try:
            self.answer = self.worker.push(decision)
        finally:
            self._is_standing = False
            self._stands.release()

    def _halt(self) -> None:
        self._is_standing = True
        self._stands.release()
        assert self._go.acquire(timeout=PATIENCE)


@pytest.fixture
def sleepers(room: MailRoom) -> Iterator[list[Sleeper]]:
    """Three workers of one installation."""
    found = [Sleeper(room) for _ in range(3)]
    yield found
    for one in found:
        one.close()


def overtake(first: Sleeper, second: Sleeper) -> None:
    """By the clock of the second one the lease of the first one is over."""
    second.worker.now = first.worker.now + LEASE


def copies(room: MailRoom, decision: Decision) -> int:
    """How many mails of this decision the mail server has taken."""
    return sum(mail.data.count(f"<{decision.send_id}@".encode()) for mail in room.mail.mails)


def test_a_refusal_that_comes_too_late_is_no_end_of_a_mail_that_another_worker_sends(
    room: MailRoom, sleepers: list[Sleeper]
) -> None:
    """Neither in the ledger nor in the stream nor as a dead letter."""
    decision, (first, second, _) = a_decision(), sleepers
    first.begin(decision)
    overtake(first, second)
    second.begin(decision)
    second.go_on()
    room.mail.answers["RCPT"] = ["554 5.7.1 policy"]
    while first.is_busy:
        first.go_on()
    assert first.answer == 503
    while second.is_busy:
        second.go_on()
    assert (second.answer, room.ending(decision)) == (204, ("sent", None, ""))
    assert [event.event for event in room.events()] == ["Email Sent"]
    assert room.dead_letters() == []


def test_a_mail_that_the_server_did_not_take_is_not_given_back_from_under_another_worker(
    room: MailRoom, sleepers: list[Sleeper]
) -> None:
    """A third one would begin while the second one is sending."""
    decision, (first, second, third) = a_decision(kind="transactional", template="welcome"), sleepers
    room.mail.answers["MAIL DATA"] = ["451 4.3.0 later"]
    first.begin(decision)
    first.go_on()
    first.go_on()
    first.go_on()
    overtake(first, second)
    second.begin(decision)
    second.go_on()
    second.go_on()
    first.go_on()
    assert first.answer == 503
    third.worker.now = second.worker.now
    third.begin(decision)
    while third.is_busy:
        third.go_on()
    assert (third.answer, copies(room, decision)) == (503, 0)
    while second.is_busy:
        second.go_on()
    assert (second.answer, copies(room, decision), room.ending(decision)[0]) == (204, 1, "sent")


def test_an_answer_that_is_written_down_too_late_still_keeps_the_next_worker_from_sending(
    room: MailRoom, sleepers: list[Sleeper]
) -> None:
    """That it was sent is true whoever says so."""
    decision, (first, second, _) = a_decision(kind="transactional", template="welcome"), sleepers
    first.begin(decision)
    first.go_on()
    first.go_on()
    first.go_on()
    overtake(first, second)
    second.begin(decision)
    first.go_on()
    while second.is_busy:
        second.go_on()
    assert (first.answer, second.answer, copies(room, decision)) == (204, 503, 1)
    assert [event.event for event in room.events()] == ["Email Sent"]


class Sleepers(RuleBasedStateMachine):
    """One decision, and three workers on it."""

    def __init__(self, room: MailRoom, sleepers: list[Sleeper]) -> None:
        super().__init__()
        self._room = room
        self._sleepers = sleepers
        self._end: LedgerEntry | None = None

    @initialize(kind=st.sampled_from(["marketing", "transactional"]))
    def decide(self, kind: str) -> None:
        """Somebody new is to be written to."""
        name = f"u:{next(EPISODES)}"
        self._room.meet(name, f"{name.partition(':')[2]}@example.com")
        template = "welcome" if kind == "transactional" else "product-reminder"
        self._decision = a_decision(name, kind=kind, template=template)
        for one in self._sleepers:
            one.worker.now = datetime.now(UTC)
        breaker.resume(self._room.store, datetime.now(UTC))

    @rule(
        number=st.integers(0, 2),
        leases=st.sampled_from([1, 1, 0.1, 0, -1.5]),
        steps=st.integers(0, 3),
        recipient=st.sampled_from(["250 OK", "250 OK", "554 5.7.1 policy"]),
        content=st.sampled_from(["250 OK", "250 OK", "451 4.3.0 later", VANISH]),
        meanwhile=st.sampled_from(["nothing"] * 6 + ["objects", "stops", "resumes"]),
    )
    def go_on(self, number: int, leases: float, steps: int, recipient: str, content: str, meanwhile: str) -> None:
        """A worker gets the decision, or goes on with it; if it comes to the mail, the mail server answers so.

        It gets the decision so many leases after, or before, what any of the other clocks says.
        """
        one = self._sleepers[number]
        self._room.mail.answers |= {"RCPT": [recipient], "MAIL DATA": [content]}
        getattr(self, f"_{meanwhile}", lambda: None)()
        if not one.is_busy:
            one.worker.now = max(each.worker.now for each in self._sleepers) + LEASE * leases
            one.begin(self._decision)
        for _ in range(steps):
            if one.is_busy:
                one.go_on()

    def _objects(self) -> None:
        """The person leaves, so nobody who asks from now on may send."""
        self._room.consent(self._decision.person, "marketing", given=False, at=ago(seconds=1))

    def _stops(self) -> None:
        """All mail has to wait."""
        breaker.stop(self._room.store, "all", "operator", "", datetime.now(UTC))

    def _resumes(self) -> None:
        """It goes on."""
        breaker.resume(self._room.store, datetime.now(UTC))

    @invariant()
    def no_more_mails_than_there_may_be(self) -> None:
        assert self._copies() <= (1 if self._decision.kind == "marketing" else 2)

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        entry = self._room.store.ledger_entry(self._decision.send_id)
        assert self._end in (None, entry)
        self._end = entry if entry and entry.status in FINAL else None

    def teardown(self) -> None:
        """Everybody comes to an end, and so does the decision: truly, and told in one way."""
        if not hasattr(self, "_decision"):
            return
        self._room.mail.answers.clear()
        for one in self._sleepers:
            while one.is_busy:
                one.go_on()
        self.no_more_mails_than_there_may_be()
        self.what_has_ended_stays_as_it_is()
        breaker.resume(self._room.store, datetime.now(UTC))
        last = Worker(self._room)
        last.now = max(one.worker.now for one in self._sleepers) + LEASE * 10
        assert last.push(self._decision) == 204
        self.no_more_mails_than_there_may_be()
        self.what_has_ended_stays_as_it_is()
        assert self._end
        if self._end.status == "sent":
            assert self._copies()
        elif self._end.detail != OUTCOME_UNKNOWN and self._decision.kind == "marketing":
            assert not self._copies()
        told = {event.event for event in self._room.events()}
        assert told <= {{"sent": "Email Sent", "suppressed": "Email Suppressed"}.get(self._end.status)}

    def _copies(self) -> int:
        return copies(self._room, self._decision)


def test_whoever_oversleeps_sends_nothing_twice_and_changes_no_end(room: MailRoom, sleepers: list[Sleeper]) -> None:
    checks = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        phases=(Phase.reuse, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Sleepers(room, sleepers), settings=checks)
