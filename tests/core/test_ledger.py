"""Whatever workers do, crash or oversleep: no mail is sent more often than it may be.

Every interleaving of three workers is walked.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, NamedTuple

import pytest
from msgspec.structs import replace

from tests.contracts.samples import a_decision, at
from tidings import ledger
from tidings.decisions import Decision, MailKind, Reason
from tidings.store import Claim, LedgerEntry, Letter

LEASE = timedelta(seconds=10)
WORKERS = range(3)

Step = Literal["claim", "prepare", "send", "take back", "finish", "give up"]


class State(NamedTuple):
    """One moment: the entry, the clock, what each worker does next, and how many mails have gone out."""

    decision: Decision
    entry: LedgerEntry | None = None
    seconds: int = 0
    steps: tuple[Step, ...] = ("claim", "claim", "claim")
    mails: int = 0

    def key(self) -> object:
        """What the future depends on."""
        lease_is_over = self.entry is None or at(self.seconds) >= self.entry.lease_until
        known = self.entry and (self.entry.status, self.entry.repeats)
        return known, lease_is_over, self.steps, self.mails

    def after(self, worker: int, step: Step, entry: LedgerEntry | None, mails: int = 0) -> "State":
        """This worker did something, and goes on with `step`."""
        steps = tuple(step if each == worker else self.steps[each] for each in WORKERS)
        return self._replace(entry=entry, steps=steps, mails=self.mails + mails)


def futures(state: State) -> Iterator[State]:
    """Every moment that can come next: time passes, or a worker crashes, fails or succeeds."""
    yield state._replace(seconds=state.seconds + 11)
    if state.entry and state.entry.status == "waiting":  # the sweep has published it again, and puts the next time off
        now = at(state.seconds)
        yield state._replace(entry=ledger.wait(state.entry, now, now + LEASE, state.entry.attempts))
    for worker in WORKERS:
        yield state.after(worker, "claim", state.entry)
        yield from deeds(state, worker)


def deeds(state: State, worker: int) -> Iterator[State]:
    """What one worker can do next, as the delivering function does it."""
    entry, now = state.entry, at(state.seconds)
    if state.steps[worker] == "claim":
        entry, answer = ledger.claim(entry, state.decision, now, LEASE)
        next_step: dict[Claim, Step] = {Claim.GRANTED: "prepare", Claim.UNKNOWN: "give up"}
        yield state.after(worker, next_step.get(answer, "claim"), entry)
        return
    assert entry
    match state.steps[worker]:
        case "prepare":
            yield state.after(worker, "claim", ledger.release(entry, now, handed_over=False))
            yield state.after(worker, "claim", ledger.wait(entry, now, now + LEASE, None))
            handed_over = ledger.hand_over(entry, now)
            yield state.after(worker, "claim" if handed_over is entry else "send", handed_over)
        case "send":
            yield state.after(worker, "take back", entry)  # the mail server said: later
            yield state.after(worker, "finish", entry, mails=1)
        case "take back":
            yield state.after(worker, "claim", ledger.release(entry, now, handed_over=True))
        case "finish":
            yield state.after(worker, "claim", ledger.finish(entry, "sent", now, None, ""))
        case "give up":
            yield state.after(worker, "claim", ledger.finish(entry, "dead_lettered", now, None, ""))


def walk(kind: MailKind, copies: int) -> set[tuple[str, int]]:
    """Every (status, mails sent) that can come to be; nothing may change an ending, or send more than `copies`."""
    start = State(replace(a_decision(), kind=kind))
    seen = {start.key(): start}
    waiting = [start]
    while waiting:
        state = waiting.pop()
        for future in futures(state):
            assert future.mails <= copies, future
            if state.entry and state.entry.status in ledger.FINAL:
                assert future.entry is state.entry, future
            if future.key() not in seen:
                seen[future.key()] = future
                waiting.append(future)
    return {(state.entry.status, state.mails) for state in seen.values() if state.entry}


def test_no_interleaving_of_workers_sends_marketing_mail_twice() -> None:
    """And there are interleavings that send, that end, and that end without having sent."""
    endings = walk("marketing", copies=1)
    assert {("sent", 1), ("dead_lettered", 0), ("dead_lettered", 1), ("claimed", 0), ("waiting", 0)} <= endings
    assert ("sent", 0) not in endings
    assert not {("claimed", 1), ("waiting", 1)} & endings


def test_no_interleaving_of_workers_sends_transactional_mail_more_than_twice() -> None:
    """It is begun again once when nobody knows, and nothing is called sent that was not."""
    endings = walk("transactional", copies=2)
    assert {("sent", 1), ("sent", 2), ("claimed", 1), ("dead_lettered", 2)} <= endings
    assert ("sent", 0) not in endings


@pytest.mark.parametrize("kind", ["marketing", "transactional"])
def test_a_worker_that_never_comes_to_the_mail_leaves_no_doubt(kind: MailKind) -> None:
    """It is taken over as often as workers vanish, and no repeat is used up."""
    entry: LedgerEntry | None = None
    for turn in range(5):
        entry, answer = ledger.claim(entry, replace(a_decision(), kind=kind), at(11 * turn), LEASE)
        assert answer is Claim.GRANTED
    assert entry
    assert (entry.attempts, entry.repeats) == (5, 0)


def an_entry_that_waits() -> LedgerEntry:
    """Claimed at 0 and put aside at 1 until 60."""
    entry, _ = ledger.claim(None, a_decision(), at(0), LEASE)
    return ledger.wait(entry, at(1), at(60), None)


def test_a_message_of_a_send_that_waits_is_worked_on_whenever_it_comes() -> None:
    """Were it answered and dropped because its turn has not come, and the sweep had just looked, nobody would come."""
    entry, answer = ledger.claim(an_entry_that_waits(), a_decision(), at(2), LEASE)
    assert (entry.status, entry.attempts, answer) == ("claimed", 2, Claim.GRANTED)


def test_a_send_remembers_since_when_it_has_waited() -> None:
    """However often it was woken in vain."""
    entry = an_entry_that_waits()
    for second in (70, 140):
        entry, _ = ledger.claim(entry, a_decision(), at(second), LEASE)
        entry = ledger.wait(entry, at(second + 1), at(second + 60), None)
    assert (entry.waiting_since, entry.lease_until) == (at(1), at(200))


def test_what_was_claimed_since_it_was_seen_is_not_put_off() -> None:
    """The sweep has published it, and a worker was faster than its next line."""
    seen = an_entry_that_waits()
    assert ledger.wait(seen, at(60), at(360), seen.attempts).lease_until == at(360)
    claimed, _ = ledger.claim(seen, a_decision(), at(60), LEASE)
    assert ledger.wait(claimed, at(61), at(360), seen.attempts) is claimed
    again = ledger.wait(claimed, at(61), at(120), None)
    assert ledger.wait(again, at(62), at(360), seen.attempts) is again


def test_an_end_can_put_another_decision_in_place_of_the_one_that_was_claimed() -> None:
    """For somebody who was erased: what was to be sent, and its letter, are gone."""
    claimed, _ = ledger.claim(None, a_decision(), at(0), LEASE)
    entry = ledger.hand_over(claimed, at(1), Letter(subject="Still thinking about it?"))
    bare = replace(a_decision(), person="a digest")
    ended = ledger.finish(entry, "suppressed", at(2), "erased", "", bare)
    assert (ended.decision, ended.letter, ended.reason) == (bare, None, "erased")
    assert ledger.finish(entry, "sent", at(2), None, "").letter == entry.letter


def an_entry_that_ended(detail: str, reason: Reason | None = None, *, repeats: int = 0) -> LedgerEntry:
    """A dead letter, since 2."""
    claimed, _ = ledger.claim(None, a_decision(), at(0), LEASE)
    return ledger.finish(replace(claimed, repeats=repeats), "dead_lettered", at(2), reason, detail)


def test_a_dead_letter_that_is_reopened_waits_for_its_turn_which_is_now() -> None:
    """Whoever comes with its message may begin, the sweep finds it without one, and its end before is kept."""
    reopened = ledger.reopen(an_entry_that_ended("no variable x", "render_failed"), at(60), may_repeat=False)
    assert (reopened.status, reopened.reason, reopened.detail) == ("waiting", None, "")
    assert (reopened.lease_until, reopened.waiting_since, reopened.updated_at) == (at(60), at(60), at(60))
    assert (reopened.reopened_at, reopened.reopened_from) == (at(60), "render_failed: no variable x")
    claimed, answer = ledger.claim(reopened, a_decision(), at(61), LEASE)
    assert (claimed.attempts, claimed.repeats, answer) == (2, 0, Claim.GRANTED)


@pytest.mark.parametrize("entry", [an_entry_that_ended(ledger.OUTCOME_UNKNOWN), an_entry_that_ended("x", repeats=1)])
def test_what_may_have_gone_out_is_reopened_only_by_who_accepts_a_second_copy(entry: LedgerEntry) -> None:
    """And it counts as a repeat, so that it is never again taken for one that cannot have gone out."""
    assert ledger.reopen(entry, at(60), may_repeat=False) is entry
    reopened = ledger.reopen(entry, at(60), may_repeat=True)
    assert (reopened.status, reopened.repeats) == ("waiting", entry.repeats + 1)
    failed = ledger.finish(reopened, "dead_lettered", at(61), "render_failed", "")
    assert ledger.reopen(failed, at(62), may_repeat=False) is failed


def test_nothing_but_a_dead_letter_is_reopened() -> None:
    """Neither what goes on by itself, nor what has ended otherwise."""
    claimed, _ = ledger.claim(None, a_decision(), at(0), LEASE)
    others = [ledger.finish(claimed, status, at(1), None, "") for status in ("sent", "suppressed", "shadow")]
    for entry in (claimed, an_entry_that_waits(), ledger.hand_over(claimed, at(1)), *others):
        assert ledger.reopen(entry, at(60), may_repeat=True) is entry
