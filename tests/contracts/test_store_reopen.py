"""What every store promises about a dead letter that a person wants to be tried again."""

from datetime import timedelta

from tests.contracts.samples import NOON, a_decision, at
from tidings.mailing.ledger import OUTCOME_UNKNOWN
from tidings.records.store import Claim, LedgerEntry, Store

LEASE = timedelta(seconds=60)


def the_entry(store: Store) -> LedgerEntry:
    entry = store.ledger_entry("send-1")
    assert entry is not None
    return entry


def test_it_waits_for_its_turn_which_has_come_and_remembers_how_it_had_ended(store: Store) -> None:
    """So that the sweep finds it although nobody may publish it."""
    store.claim(a_decision(), NOON, LEASE)
    store.finish(the_entry(store), "dead_lettered", at(1), "render_failed", "no variable x")
    entry = store.reopen("send-1", at(60))
    assert entry == the_entry(store)
    assert (entry.status, entry.reopened_at, entry.reopened_from) == (
        "waiting",
        at(60),
        "render_failed: no variable x",
    )
    assert store.waiting(at(60), 10) == [entry]
    assert store.claim(a_decision(), at(61), LEASE).answer is Claim.GRANTED
    store.finish(the_entry(store), "sent", at(62))
    assert (the_entry(store).status, the_entry(store).reopened_at) == ("sent", at(60))


def test_what_may_have_gone_out_stays_ended_unless_a_second_copy_is_accepted(store: Store) -> None:
    """The answer shows which."""
    store.claim(a_decision(), NOON, LEASE)
    store.finish(the_entry(store), "dead_lettered", at(1), None, OUTCOME_UNKNOWN)
    before = the_entry(store)
    assert store.reopen("send-1", at(2)) == before == the_entry(store)
    entry = store.reopen("send-1", at(3), may_repeat=True)
    assert entry
    assert (entry.status, entry.repeats) == ("waiting", 1)


def test_what_was_sent_or_never_heard_of_stays_as_it_is(store: Store) -> None:
    """Nobody is mailed twice by mistake, and nothing is made up."""
    assert store.reopen("send-1", NOON, may_repeat=True) is None
    store.claim(a_decision(), NOON, LEASE)
    store.finish(the_entry(store), "sent", at(1))
    assert store.reopen("send-1", at(2), may_repeat=True) == the_entry(store)
    assert the_entry(store).status == "sent"
