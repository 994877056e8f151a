"""What every store promises about people and what they did, sentence by sentence."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.contracts.samples import AWKWARD_KEYS, NOON, RULE, a_consent, at, together
from tidings.records.store import Activity, Profile, ProfileUpdate, RuleRecord, Store

AWKWARD_JSON: dict[str, Any] = {
    "lists in lists": [[1, [2, [3]]], []],
    "large": 2**64 + 1,
    "": {"": None},
    "__name__": {"a.b": {"`": "\\"}},
    "whole": 1.0,
    "text": "\x00 \N{SNOWMAN} \N{GRINNING FACE}",
    "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": [[[[[[[[[[[[1]]]]]]]]]]]]}}}}}}}}}},
    "no": False,
    "nothing": None,
}


def an_update(seconds: float, person: str = "u:1", **traits: Any) -> ProfileUpdate:
    return ProfileUpdate(person=person, at=at(seconds), traits=traits)


class TestProfiles:
    """What is known of people."""

    def test_a_person_never_heard_of_has_no_profile(self, store: Store) -> None:
        """None, not an empty profile."""
        assert store.profile("u:nobody") is None

    def test_the_first_update_makes_a_profile(self, store: Store) -> None:
        """With the time of each trait, to the microsecond."""
        store.update_profiles([an_update(0, plan="free")])
        assert store.profile("u:1") == Profile(
            person="u:1", traits={"plan": "free"}, trait_times={"plan": NOON}, first_seen=NOON, last_seen=NOON
        )

    def test_a_trait_is_taken_only_when_it_is_not_older_than_what_is_stored(self, store: Store) -> None:
        """And each trait by its own time."""
        store.update_profiles([an_update(10, plan="pro", city="Bonn")])
        store.update_profiles([an_update(5, plan="free", name="Ann")])
        store.update_profiles([an_update(20, city="Rome")])
        profile = store.profile("u:1")
        assert profile is not None
        assert profile.traits == {"plan": "pro", "city": "Rome", "name": "Ann"}
        assert profile.trait_times == {"plan": at(10), "city": at(20), "name": at(5)}
        assert (profile.first_seen, profile.last_seen) == (at(5), at(20))

    def test_the_order_of_updates_does_not_change_the_result(self, open_again: Callable[[], Store]) -> None:
        """Every order of four updates, two of them at the same instant, in one call or in several."""
        store = open_again()
        news: list[dict[str, Any]] = [{"a": 1, "b": 1}, {"a": 2}, {"a": 10, "c": None}, {"b": [2]}]
        orders = list(itertools.permutations(zip((0, 1, 1, 2), news, strict=True)))
        for number, order in enumerate(orders):
            updates = [an_update(seconds, f"u:{number}", **traits) for seconds, traits in order]
            store.update_profiles(updates[: number % 5])
            store.update_profiles(updates[number % 5 :])
        for number in range(len(orders)):
            profile = store.profile(f"u:{number}")
            assert profile is not None
            # "2" is the greater of the encodings "2" and "10"
            assert profile.traits == {"a": 2, "b": [2], "c": None}
            assert profile.trait_times == {"a": at(1), "b": at(2), "c": at(1)}
            assert (profile.first_seen, profile.last_seen) == (at(0), at(2))

    def test_an_update_without_traits_still_says_that_the_person_was_here(self, store: Store) -> None:
        """Only the time of the visit is news."""
        store.update_profiles([an_update(3)])
        assert store.profile("u:1") == Profile(person="u:1", first_seen=at(3), last_seen=at(3))

    def test_traits_may_hold_any_json(self, store: Store) -> None:
        """Also what a database would rather not hold, unchanged down to the type of number."""
        store.update_profiles([an_update(0, **AWKWARD_JSON)])
        profile = store.profile("u:1")
        assert profile is not None
        assert profile.traits == AWKWARD_JSON
        assert isinstance(profile.traits["whole"], float)

    def test_every_person_is_someone_else_however_their_key_looks(self, store: Store) -> None:
        """No key is refused, cut short or mistaken for another."""
        store.update_profiles([an_update(number, key, n=number) for number, key in enumerate(AWKWARD_KEYS)])
        for number, key in enumerate(AWKWARD_KEYS):
            profile = store.profile(key)
            assert profile is not None
            assert (profile.person, profile.traits) == (key, {"n": number})

    def test_one_call_may_bring_news_of_very_many_people(self, store: Store) -> None:
        """More than fit into any one batch."""
        store.update_profiles([])
        store.update_profiles([an_update(0, f"u:{number}", n=number) for number in range(1201)])
        for number in (0, 499, 500, 1000, 1200):
            profile = store.profile(f"u:{number}")
            assert profile is not None
            assert profile.traits == {"n": number}

    def test_writers_at_the_same_instant_lose_nothing(self, open_again: Callable[[], Store]) -> None:
        """Ten workers, each with a trait of its own for the same two people."""
        people = ["u:1", "u:2"]
        stores = [open_again() for _ in range(10)]
        together(
            [
                partial(
                    store.update_profiles, [an_update(number, person, **{f"t{number}": number}) for person in people]
                )
                for number, store in enumerate(stores)
            ]
        )
        for person in people:
            profile = stores[0].profile(person)
            assert profile is not None
            assert profile.traits == {f"t{number}": number for number in range(10)}


def a_line(activity_id: str, seconds: float = 0, person: str = "u:1", **detail: Any) -> Activity:
    return Activity(
        activity_id=activity_id, person=person, at=at(seconds), kind="event", label="Cart Viewed", detail=detail
    )


class TestActivity:
    """What people did, for the support agent."""

    def test_the_latest_lines_come_first(self, store: Store) -> None:
        """At equal times the greater id, and no more than asked for."""
        lines = [a_line("a", 1), a_line("b", 3), a_line("d", 2), a_line("c", 2)]
        store.append_activity(lines)
        assert store.activity("u:1") == [lines[1], lines[2], lines[3], lines[0]]
        assert store.activity("u:1", limit=2) == [lines[1], lines[2]]

    def test_a_long_feed_comes_whole_and_in_order(self, store: Store) -> None:
        """Longer than one answer of a database, with equal times at the seams."""
        store.append_activity([a_line(f"{number:04}", number // 7) for number in range(2300)])
        found = [line.activity_id for line in store.activity("u:1", limit=1_000_000)]
        assert found == [f"{number:04}" for number in reversed(range(2300))]
        assert [line.activity_id for line in store.activity("u:1", limit=1500)] == found[:1500]

    def test_everybody_has_a_feed_of_their_own(self, store: Store) -> None:
        """Also when an id is used twice."""
        store.append_activity([])
        store.append_activity([a_line("a", total=1), a_line("a", person="u:2", total=2)])
        assert store.activity("u:1") == [a_line("a", total=1)]
        assert store.activity("u:2") == [a_line("a", person="u:2", total=2)]
        assert store.activity("u:3") == []

    def test_a_line_is_written_once(self, store: Store) -> None:
        """The first one stays, and new ones in the same call still go in."""
        store.append_activity([a_line("a", total=1)])
        store.append_activity([a_line("a", total=2), a_line("b", 1), a_line("b", 2)])
        assert store.activity("u:1") == [a_line("b", 1), a_line("a", total=1)]

    def test_the_detail_may_hold_any_json(self, store: Store) -> None:
        """As traits may."""
        store.append_activity([a_line("a", **AWKWARD_JSON)])
        assert store.activity("u:1") == [a_line("a", **AWKWARD_JSON)]

    def test_very_many_lines_may_come_at_once(self, store: Store) -> None:
        """A busy bundle of the pipeline."""
        lines = [a_line(f"{number:04}", number) for number in range(1100)]
        store.append_activity(lines)
        assert store.activity("u:1", limit=2000) == lines[::-1]


@pytest.mark.parametrize("close_first", [True, False])
def test_what_was_written_is_there_for_the_next_one_who_opens_the_store(
    open_again: Callable[[], Store], close_first: bool
) -> None:
    """While the writer still has it open, and after it has closed."""
    writer = open_again()
    writer.update_profiles([an_update(0, a=1)])
    writer.record_consent([a_consent("a")])
    writer.put_rule("cart", RULE)
    writer.put_segment("buyers", RULE)
    writer.append_activity([a_line("a")])
    if close_first:
        writer.close()
    reader = open_again()
    assert reader.profile("u:1") == Profile(
        person="u:1", traits={"a": 1}, trait_times={"a": NOON}, first_seen=NOON, last_seen=NOON
    )
    assert reader.consent("u:1") == [a_consent("a")]
    assert reader.rules() == [RuleRecord(rule_id="cart", document=RULE)]
    assert reader.segments() == [RuleRecord(rule_id="buyers", document=RULE)]
    assert reader.activity("u:1") == [a_line("a")]
