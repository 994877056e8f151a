"""What every store promises about sends: each is worked on by one worker at a time, and ends once."""

from datetime import timedelta
from functools import partial
from typing import get_args

import pytest
from msgspec.structs import replace

from tests.contracts.samples import AWKWARD_KEYS, NOON, a_decision, at, together
from tidings.records.store import Claim, FinalStatus, LedgerEntry, Letter, Store

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
        answer, entry = store.claim(a_decision(), NOON, LEASE)
        assert answer is Claim.GRANTED
        assert entry == the_entry(store)
        assert entry.claim_id
        assert replace(entry, claim_id="") == LedgerEntry(
            send_id="send-1", status="claimed", decision=a_decision(), updated_at=NOON, lease_until=NOON + LEASE
        )

    def test_a_claimed_send_is_held_until_the_lease_ends(self, store: Store) -> None:
        """And asking does not change it."""
        store.claim(a_decision(), NOON, LEASE)
        before = the_entry(store)
        assert store.claim(a_decision(), IN_TIME, LEASE).answer is Claim.HELD
        assert the_entry(store) == before

    def test_a_claim_whose_lease_is_over_is_taken_over(self, store: Store) -> None:
        """Its worker has vanished before anything left; the attempts are counted."""
        store.claim(a_decision(), NOON, LEASE)
        assert store.claim(a_decision(), TOO_LATE, LEASE).answer is Claim.GRANTED
        entry = the_entry(store)
        assert (entry.status, entry.attempts, entry.lease_until) == ("claimed", 2, TOO_LATE + LEASE)
        assert entry.updated_at == TOO_LATE

    def test_a_send_that_is_being_handed_over_is_held_until_the_lease_ends(self, store: Store) -> None:
        """Its worker may still be talking to the mail server."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.hand_over(held, at(1))
        assert store.claim(a_decision(), IN_TIME, LEASE).answer is Claim.HELD

    def test_a_worker_that_vanished_while_handing_over_leaves_the_unknown(self, store: Store) -> None:
        """One caller hears it, and the others wait while that one deals with it."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.hand_over(held, at(1))
        assert store.claim(a_decision(), TOO_LATE, LEASE).answer is Claim.UNKNOWN
        assert store.claim(a_decision(), TOO_LATE, LEASE).answer is Claim.HELD
        entry = the_entry(store)
        assert (entry.status, entry.lease_until) == ("handing_over", TOO_LATE + LEASE)
        assert store.claim(a_decision(), TOO_LATE + LEASE, LEASE).answer is Claim.UNKNOWN

    def test_transactional_mail_in_the_unknown_is_begun_again_once(self, store: Store) -> None:
        """Better twice than not at all; the second unknown is for a person."""
        decision = replace(a_decision(), kind="transactional")
        held = store.claim(decision, NOON, LEASE).entry
        store.hand_over(held, at(1))
        answer, entry = store.claim(decision, TOO_LATE, LEASE)
        assert answer is Claim.GRANTED
        assert (entry.status, entry.attempts, entry.repeats) == ("claimed", 2, 1)
        store.hand_over(entry, at(61))
        assert store.claim(decision, at(61), LEASE).answer is Claim.HELD
        assert store.claim(decision, TOO_LATE + LEASE, LEASE).answer is Claim.UNKNOWN
        assert the_entry(store).repeats == 1

    @pytest.mark.parametrize("status", FINAL)
    def test_a_send_that_has_ended_is_done(self, store: Store, status: FinalStatus) -> None:
        """However it ended, and however long ago."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, status, at(1))
        before = the_entry(store)
        assert store.claim(a_decision(), at(1), LEASE).answer is Claim.DONE
        assert store.claim(a_decision(), at(1e7), LEASE).answer is Claim.DONE
        assert the_entry(store) == before

    def test_send_ids_may_look_like_anything(self, store: Store) -> None:
        """None is mistaken for another."""
        for key in AWKWARD_KEYS:
            assert store.claim(a_decision(key), NOON, LEASE).answer is Claim.GRANTED
        for key in AWKWARD_KEYS:
            entry = store.ledger_entry(key)
            assert entry is not None
            assert entry.send_id == key


class TestWaiting:
    """Put aside until its turn comes."""

    def test_a_send_that_waits_belongs_to_whoever_comes_with_its_message(self, store: Store) -> None:
        """Whether its turn has come or not: it can be put aside again, and remembers since when it has waited."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.wait(held, at(1), at(600))
        assert (the_entry(store).status, the_entry(store).lease_until) == ("waiting", at(600))
        answer, taken = store.claim(a_decision(), at(2), LEASE)
        assert (answer, taken.status, taken.attempts) == (Claim.GRANTED, "claimed", 2)
        assert store.claim(a_decision(), at(3), LEASE).answer is Claim.HELD
        assert store.wait(taken, at(4), at(900)) is True
        assert the_entry(store).waiting_since == at(1)

    def test_what_was_claimed_since_it_was_seen_is_not_put_off(self, store: Store) -> None:
        """Whoever has published it again may be slower than the worker who got it."""
        store.wait(store.claim(a_decision(), NOON, LEASE).entry, at(1), at(10))
        (seen,) = store.waiting(at(10), 10)
        assert store.wait(seen, at(10), at(20)) is True
        taken = store.claim(a_decision(), at(10), LEASE).entry
        assert store.wait(seen, at(11), at(300)) is False
        assert the_entry(store) == taken
        store.wait(taken, at(12), at(20))
        assert store.wait(seen, at(13), at(300)) is False
        assert the_entry(store).lease_until == at(20)

    def test_those_whose_turn_has_come_are_found_the_longest_due_first(self, store: Store) -> None:
        """To the microsecond, so many as are asked for, and nothing that does not wait."""
        for name, until in (("c", 30), ("a", 20), ("b", 10), ("later", 40.000001)):
            store.wait(store.claim(a_decision(name), NOON, LEASE).entry, at(1), at(until))
        store.claim(a_decision("claimed"), at(-900), LEASE)
        store.finish(store.claim(a_decision("sent"), at(-900), LEASE).entry, "sent", at(-800))
        assert [entry.send_id for entry in store.waiting(at(40), 10)] == ["b", "a", "c"]
        assert [entry.send_id for entry in store.waiting(at(40), 2)] == ["b", "a"]
        assert store.waiting(at(9), 10) == []

    def test_it_may_be_put_further_off(self, store: Store) -> None:
        """And is found again then."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.wait(held, at(1), at(10))
        store.wait(held, at(10), at(20))
        assert store.waiting(at(19), 10) == []
        assert [entry.send_id for entry in store.waiting(at(20), 10)] == ["send-1"]

    def test_it_can_end_without_its_turn(self, store: Store) -> None:
        """It has waited for too long, say; then nobody wakes it."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.wait(held, at(1), at(10))
        store.finish(held, "suppressed", at(11), "opted_out")
        assert the_entry(store).status == "suppressed"
        assert store.waiting(at(100), 10) == []

    def test_a_mail_that_the_provider_does_not_want_yet_waits_too(self, store: Store) -> None:
        """It has been handed over, and certainly not taken."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.hand_over(held, at(1), Letter(subject="Still there?"))
        assert store.wait(held, at(2), at(600)) is True
        assert [entry.status for entry in store.waiting(at(600), 10)] == ["waiting"]
        assert store.claim(a_decision(), at(600), LEASE).answer is Claim.GRANTED

    def test_what_has_ended_or_is_not_there_does_not_begin_to_wait(self, store: Store) -> None:
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, "sent", at(3))
        assert store.wait(held, at(4), at(10)) is False
        assert the_entry(store).status == "sent"
        assert store.wait(replace(held, send_id="send-2"), at(4), at(10)) is False
        assert store.ledger_entry("send-2") is None

    def test_the_end_can_take_the_person_out_of_it(self, store: Store) -> None:
        """They were erased: the entry stays, so that nothing is sent, and nobody can tell any more whose it was."""
        decision = a_decision()
        held = store.claim(decision, NOON, LEASE).entry
        store.hand_over(held, at(1), Letter(subject="Still there?"))
        bare = replace(decision, person="a-digest")
        store.finish(held, "suppressed", at(2), "erased", decision=bare)
        entry = the_entry(store)
        assert (entry.status, entry.reason, entry.decision, entry.letter) == ("suppressed", "erased", bare, None)
        assert store.ledger(decision.person) == []
        assert [one.send_id for one in store.ledger("a-digest")] == ["send-1"]


class TestHandOverAndRelease:
    """From here on a crash is ambiguous, and back."""

    def test_handing_over_is_for_the_one_who_holds_the_claim(self, store: Store) -> None:
        """It is marked before the mail leaves, and marked once."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        assert store.hand_over(held, at(1)) is True
        assert (the_entry(store).status, the_entry(store).updated_at) == ("handing_over", at(1))
        assert store.hand_over(held, at(2)) is False
        assert the_entry(store).updated_at == at(1)

    def test_what_leaves_is_written_down_before_it_leaves(self, store: Store) -> None:
        """So that a click can be told from a forgery, and a bounce finds its address."""
        letter = Letter(
            provider="smtp",
            subject="Your cart \N{SNOWMAN}",
            links=("https://a.example/?a=1&b=2#c",),
            address_digest="d",
        )
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.hand_over(held, at(1), letter)
        assert the_entry(store).letter == letter
        store.finish(held, "sent", at(2))
        assert the_entry(store).letter == letter

    def test_nobody_hands_over_what_has_ended(self, store: Store) -> None:
        """A worker that overslept its lease finds the work done."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, "sent", at(1))
        assert store.hand_over(held, at(2)) is False
        assert the_entry(store).status == "sent"

    def test_nobody_hands_over_what_was_never_claimed(self, store: Store) -> None:
        """Nor gives it back, nor ends it: there is no entry afterwards either."""
        held = replace(store.claim(a_decision(), NOON, LEASE).entry, send_id="send-2")
        assert store.hand_over(held, NOON) is False
        assert store.release(held, NOON) is False
        assert store.finish(held, "sent", NOON) is None
        assert store.ledger_entry("send-2") is None

    @pytest.mark.parametrize("handed_over", [True, False])
    def test_a_released_send_is_free_at_once(self, store: Store, handed_over: bool) -> None:
        """After a temporary failure, before the mail left or while the mail server refused it."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        if handed_over:
            store.hand_over(held, at(1))
        assert store.release(held, at(2)) is True
        entry = the_entry(store)
        assert (entry.status, entry.lease_until, entry.updated_at) == ("claimed", at(2), at(2))
        assert store.claim(a_decision(), at(2), LEASE).answer is Claim.GRANTED
        assert the_entry(store).attempts == 2

    def test_what_has_ended_is_not_released(self, store: Store) -> None:
        """It stays ended."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, "sent", at(1))
        assert store.release(held, at(2)) is False
        assert the_entry(store).status == "sent"

    def test_what_waits_is_not_released(self, store: Store) -> None:
        """Nobody would wake it any more."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.wait(held, at(1), at(10))
        assert store.release(held, at(2)) is False
        assert the_entry(store).status == "waiting"


class TestFinish:
    """How it ended."""

    def test_whoever_ends_it_gets_the_entry_as_it_is_then(self, store: Store) -> None:
        """So that it can be told without being read again; and whoever comes second has nothing to tell."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        assert store.finish(held, "sent", at(1)) == the_entry(store)
        assert store.finish(held, "dead_lettered", at(2)) is None
        assert store.finish(held, "sent", at(2)) is None
        assert (the_entry(store).status, the_entry(store).updated_at) == ("sent", at(1))

    def test_the_ending_is_recorded_with_its_reason(self, store: Store) -> None:
        """Without a hand-over too: most endings are suppressions."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.finish(held, "suppressed", at(1), reason="no_consent", detail="marketing")
        entry = the_entry(store)
        assert (entry.status, entry.reason, entry.detail) == ("suppressed", "no_consent", "marketing")
        assert (entry.updated_at, entry.attempts, entry.decision) == (at(1), 1, a_decision())

    def test_finishing_again_leaves_the_first_ending_as_it_is(self, store: Store) -> None:
        """Down to the instant."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.hand_over(held, at(1))
        store.finish(held, "sent", at(2), detail="250 OK")
        before = the_entry(store)
        store.finish(held, "dead_lettered", at(3), reason="render_failed")
        assert the_entry(store) == before


class TestLedger:
    """The list of sends."""

    def test_the_latest_entries_come_first(self, store: Store) -> None:
        """By their last change; at equal times the greater id; no more than asked for."""
        for send_id, seconds in (("a", 1), ("b", 2), ("c", 2), ("d", 0)):
            held = store.claim(a_decision(send_id), at(seconds), LEASE).entry
        store.finish(held, "sent", at(9))
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
        store.finish(store.claim(a_decision(), at(0), LEASE).entry, "shadow", at(5))
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
