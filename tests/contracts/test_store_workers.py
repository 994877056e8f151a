"""What every store promises to many workers on one send: one of them has it, and who was overtaken has no say."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from tests.contracts.samples import NOON, a_decision, at, together
from tidings.adapters.stores import open_store
from tidings.records.store import Claim, Claimed, FinalStatus, LedgerEntry, Store

LEASE = timedelta(seconds=60)
IN_TIME, TOO_LATE = at(59.999999), at(60)
FINAL: tuple[FinalStatus, ...] = get_args(FinalStatus)


def the_entry(store: Store) -> LedgerEntry:
    entry = store.ledger_entry("send-1")
    assert entry is not None
    return entry


class TestOvertaken:
    """Who has overslept the lease finds the entry claimed by another worker, and has no more say in it."""

    @pytest.fixture
    def overtaken(self, store: Store) -> LedgerEntry:
        """The claim of a worker whose lease is over; another one has claimed the same send since."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.claim(a_decision(), TOO_LATE, LEASE)
        return held

    def test_each_claim_has_an_id_of_its_own(self, store: Store, overtaken: LedgerEntry) -> None:
        """Also the one that hears of the unknown; and asking in vain changes nothing."""
        newest = the_entry(store)
        assert newest.claim_id != overtaken.claim_id
        assert store.claim(a_decision(), at(61), LEASE).entry.claim_id == newest.claim_id
        store.hand_over(newest, at(61))
        unknown = store.claim(a_decision(), TOO_LATE + LEASE, LEASE)
        assert unknown.answer is Claim.UNKNOWN
        assert unknown.entry == the_entry(store)
        assert unknown.entry.claim_id not in (overtaken.claim_id, newest.claim_id)

    @pytest.mark.parametrize("handed_over", [False, True])
    def test_it_may_do_nothing(self, store: Store, overtaken: LedgerEntry, handed_over: bool) -> None:
        """However far the other one has come."""
        if handed_over:
            store.hand_over(the_entry(store), at(61))
        before = the_entry(store)
        assert store.hand_over(overtaken, at(62)) is False
        assert store.release(overtaken, at(62)) is False
        assert store.wait(overtaken, at(62), at(600)) is False
        for status in set(FINAL) - {"sent"}:
            assert store.finish(overtaken, status, at(62)) is None
        assert the_entry(store) == before

    def test_that_a_mail_was_sent_ends_it_whoever_says_so(self, store: Store) -> None:
        """Its answer was slow to be written down. The other one would send it once more."""
        decision = replace(a_decision(), kind="transactional")
        slow = store.claim(decision, NOON, LEASE).entry
        store.hand_over(slow, at(1))
        other = store.claim(decision, TOO_LATE, LEASE).entry
        assert store.finish(slow, "sent", at(61)) == the_entry(store)
        assert store.hand_over(other, at(62)) is False
        assert store.finish(other, "dead_lettered", at(62)) is None
        assert the_entry(store).status == "sent"

    def test_it_stays_overtaken_when_the_entry_was_erased_and_made_anew(self, store: Store) -> None:
        """The new one counts its claims from one again."""
        old = store.claim(a_decision(), NOON, LEASE).entry
        store.erase_person("u:1")
        assert store.finish(old, "suppressed", at(1), "opted_out") is None
        new = store.claim(a_decision(), at(2), LEASE).entry
        assert (old.attempts, new.attempts) == (1, 1)
        assert store.hand_over(old, at(3)) is False
        assert store.hand_over(new, at(4)) is True

    def test_who_hears_of_the_unknown_can_only_end_it(self, store: Store) -> None:
        """It may have gone out, so it is not for anybody to say that it has not."""
        store.hand_over(store.claim(a_decision(), NOON, LEASE).entry, at(1))
        unknown = store.claim(a_decision(), TOO_LATE, LEASE).entry
        assert store.hand_over(unknown, at(61)) is False
        assert store.release(unknown, at(61)) is False
        assert store.wait(unknown, at(61), at(600)) is False
        assert store.finish(unknown, "dead_lettered", at(62)) == the_entry(store)

    def test_a_claim_is_over_when_a_person_has_reopened_what_it_ended(self, store: Store) -> None:
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, "dead_lettered", at(1), "render_failed")
        reopened = store.reopen("send-1", at(2))
        assert store.finish(held, "suppressed", at(3)) is None
        assert the_entry(store) == reopened


def claims_of(calls: Sequence[Callable[[], Claimed]]) -> list[Claim]:
    """What they answer, all at the same instant."""
    return [claimed.answer for claimed in together(calls)]


class TestManyWorkers:
    """Twenty workers at the same instant, each with a connection of its own or sharing one."""

    @pytest.fixture(params=["one store for all", "a store for each"])
    def workers(self, request: pytest.FixtureRequest, open_again: Callable[[], Store]) -> list[Store]:
        """Twenty stores on the same data."""
        first = open_again()
        return [first] * 20 if request.param == "one store for all" else [first, *(open_again() for _ in range(19))]

    def test_one_of_them_gets_a_new_send(self, workers: list[Store]) -> None:
        """The others hear that it is held."""
        answers = claims_of([partial(store.claim, a_decision(), NOON, LEASE) for store in workers])
        assert Counter(answers) == {Claim.GRANTED: 1, Claim.HELD: 19}

    def test_one_of_them_takes_over_a_lease_that_is_over(self, workers: list[Store]) -> None:
        """And it counts as one attempt."""
        workers[0].claim(a_decision(), NOON, LEASE)
        answers = claims_of([partial(store.claim, a_decision(), TOO_LATE, LEASE) for store in workers])
        assert Counter(answers) == {Claim.GRANTED: 1, Claim.HELD: 19}
        assert the_entry(workers[0]).attempts == 2

    def test_one_of_them_hears_of_the_unknown(self, workers: list[Store]) -> None:
        """Otherwise it would be dealt with twenty times."""
        workers[0].claim(a_decision(), NOON, LEASE)
        workers[0].hand_over(the_entry(workers[0]), at(1))
        answers = claims_of([partial(store.claim, a_decision(), TOO_LATE, LEASE) for store in workers])
        assert Counter(answers) == {Claim.UNKNOWN: 1, Claim.HELD: 19}

    def test_one_of_them_may_hand_over(self, workers: list[Store]) -> None:
        """Even if all of them believe that they hold the claim."""
        held = workers[0].claim(a_decision(), NOON, LEASE).entry
        answers = together([partial(store.hand_over, held, at(1)) for store in workers])
        assert Counter(answers) == {True: 1, False: 19}

    def test_one_of_their_endings_counts(self, workers: list[Store]) -> None:
        """Whole: the status and the detail of the same worker."""
        held = workers[0].claim(a_decision(), NOON, LEASE).entry
        together(
            [
                partial(store.finish, held, FINAL[number % len(FINAL)], at(number), detail=FINAL[number % len(FINAL)])
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
            for answer in claims_of([partial(store.claim, a_decision(f"send-{number}"), NOON, LEASE)] * 4)
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
