"""What every store promises about what comes back, about what all workers share, and about the rights of people."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from tests.contracts.samples import AWKWARD_KEYS, NOON, a_decision, a_feedback, a_receipt, at, together
from tidings.records.feedback import Origin
from tidings.records.store import Activity, ConsentRecord, ProfileUpdate, Store

LATER = at(3600)
LEASE = timedelta(minutes=1)


class TestFeedback:
    """What came back about mails."""

    def test_it_comes_back_newest_first(self, store: Store) -> None:
        """By time, and then by id; so much as is asked for."""
        items = [a_feedback("a", 1), a_feedback("c", 2), a_feedback("b", 2), a_feedback("d", 0)]
        store.append_feedback(items)
        assert store.feedback("u:1") == [items[1], items[2], items[0], items[3]]
        assert store.feedback("u:1", limit=2) == [items[1], items[2]]

    def test_that_of_one_mail_can_be_asked_for(self, store: Store) -> None:
        """To judge a click by the clicks before it."""
        store.append_feedback([a_feedback("a", 1), a_feedback("b", 2, send_id="send-2"), a_feedback("c", 3)])
        assert [one.feedback_id for one in store.feedback("u:1", "send-1")] == ["c", "a"]
        assert [one.feedback_id for one in store.feedback("u:1", "send-1", 1)] == ["c"]
        assert store.feedback("u:1", "send-3") == []

    def test_a_report_that_comes_twice_is_kept_once(self, store: Store) -> None:
        """Providers repeat what was not answered; the first one stands, and its neighbours go in."""
        store.append_feedback([a_feedback("a")])
        store.append_feedback([a_feedback("a", 9, kind="opened"), a_feedback("b", 1)])
        assert store.feedback("u:1") == [a_feedback("b", 1), a_feedback("a")]

    def test_whether_one_is_kept_is_known_however_many_came_since(self, store: Store) -> None:
        store.append_feedback([a_feedback(key) for key in ("a", "b/c")])
        assert [store.has_feedback("u:1", key) for key in ("a", "b/c", "b", "c")] == [True, True, False, False]
        assert not store.has_feedback("u:2", "a")

    def test_where_it_came_from_is_told_to_whoever_asks(self, store: Store) -> None:
        """It is kept apart, and not as long."""
        item = a_feedback("a", origin=Origin(ip="192.0.2.7", user_agent="Mozilla/5.0"))
        store.append_feedback([item, a_feedback("b", 1)])
        assert store.feedback("u:1", origins=True) == [a_feedback("b", 1), item]
        assert store.feedback("u:1", limit=1, origins=True) == [a_feedback("b", 1)]
        assert store.feedback("u:1") == [a_feedback("b", 1), replace(item, origin=None)]

    def test_ids_may_look_like_anything_and_belong_to_one_person(self, store: Store) -> None:
        """Providers choose them."""
        items = [a_feedback(key, -number) for number, key in enumerate(AWKWARD_KEYS)]
        store.append_feedback([*items, a_feedback("a", person="u:2")])
        assert store.feedback("u:1") == items


class TestWhatAllWorkersShare:
    """Small things that are counted or used once."""

    def test_a_name_is_used_once(self, store: Store) -> None:
        """Whoever comes second hears so."""
        assert store.use_once("token/1", LATER) is True
        assert store.use_once("token/1", LATER) is False
        assert store.use_once("token/2", LATER) is True

    def test_of_many_at_the_same_instant_one_is_first(self, open_again: Callable[[], Store]) -> None:
        """A link that is clicked twice, on two workers."""
        stores = [open_again() for _ in range(6)]
        answers = together([partial(store.use_once, "token", LATER) for store in stores])
        assert sorted(answers) == [False] * 5 + [True]

    def test_an_allowance_is_granted_until_it_is_used_up(self, store: Store) -> None:
        """The last one gets what is left."""
        assert [store.take("minute 1", 4, 10, LATER) for _ in range(4)] == [4, 4, 2, 0]
        assert store.take("minute 2", 4, 10, LATER) == 4
        assert store.tallies(["minute 1", "minute 2", "minute 3"]) == [{"taken": 10}, {"taken": 4}, {}]

    def test_an_allowance_can_be_raised_and_cut(self, store: Store) -> None:
        """The operator edits it while mail goes out."""
        assert store.take("day", 10, 10, LATER) == 10
        assert store.take("day", 10, 15, LATER) == 5
        assert store.take("day", 10, 5, LATER) == 0

    def test_many_together_never_take_more_than_there_is(self, open_again: Callable[[], Store]) -> None:
        """Each worker asks for itself."""
        stores = [open_again() for _ in range(6)]
        assert sum(together([partial(store.take, "minute", 3, 10, LATER) for store in stores])) == 10

    def test_counts_add_up(self, open_again: Callable[[], Store]) -> None:
        """Each by its name, from many workers."""
        stores = [open_again() for _ in range(4)]
        together([partial(store.tally, "hour 1", {"sent": 2, "bounced": 1}, LATER) for store in stores])
        stores[0].tally("hour 2", {"sent": 5}, LATER)
        expected = [{"sent": 5}, {}, {"sent": 8, "bounced": 4}]
        assert stores[1].tallies(["hour 2", "hour/3", "hour 1"]) == expected
        assert stores[1].tallies([]) == []

    def test_a_note_can_be_read_replaced_and_taken_away(self, store: Store) -> None:
        """Plain data, however it is nested."""
        assert store.note("sending") is None
        store.put_note("sending", {"open": True, "rows": [[1, [2]], {"": None}]})
        assert store.note("sending") == {"open": True, "rows": [[1, [2]], {"": None}]}
        store.put_note("sending", {"open": False})
        assert store.note("sending") == {"open": False}
        store.put_note("sending", None)
        store.put_note("sending", None)
        assert store.note("sending") is None


def _fill(store: Store, person: str) -> None:
    store.update_profiles([ProfileUpdate(person=person, at=NOON, traits={"email": f"{person[2:]}@example.com"})])
    origin = Origin(ip="192.0.2.7", user_agent="x")
    store.record_consent(
        [
            ConsentRecord(
                record_id=name, person=person, category="news", action="given", at=NOON, source="event", origin=origin
            )
            for name in ("m-1", "m-2")
        ]
    )
    store.append_activity([Activity(activity_id="a", person=person, at=NOON, kind="event", label="Signed Up")])
    store.append_feedback([a_feedback("f", person=person, origin=origin)])
    store.claim(a_decision(f"send-of-{person}", person), NOON, LEASE)


def _all_of(store: Store, person: str) -> list[Any]:
    return [
        store.profile(person),
        store.consent(person, origins=True),
        store.activity(person),
        store.feedback(person, origins=True),
        store.ledger(person),
    ]


class TestRights:
    """To be found, and to be forgotten."""

    @pytest.mark.parametrize("person", ["u:ann", "u:1/2", "u:x@example.com", "a:\N{SNOWMAN}"])
    def test_a_person_can_be_erased(self, store: Store, person: str) -> None:
        """Everything of theirs, nothing of anybody else's, and it is told how much that was."""
        _fill(store, person)
        _fill(store, "u:bob")
        of_bob = _all_of(store, "u:bob")
        assert store.erase_person(person) == {"profiles": 1, "consent": 2, "activity": 1, "feedback": 1, "ledger": 1}
        assert _all_of(store, person) == [None, [], [], [], []]
        assert store.ledger_entry(f"send-of-{person}") is None
        assert _all_of(store, "u:bob") == of_bob

    def test_erasing_again_finds_nothing_and_what_comes_later_is_new(self, store: Store) -> None:
        """Somebody may come back."""
        _fill(store, "u:ann")
        store.erase_person("u:ann")
        nothing = {"profiles": 0, "consent": 0, "activity": 0, "feedback": 0, "ledger": 0}
        assert store.erase_person("u:ann") == nothing
        _fill(store, "u:ann")
        assert _all_of(store, "u:ann")[0] is not None

    def test_very_much_can_be_erased(self, store: Store) -> None:
        """More than goes into one commit."""
        lines = [Activity(activity_id=f"{n}", person="u:1", at=at(n), kind="event", label="Seen") for n in range(1100)]
        store.append_activity(lines)
        assert store.erase_person("u:1")["activity"] == 1100
        assert store.activity("u:1") == []

    def test_people_are_found_by_their_address(self, store: Store) -> None:
        """Case aside; several people may have the same, and one that changed is no longer theirs."""
        for person, email in (("u:2", "Ann@Example.com"), ("u:1", "ann@example.com"), ("u:3", "bob@example.com")):
            store.update_profiles([ProfileUpdate(person=person, at=NOON, traits={"email": email})])
        store.update_profiles([ProfileUpdate(person="u:4", at=NOON, traits={"email": 7})])
        assert store.people_at("ANN@example.com") == ["u:1", "u:2"]
        store.update_profiles([ProfileUpdate(person="u:2", at=at(1), traits={"email": "new@example.com"})])
        assert store.people_at("ann@example.com") == ["u:1"]
        assert store.people_at("nobody@example.com") == []

    @pytest.mark.parametrize("typed", ["ÄNN@example.com", "ann@MÜNCHEN.example"])
    def test_case_is_left_aside_in_every_script(self, store: Store, typed: str) -> None:
        store.update_profiles([ProfileUpdate(person="u:1", at=NOON, traits={"email": typed})])
        assert store.people_at(typed.lower()) == store.people_at(typed) == ["u:1"]

    def test_anonymous_ids_are_found_by_the_person_they_joined(self, store: Store) -> None:
        """Their first one."""
        for anonymous, person in (("a:2", "u:1"), ("a:1", "u:1"), ("a:3", "u:2")):
            store.update_profiles([ProfileUpdate(person=anonymous, at=NOON, joined=person)])
        store.update_profiles([ProfileUpdate(person="a:3", at=at(1), joined="u:1")])
        assert store.joined_to("u:1") == ["a:1", "a:2"]
        assert store.joined_to("u:9") == []

    def test_a_receipt_stays_when_the_person_is_gone(self, store: Store) -> None:
        """Newest first, of one person or of all."""
        receipts = [a_receipt("r-1"), a_receipt("r-2", 1, kind="export"), a_receipt("r-3", 2, person_digest="other")]
        for receipt in receipts:
            store.put_receipt(receipt)
            store.put_receipt(receipt)
        assert store.receipts() == [receipts[2], receipts[1], receipts[0]]
        assert store.receipts(limit=1) == [receipts[2]]
        assert store.receipts("digest-1") == [receipts[1], receipts[0]]

    def test_the_last_erasure_is_remembered(self, store: Store) -> None:
        """An export is none, and an older receipt does not turn it back."""
        assert store.erased_at("digest-1") is None
        store.put_receipt(a_receipt("r-1", 5, kind="export"))
        assert store.erased_at("digest-1") is None
        store.put_receipt(a_receipt("r-2", 3))
        store.put_receipt(a_receipt("r-3", 2))
        assert store.erased_at("digest-1") == at(3)
        assert store.erased_at("digest-2") is None
