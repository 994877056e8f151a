"""What every store promises about sends: each is worked on by one worker at a time, and ends once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from tests.contracts.samples import AWKWARD_KEYS, NOON, a_decision, at, together
from tidings.adapters.stores import open_store
from tidings.store import Claim, FinalStatus, LedgerEntry, Letter, Store

LEASE = timedelta(seconds=60)
IN_TIME, TOO_LATE = at(59.999999), at(60)
FINAL: tuple[FinalStatus, ...] = get_args(FinalStatus)


def the_entry(store: Store) -> LedgerEntry:
    entry = store.ledger_entry("send-1")
    assert entry is not None
    return entry


class TestClaim:
    """May I work on this send?"""

    def test_the_first_claim_is_granted_and_recorded(self, store: Store) -> None:
        """With the decision as it came, and the lease to the microsecond."""
        assert store.ledger_entry("send-1") is None
        assert store.claim(a_decision(), NOON, LEASE) is Claim.GRANTED
        assert the_entry(store) == LedgerEntry(
            send_id="send-1", status="claimed", decision=a_decision(), updated_at=NOON, lease_until=NOON + LEASE
        )

    def test_a_claimed_send_is_held_until_the_lease_ends(self, store: Store) -> None:
        """And asking does not change it."""
        store.claim(a_decision(), NOON, LEASE)
        before = the_entry(store)
        assert store.claim(a_decision(), IN_TIME, LEASE) is Claim.HELD
        assert the_entry(store) == before

    def test_a_claim_whose_lease_is_over_is_taken_over(self, store: Store) -> None:
        """Its worker has vanished before anything left; the attempts are counted."""
        store.claim(a_decision(), NOON, LEASE)
        assert store.claim(a_decision(), TOO_LATE, LEASE) is Claim.GRANTED
        entry = the_entry(store)
        assert (entry.status, entry.attempts, entry.lease_until) == ("claimed", 2, TOO_LATE + LEASE)
        assert entry.updated_at == TOO_LATE

    def test_a_send_that_is_being_handed_over_is_held_until_the_lease_ends(self, store: Store) -> None:
        """Its worker may still be talking to the mail server."""
        store.claim(a_decision(), NOON, LEASE)
        store.hand_over("send-1", at(1))
        assert store.claim(a_decision(), IN_TIME, LEASE) is Claim.HELD

    def test_a_worker_that_vanished_while_handing_over_leaves_the_unknown(self, store: Store) -> None:
        """One caller hears it, and the others wait while that one deals with it."""
        store.claim(a_decision(), NOON, LEASE)
        store.hand_over("send-1", at(1))
        assert store.claim(a_decision(), TOO_LATE, LEASE) is Claim.UNKNOWN
        assert store.claim(a_decision(), TOO_LATE, LEASE) is Claim.HELD
        entry = the_entry(store)
        assert (entry.status, entry.lease_until) == ("handing_over", TOO_LATE + LEASE)
        assert store.claim(a_decision(), TOO_LATE + LEASE, LEASE) is Claim.UNKNOWN

    def test_transactional_mail_in_the_unknown_is_begun_again_once(self, store: Store) -> None:
        """Better twice than not at all; the second unknown is for a person."""
        decision = replace(a_decision(), kind="transactional")
        store.claim(decision, NOON, LEASE)
        store.hand_over("send-1", at(1))
        assert store.claim(decision, TOO_LATE, LEASE) is Claim.GRANTED
        entry = the_entry(store)
        assert (entry.status, entry.attempts, entry.repeats) == ("claimed", 2, 1)
        store.hand_over("send-1", at(61))
        assert store.claim(decision, at(61), LEASE) is Claim.HELD
        assert store.claim(decision, TOO_LATE + LEASE, LEASE) is Claim.UNKNOWN
        assert the_entry(store).repeats == 1

    @pytest.mark.parametrize("status", FINAL)
    def test_a_send_that_has_ended_is_done(self, store: Store, status: FinalStatus) -> None:
        """However it ended, and however long ago."""
        store.claim(a_decision(), NOON, LEASE)
        store.finish("send-1", status, at(1))
        before = the_entry(store)
        assert store.claim(a_decision(), at(1), LEASE) is Claim.DONE
        assert store.claim(a_decision(), at(1e7), LEASE) is Claim.DONE
        assert the_entry(store) == before

    def test_send_ids_may_look_like_anything(self, store: Store) -> None:
        """None is mistaken for another."""
        for key in AWKWARD_KEYS:
            assert store.claim(a_decision(key), NOON, LEASE) is Claim.GRANTED
        for key in AWKWARD_KEYS:
            entry = store.ledger_entry(key)
            assert entry is not None
            assert entry.send_id == key


class TestWaiting:
    """Put aside until its turn comes."""

    def test_a_send_that_waits_belongs_to_whoever_comes_with_its_message(self, store: Store) -> None:
        """Whether its turn has come or not: it can be put aside again, and remembers since when it has waited."""
        store.claim(a_decision(), NOON, LEASE)
        store.wait("send-1", at(1), at(600))
        assert (the_entry(store).status, the_entry(store).lease_until) == ("waiting", at(600))
        assert store.claim(a_decision(), at(2), LEASE) is Claim.GRANTED
        assert (the_entry(store).status, the_entry(store).attempts) == ("claimed", 2)
        assert store.claim(a_decision(), at(3), LEASE) is Claim.HELD
        store.wait("send-1", at(4), at(900))
        assert the_entry(store).waiting_since == at(1)

    def test_what_was_claimed_since_it_was_seen_is_not_put_off(self, store: Store) -> None:
        """Whoever has published it again may be slower than the worker who got it."""
        store.claim(a_decision(), NOON, LEASE)
        store.wait("send-1", at(1), at(10))
        seen = the_entry(store)
        store.claim(a_decision(), at(10), LEASE)
        store.wait("send-1", at(11), at(300), attempts=seen.attempts)
        assert the_entry(store).status == "claimed"
        store.wait("send-1", at(12), at(20))
        store.wait("send-1", at(13), at(300), attempts=seen.attempts)
        assert the_entry(store).lease_until == at(20)
        store.wait("send-1", at(14), at(300), attempts=the_entry(store).attempts)
        assert the_entry(store).lease_until == at(300)

    def test_those_whose_turn_has_come_are_found_the_longest_due_first(self, store: Store) -> None:
        """To the microsecond, so many as are asked for, and nothing that does not wait."""
        for name, until in (("c", 30), ("a", 20), ("b", 10), ("later", 40.000001)):
            store.claim(a_decision(name), NOON, LEASE)
            store.wait(name, at(1), at(until))
        store.claim(a_decision("claimed"), at(-900), LEASE)
        store.claim(a_decision("sent"), at(-900), LEASE)
        store.finish("sent", "sent", at(-800))
        assert [entry.send_id for entry in store.waiting(at(40), 10)] == ["b", "a", "c"]
        assert [entry.send_id for entry in store.waiting(at(40), 2)] == ["b", "a"]
        assert store.waiting(at(9), 10) == []

    def test_it_may_be_put_further_off(self, store: Store) -> None:
        """And is found again then."""
        store.claim(a_decision(), NOON, LEASE)
        store.wait("send-1", at(1), at(10))
        store.wait("send-1", at(10), at(20))
        assert store.waiting(at(19), 10) == []
        assert [entry.send_id for entry in store.waiting(at(20), 10)] == ["send-1"]

    def test_it_can_end_without_its_turn(self, store: Store) -> None:
        """It has waited for too long, say; then nobody wakes it."""
        store.claim(a_decision(), NOON, LEASE)
        store.wait("send-1", at(1), at(10))
        store.finish("send-1", "suppressed", at(11), "opted_out")
        assert the_entry(store).status == "suppressed"
        assert store.waiting(at(100), 10) == []

    def test_what_is_being_handed_over_or_has_ended_does_not_begin_to_wait(self, store: Store) -> None:
        """Nor does what was never claimed."""
        store.wait("send-1", NOON, at(10))
        assert store.ledger_entry("send-1") is None
        store.claim(a_decision(), NOON, LEASE)
        store.hand_over("send-1", at(1))
        store.wait("send-1", at(2), at(10))
        assert the_entry(store).status == "handing_over"
        store.finish("send-1", "sent", at(3))
        store.wait("send-1", at(4), at(10))
        assert the_entry(store).status == "sent"

    def test_the_end_can_take_the_person_out_of_it(self, store: Store) -> None:
        """They were erased: the entry stays, so that nothing is sent, and nobody can tell any more whose it was."""
        decision = a_decision()
        store.claim(decision, NOON, LEASE)
        store.hand_over("send-1", at(1), Letter(subject="Still there?"))
        bare = replace(decision, person="a-digest")
        store.finish("send-1", "suppressed", at(2), "erased", decision=bare)
        entry = the_entry(store)
        assert (entry.status, entry.reason, entry.decision, entry.letter) == ("suppressed", "erased", bare, None)
        assert store.ledger(decision.person) == []
        assert [one.send_id for one in store.ledger("a-digest")] == ["send-1"]


class TestHandOverAndRelease:
    """From here on a crash is ambiguous, and back."""

    def test_handing_over_is_for_the_one_who_holds_the_claim(self, store: Store) -> None:
        """It is marked before the mail leaves, and marked once."""
        store.claim(a_decision(), NOON, LEASE)
        assert store.hand_over("send-1", at(1)) is True
        assert (the_entry(store).status, the_entry(store).updated_at) == ("handing_over", at(1))
        assert store.hand_over("send-1", at(2)) is False
        assert the_entry(store).updated_at == at(1)

    def test_what_leaves_is_written_down_before_it_leaves(self, store: Store) -> None:
        """So that a click can be told from a forgery, and a bounce finds its address."""
        letter = Letter(
            provider="smtp",
            subject="Your cart \N{SNOWMAN}",
            links=("https://a.example/?a=1&b=2#c",),
            address_digest="d",
        )
        store.claim(a_decision(), NOON, LEASE)
        store.hand_over("send-1", at(1), letter)
        assert the_entry(store).letter == letter
        store.finish("send-1", "sent", at(2))
        assert the_entry(store).letter == letter

    def test_nobody_hands_over_what_has_ended(self, store: Store) -> None:
        """A worker that overslept its lease finds the work done."""
        store.claim(a_decision(), NOON, LEASE)
        store.finish("send-1", "sent", at(1))
        assert store.hand_over("send-1", at(2)) is False
        assert the_entry(store).status == "sent"

    def test_nobody_hands_over_what_was_never_claimed(self, store: Store) -> None:
        """Nor gives it back, nor ends it: there is no entry afterwards either."""
        assert store.hand_over("send-1", NOON) is False
        store.release("send-1", NOON)
        store.finish("send-1", "sent", NOON)
        assert store.ledger_entry("send-1") is None

    @pytest.mark.parametrize("handed_over", [True, False])
    def test_a_released_send_is_free_at_once(self, store: Store, handed_over: bool) -> None:
        """After a temporary failure, before the mail left or while the mail server refused it."""
        store.claim(a_decision(), NOON, LEASE)
        if handed_over:
            store.hand_over("send-1", at(1))
        store.release("send-1", at(2), handed_over=handed_over)
        entry = the_entry(store)
        assert (entry.status, entry.lease_until, entry.updated_at) == ("claimed", at(2), at(2))
        assert store.claim(a_decision(), at(2), LEASE) is Claim.GRANTED
        assert the_entry(store).attempts == 2

    def test_a_worker_that_lost_its_claim_cannot_release_anothers_mail(self, store: Store) -> None:
        """It says that it had not handed over yet; the other one has."""
        store.claim(a_decision(), NOON, LEASE)
        store.claim(a_decision(), TOO_LATE, LEASE)
        store.hand_over("send-1", at(61))
        store.release("send-1", at(62), handed_over=False)
        assert the_entry(store).status == "handing_over"

    def test_what_has_ended_is_not_released(self, store: Store) -> None:
        """It stays ended."""
        store.claim(a_decision(), NOON, LEASE)
        store.finish("send-1", "sent", at(1))
        store.release("send-1", at(2))
        assert the_entry(store).status == "sent"


class TestFinish:
    """How it ended."""

    def test_whoever_ends_it_gets_the_entry_as_it_is_then(self, store: Store) -> None:
        """So that it can be told without being read again: the first ending, whoever comes second."""
        assert store.finish("send-1", "sent", NOON) is None
        store.claim(a_decision(), NOON, LEASE)
        first = store.finish("send-1", "sent", at(1))
        assert first == the_entry(store)
        assert store.finish("send-1", "dead_lettered", at(2)) == first

    def test_the_ending_is_recorded_with_its_reason(self, store: Store) -> None:
        """Without a hand-over too: most endings are suppressions."""
        store.claim(a_decision(), NOON, LEASE)
        store.finish("send-1", "suppressed", at(1), reason="no_consent", detail="marketing")
        entry = the_entry(store)
        assert (entry.status, entry.reason, entry.detail) == ("suppressed", "no_consent", "marketing")
        assert (entry.updated_at, entry.attempts, entry.decision) == (at(1), 1, a_decision())

    def test_finishing_again_leaves_the_first_ending_as_it_is(self, store: Store) -> None:
        """Down to the instant."""
        store.claim(a_decision(), NOON, LEASE)
        store.hand_over("send-1", at(1))
        store.finish("send-1", "sent", at(2), detail="250 OK")
        before = the_entry(store)
        store.finish("send-1", "dead_lettered", at(3), reason="render_failed")
        assert the_entry(store) == before


class TestLedger:
    """The list of sends."""

    def test_the_latest_entries_come_first(self, store: Store) -> None:
        """By their last change; at equal times the greater id; no more than asked for."""
        for send_id, seconds in (("a", 1), ("b", 2), ("c", 2), ("d", 0)):
            store.claim(a_decision(send_id), at(seconds), LEASE)
        store.finish("d", "sent", at(9))
        assert [entry.send_id for entry in store.ledger()] == ["d", "c", "b", "a"]
        assert [entry.send_id for entry in store.ledger(limit=2)] == ["d", "c"]

    def test_it_can_be_asked_for_one_person(self, store: Store) -> None:
        """With the same order and the same limit."""
        for number, person in enumerate(["u:1", "u:2", "u:1", "u:1"]):
            store.claim(a_decision(f"send-{number}", person), at(number), LEASE)
        assert [entry.send_id for entry in store.ledger("u:1")] == ["send-3", "send-2", "send-0"]
        assert [entry.send_id for entry in store.ledger("u:1", limit=1)] == ["send-3"]
        assert store.ledger("u:2") == [store.ledger_entry("send-1")]
        assert store.ledger("u:3") == []


class TestManyWorkers:
    """Twenty workers at the same instant, each with a connection of its own or sharing one."""

    @pytest.fixture(params=["one store for all", "a store for each"])
    def workers(self, request: pytest.FixtureRequest, open_again: Callable[[], Store]) -> list[Store]:
        """Twenty stores on the same data."""
        first = open_again()
        return [first] * 20 if request.param == "one store for all" else [first, *(open_again() for _ in range(19))]

    def test_one_of_them_gets_a_new_send(self, workers: list[Store]) -> None:
        """The others hear that it is held."""
        answers = together([partial(store.claim, a_decision(), NOON, LEASE) for store in workers])
        assert Counter(answers) == {Claim.GRANTED: 1, Claim.HELD: 19}

    def test_one_of_them_takes_over_a_lease_that_is_over(self, workers: list[Store]) -> None:
        """And it counts as one attempt."""
        workers[0].claim(a_decision(), NOON, LEASE)
        answers = together([partial(store.claim, a_decision(), TOO_LATE, LEASE) for store in workers])
        assert Counter(answers) == {Claim.GRANTED: 1, Claim.HELD: 19}
        assert the_entry(workers[0]).attempts == 2

    def test_one_of_them_hears_of_the_unknown(self, workers: list[Store]) -> None:
        """Otherwise it would be dealt with twenty times."""
        workers[0].claim(a_decision(), NOON, LEASE)
        workers[0].hand_over("send-1", at(1))
        answers = together([partial(store.claim, a_decision(), TOO_LATE, LEASE) for store in workers])
        assert Counter(answers) == {Claim.UNKNOWN: 1, Claim.HELD: 19}

    def test_one_of_them_may_hand_over(self, workers: list[Store]) -> None:
        """Even if all of them believe that they hold the claim."""
        workers[0].claim(a_decision(), NOON, LEASE)
        answers = together([partial(store.hand_over, "send-1", at(1)) for store in workers])
        assert Counter(answers) == {True: 1, False: 19}

    def test_one_of_their_endings_counts(self, workers: list[Store]) -> None:
        """Whole: the status and the detail of the same worker."""
        workers[0].claim(a_decision(), NOON, LEASE)
        together(
            [
                partial(
                    store.finish, "send-1", FINAL[number % len(FINAL)], at(number), detail=FINAL[number % len(FINAL)]
                )
                for number, store in enumerate(workers)
            ]
        )
        entry = the_entry(workers[0])
        assert entry.status == entry.detail
        assert FINAL[int((entry.updated_at - NOON).total_seconds()) % len(FINAL)] == entry.status


def claims_of_one_process(url: str, sends: int) -> list[Claim]:
    """Open the store and claim each of the sends in four threads at once."""
    store = open_store(url, "unused")
    try:
        return [
            answer
            for number in range(sends)
            for answer in together([partial(store.claim, a_decision(f"send-{number}"), NOON, LEASE)] * 4)
        ]
    finally:
        store.close()


def test_processes_share_one_sqlite_file(tmp_path: Path) -> None:
    """They create it together, and each send is granted to one thread of one of them."""
    processes, sends = 4, 25
    context = get_context("spawn")
    everybody_is_here = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, everybody_is_here.wait, (60,)) as pool:
        urls = [f"sqlite:{tmp_path / 'store.db'}"] * processes
        answers = list(pool.map(claims_of_one_process, urls, [sends] * processes))
    counted = Counter(answer for of_one in answers for answer in of_one)
    assert counted == {Claim.GRANTED: sends, Claim.HELD: sends * (processes * 4 - 1)}


class TestLedgerOfRule:
    """What became of one rule's decisions."""

    def test_the_latest_come_first_since_an_instant_and_no_more_than_asked_for(self, store: Store) -> None:
        """The instant itself counts."""
        for number in range(5):
            store.claim(a_decision(f"send-{number}"), at(number), LEASE)
        store.claim(replace(a_decision("other"), rule_id="welcome"), at(9), LEASE)
        found = store.ledger_of_rule("cart-abandoned", at(1), 100)
        assert [one.send_id for one in found] == ["send-4", "send-3", "send-2", "send-1"]
        assert [one.send_id for one in store.ledger_of_rule("cart-abandoned", NOON, 2)] == ["send-4", "send-3"]
        assert [one.send_id for one in store.ledger_of_rule("welcome", NOON, 2)] == ["other"]
        assert store.ledger_of_rule("nobody", NOON, 2) == []

    def test_an_entry_comes_as_it_is_now(self, store: Store) -> None:
        """At the time of its last change."""
        store.claim(a_decision(), at(0), LEASE)
        store.finish("send-1", "shadow", at(5))
        assert store.ledger_of_rule("cart-abandoned", at(5), 1) == [store.ledger_entry("send-1")]

    def test_very_many_come_whole_and_each_once_though_all_are_of_one_instant(self, store: Store) -> None:
        """Also across the pages in which a store may fetch them."""
        names = [f"send-{number:04}" for number in range(2100)]
        together([partial(self._claim_all, store, names[start::4]) for start in range(4)])
        found = store.ledger_of_rule("cart-abandoned", NOON, 2050)
        assert [one.send_id for one in found] == names[::-1][:2050]

    @staticmethod
    def _claim_all(store: Store, names: list[str]) -> None:
        for name in names:
            store.claim(a_decision(name), NOON, LEASE)
