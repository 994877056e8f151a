"""Whatever workers do, crash or oversleep: no mail is sent more often than it may be, and no end is untrue.

Every interleaving of three workers, a sweep and an erasure is walked. Time is not in it: a lease may be over, or not,
whenever somebody claims, as it is for workers that oversleep any of their calls and whose clocks step back or differ.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Literal, NamedTuple

import pytest
from msgspec.structs import replace

from tests.contracts.samples import a_decision, at
from tidings.mailing import ledger
from tidings.mailing.ledger import OUTCOME_UNKNOWN
from tidings.records.store import Claim, Claimed, LedgerEntry, Letter
from tidings.wire.decisions import Decision, MailKind, Reason

LEASE = timedelta(seconds=10)
WORKERS = range(3)
CLAIM_IDS = map(str, count())

Step = Literal["claim", "prepare", "send", "take back", "finish", "leave open", "forget"]


def claim(entry: LedgerEntry | None, decision: Decision, now: datetime) -> Claimed:
    """Claim it under an id that nobody has had."""
    return ledger.claim(entry, decision, now, LEASE, next(CLAIM_IDS))


class Worker(NamedTuple):
    """What a worker does next, and the claim that it believes to hold."""

    step: Step = "claim"
    held: LedgerEntry | None = None


class State(NamedTuple):
    """One moment: the entry, the workers, how many mails have gone out, what a sweep has seen, whether we may know.

    Where `replays` is set, somebody reopens dead letters whenever there is one, and there are more of them.
    """

    decision: Decision
    entry: LedgerEntry | None = None
    workers: tuple[Worker, ...] = (Worker(),) * len(WORKERS)
    mails: int = 0
    swept: LedgerEntry | None = None
    is_erased: bool = False
    replays: bool = False

    def key(self) -> object:
        """What the future depends on: of a claim only whether it is the newest."""
        known = self.entry and (self.entry.status, self.entry.repeats, self.entry.detail)
        steps = tuple((one.step, self.is_newest(one.held)) for one in self.workers)
        return known, steps, self.mails, self.swept and self.is_newest(self.swept), self.is_erased

    def is_newest(self, held: LedgerEntry | None) -> bool:
        """Whether nobody has claimed it since."""
        return bool(held and self.entry and held.claim_id == self.entry.claim_id)

    def after(self, number: int, step: Step, entry: LedgerEntry | None, mails: int = 0) -> "State":
        """This worker did something, and goes on with `step`."""
        changed = self.workers[number]._replace(step=step)
        return self.with_worker(number, changed)._replace(entry=entry, mails=self.mails + mails)

    def with_worker(self, number: int, worker: Worker) -> "State":
        """The same with another worker in this one's place."""
        return self._replace(workers=tuple(worker if each == number else self.workers[each] for each in WORKERS))


def futures(state: State) -> Iterator[State]:
    """Every moment that can come next: somebody is erased, a sweep goes on, or a worker crashes, fails or succeeds."""
    if state.entry and not state.is_erased:
        yield state._replace(entry=None, is_erased=True)
    if state.entry and state.replays:
        yield state._replace(entry=ledger.reopen(state.entry, at(0), may_repeat=False))
        yield from dead_letters(state, state.entry)
    if state.entry and state.entry.status == "waiting":  # it is published again, and then the next time is put off
        yield state._replace(swept=state.entry)
    if state.entry and state.swept:
        put_off = ledger.wait(state.entry, state.swept, at(0), at(0) + LEASE)
        assert put_off is state.entry or state.entry.status == "waiting"
        yield state._replace(entry=put_off, swept=None)
    for number in WORKERS:
        yield state.with_worker(number, Worker())
        yield from deeds(state, number)


def deeds(state: State, number: int) -> Iterator[State]:
    """What one worker can do next, as the delivering function does it."""
    entry, (step, held), now = state.entry, state.workers[number], at(0)
    if step == "claim":
        lease_until = entry.lease_until if entry else now
        for clock in (lease_until - timedelta(seconds=1), lease_until):
            answer, taken = claim(entry, state.decision, clock)
            next_step: dict[Claim, Step] = {Claim.GRANTED: "prepare", Claim.UNKNOWN: "leave open"}
            if answer in next_step:
                will: Step = "forget" if state.is_erased else next_step[answer]
                yield state.with_worker(number, Worker(will, taken))._replace(entry=taken)
        return
    assert held
    if entry is None:  # erased: the store changes nothing, and says so
        if step == "send":
            yield state.after(number, "finish", entry, mails=1)
        return
    match step:
        case "prepare":
            yield state.after(number, "claim", ledger.release(entry, held, now))
            yield state.after(number, "claim", ledger.wait(entry, held, now, now + LEASE))
            yield state.after(number, "claim", ledger.finish(entry, held, "suppressed", now))
            if not held.repeats:
                yield state.after(number, "claim", ledger.finish(entry, held, "dead_lettered", now, None, "gave up"))
            handed_over = ledger.hand_over(entry, held, now)
            yield state.after(number, "claim" if handed_over is entry else "send", handed_over)
        case "send":
            yield state.after(number, "take back", entry)  # the provider said: later
            yield state.after(number, "finish", entry, mails=1)
        case "take back":
            yield state.after(number, "claim", ledger.release(entry, held, now))
            yield state.after(number, "claim", ledger.wait(entry, held, now, now + LEASE))
        case "finish":
            yield state.after(number, "claim", ledger.finish(entry, held, "sent", now))
        case "leave open":
            assert ledger.hand_over(entry, held, now) is entry
            assert ledger.release(entry, held, now) is entry
            assert ledger.wait(entry, held, now, now + LEASE) is entry
            yield state.after(number, "claim", ledger.finish(entry, held, "dead_lettered", now, None, OUTCOME_UNKNOWN))
        case "forget":
            yield state.after(number, "claim", ledger.finish(entry, held, "suppressed", now, "erased"))


def dead_letters(state: State, entry: LedgerEntry) -> Iterator[State]:
    """What a worker can find that cannot be sent as it stands, before and after it is handed over."""
    for number, (step, held) in enumerate(state.workers):
        if held and step in ("prepare", "send"):
            reason: Reason | None = "render_failed" if step == "prepare" else None
            ended = ledger.finish(entry, held, "dead_lettered", at(0), reason, reason or "refused")
            yield state.after(number, "claim", ended)


def walk(kind: MailKind, copies: int, *, replays: bool = False) -> set[tuple[str, int]]:
    """Every (status, mails sent) that can come to be; nothing may change an end, or send more than `copies`."""
    start = State(replace(a_decision(), kind=kind), replays=replays)
    seen = {start.key(): start}
    waiting = [start]
    while waiting:
        state = waiting.pop()
        for future in futures(state):
            assert future.mails <= copies, future
            if state.entry and state.entry.status in ledger.FINAL and future.entry:
                is_reopened = replays and (state.entry.status, future.entry.status) == ("dead_lettered", "waiting")
                assert future.entry is state.entry or is_reopened, future
            if future.key() not in seen:
                seen[future.key()] = future
                waiting.append(future)
    return {(told(state.entry), state.mails) for state in seen.values() if state.entry and not state.is_erased}


def told(entry: LedgerEntry) -> str:
    """What a person reads of it."""
    return entry.detail.partition(":")[0] or entry.status


def test_no_interleaving_of_workers_sends_marketing_mail_twice_or_ends_it_untruly() -> None:
    """And there are interleavings that send, that end, and that end without having sent."""
    endings = walk("marketing", copies=1)
    assert endings == {
        ("claimed", 0),
        ("waiting", 0),
        ("handing_over", 0),
        ("handing_over", 1),
        ("sent", 1),
        ("suppressed", 0),
        ("gave up", 0),
        ("outcome unknown", 0),
        ("outcome unknown", 1),
    }


def test_no_interleaving_of_workers_sends_transactional_mail_more_than_twice() -> None:
    """It is begun again once when nobody knows, and nothing is called sent that was not, or unsent that was."""
    endings = walk("transactional", copies=2)
    assert {("sent", 1), ("sent", 2), ("claimed", 1), ("outcome unknown", 2)} <= endings
    assert ("sent", 0) not in endings
    assert {mails for what, mails in endings if what == "gave up"} == {0}


@pytest.mark.parametrize(("kind", "copies"), [("marketing", 1), ("transactional", 2)])
def test_whenever_dead_letters_are_replayed_no_more_mails_go_out_than_without(kind: MailKind, copies: int) -> None:
    """While workers are slow, crash and come back. What may have gone out is not replayed here."""
    endings = walk(kind, copies, replays=True)
    assert {("sent", 1), ("refused", 0), ("outcome unknown", copies)} <= endings
    assert ("sent", 0) not in endings


@pytest.mark.parametrize("kind", ["marketing", "transactional"])
def test_a_worker_that_never_comes_to_the_mail_leaves_no_doubt(kind: MailKind) -> None:
    """It is taken over as often as workers vanish, and no repeat is used up."""
    entry: LedgerEntry | None = None
    for turn in range(5):
        answer, entry = claim(entry, replace(a_decision(), kind=kind), at(11 * turn))
        assert answer is Claim.GRANTED
    assert entry
    assert (entry.attempts, entry.repeats) == (5, 0)


def claimed_at_0() -> LedgerEntry:
    """By somebody."""
    return claim(None, a_decision(), at(0)).entry


def an_entry_that_waits() -> LedgerEntry:
    """Claimed at 0 and put aside at 1 until 60."""
    held = claimed_at_0()
    return ledger.wait(held, held, at(1), at(60))


def test_a_message_of_a_send_that_waits_is_worked_on_whenever_it_comes() -> None:
    """Were it answered and dropped because its turn has not come, and the sweep had just looked, nobody would come."""
    answer, entry = claim(an_entry_that_waits(), a_decision(), at(2))
    assert (entry.status, entry.attempts, answer) == ("claimed", 2, Claim.GRANTED)


def test_a_send_remembers_since_when_it_has_waited() -> None:
    """However often it was woken in vain."""
    entry = an_entry_that_waits()
    for second in (70, 140):
        held = claim(entry, a_decision(), at(second)).entry
        entry = ledger.wait(held, held, at(second + 1), at(second + 60))
    assert (entry.waiting_since, entry.lease_until) == (at(1), at(200))


def test_what_was_claimed_since_it_was_seen_is_not_put_off() -> None:
    """The sweep has published it, and a worker was faster than its next line."""
    seen = an_entry_that_waits()
    assert ledger.wait(seen, seen, at(60), at(360)).lease_until == at(360)
    held = claim(seen, a_decision(), at(60)).entry
    assert ledger.wait(held, seen, at(61), at(360)) is held
    again = ledger.wait(held, held, at(61), at(120))
    assert ledger.wait(again, seen, at(62), at(360)) is again


def test_an_answer_that_is_written_down_late_still_keeps_the_others_from_sending() -> None:
    """Nobody knows better than who has it from the provider."""
    decision = replace(a_decision(), kind="transactional")
    slow = claim(None, decision, at(0)).entry
    repeated = claim(ledger.hand_over(slow, slow, at(1)), decision, at(11)).entry
    ended = ledger.finish(repeated, slow, "sent", at(12))
    assert ended.status == "sent"
    assert ledger.hand_over(ended, repeated, at(13)) is ended


def test_an_end_can_put_another_decision_in_place_of_the_one_that_was_claimed() -> None:
    """For somebody who was erased: what was to be sent, and its letter, are gone."""
    held = claimed_at_0()
    entry = ledger.hand_over(held, held, at(1), Letter(subject="Still thinking about it?"))
    bare = replace(a_decision(), person="a digest")
    ended = ledger.finish(entry, held, "suppressed", at(2), "erased", "", bare)
    assert (ended.decision, ended.letter, ended.reason) == (bare, None, "erased")
    assert ledger.finish(entry, held, "sent", at(2)).letter == entry.letter


def an_entry_that_ended(detail: str, reason: Reason | None = None, *, repeats: int = 0) -> LedgerEntry:
    """A dead letter, since 2."""
    held = replace(claimed_at_0(), repeats=repeats)
    return ledger.finish(held, held, "dead_lettered", at(2), reason, detail)


def test_a_dead_letter_that_is_reopened_waits_for_its_turn_which_is_now() -> None:
    """Whoever comes with its message may begin, the sweep finds it without one, and its end before is kept."""
    reopened = ledger.reopen(an_entry_that_ended("no variable x", "render_failed"), at(60), may_repeat=False)
    assert (reopened.status, reopened.reason, reopened.detail) == ("waiting", None, "")
    assert (reopened.lease_until, reopened.waiting_since, reopened.updated_at) == (at(60), at(60), at(60))
    assert (reopened.reopened_at, reopened.reopened_from) == (at(60), "render_failed: no variable x")
    answer, claimed = claim(reopened, a_decision(), at(61))
    assert (claimed.attempts, claimed.repeats, answer) == (2, 0, Claim.GRANTED)


@pytest.mark.parametrize("entry", [an_entry_that_ended(ledger.OUTCOME_UNKNOWN), an_entry_that_ended("x", repeats=1)])
def test_what_may_have_gone_out_is_reopened_only_by_who_accepts_a_second_copy(entry: LedgerEntry) -> None:
    """And it counts as a repeat, so that it is never again taken for one that cannot have gone out."""
    assert ledger.reopen(entry, at(60), may_repeat=False) is entry
    reopened = ledger.reopen(entry, at(60), may_repeat=True)
    assert (reopened.status, reopened.repeats) == ("waiting", entry.repeats + 1)
    failed = ledger.finish(reopened, reopened, "dead_lettered", at(61), "render_failed")
    assert ledger.reopen(failed, at(62), may_repeat=False) is failed


def test_nothing_but_a_dead_letter_is_reopened() -> None:
    """Neither what goes on by itself, nor what has ended otherwise."""
    held = claimed_at_0()
    others = [ledger.finish(held, held, status, at(1)) for status in ("sent", "suppressed", "shadow")]
    for entry in (held, an_entry_that_waits(), ledger.hand_over(held, held, at(1)), *others):
        assert ledger.reopen(entry, at(60), may_repeat=True) is entry
