"""A profile grows by joins: neither the order, nor the grouping, nor the number of arrivals changes the result."""

import logging
from datetime import timedelta
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import NOON, at
from tidings.records import profiles
from tidings.records.profiles import decode, encode, join, merge
from tidings.records.store import Profile, ProfileUpdate

SCALARS = st.none() | st.booleans() | st.integers(0, 12) | st.sampled_from([1.0, 10.0, -0.0, 0.0]) | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
UPDATES = st.builds(
    ProfileUpdate,
    person=st.just("u:1"),
    at=st.integers(0, 3).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    traits=st.dictionaries(st.sampled_from(["plan", "city", "cart"]), VALUES, max_size=3),
    joined=st.none() | st.sampled_from(["u:ann", "u:bob"]),
)


def grown(updates: list[ProfileUpdate]) -> Profile | None:
    profile: Profile | None = None
    for update in updates:
        profile = merge(profile, update)
    return profile


def same(one: Profile | None, other: Profile | None) -> bool:
    """Equal down to the type of every number; the order of names in an object does not count."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


@given(st.lists(UPDATES, max_size=6), st.data())
def test_the_order_of_updates_does_not_matter(updates: list[ProfileUpdate], data: st.DataObject) -> None:
    """Commutative: late events may come last."""
    assert same(grown(updates), grown(data.draw(st.permutations(updates))))


@given(st.lists(UPDATES, min_size=1, max_size=5), st.lists(UPDATES, min_size=1, max_size=5))
def test_the_grouping_of_updates_does_not_matter(first: list[ProfileUpdate], second: list[ProfileUpdate]) -> None:
    """Associative: a batch may be merged by itself and then joined to what is stored, from either side."""
    one, other = grown(first), grown(second)
    assert one is not None
    assert other is not None
    assert same(join(one, other), grown(first + second))
    assert same(join(other, one), grown(first + second))


@given(st.lists(UPDATES, min_size=1, max_size=5), st.data())
def test_an_update_that_comes_twice_counts_once(updates: list[ProfileUpdate], data: st.DataObject) -> None:
    """Idempotent: messages are delivered again."""
    profile = grown(updates)
    assert profile is not None
    assert same(merge(profile, data.draw(st.sampled_from(updates))), profile)
    assert same(join(profile, profile), profile)


@given(st.lists(UPDATES, min_size=1, max_size=6))
def test_of_each_trait_the_newest_value_remains(updates: list[ProfileUpdate]) -> None:
    """Said again, without a lattice: the greatest pair of time and encoding."""
    profile = grown(updates)
    assert profile is not None
    for name in {name for update in updates for name in update.traits}:
        candidates = [
            (update.at, msgspec.json.encode(update.traits[name], order="sorted"))
            for update in updates
            if name in update.traits
        ]
        stored = msgspec.json.encode(profile.traits[name], order="sorted")
        assert (profile.trait_times[name], stored) == max(candidates)
    assert (profile.first_seen, profile.last_seen) == (
        min(update.at for update in updates),
        max(update.at for update in updates),
    )


@given(st.lists(UPDATES, min_size=1, max_size=4))
def test_merging_leaves_its_arguments_alone(updates: list[ProfileUpdate]) -> None:
    """A pure function: what the caller holds does not change under it."""
    states = [grown(updates[:length]) for length in range(1, len(updates) + 1)]
    before = [encode(state) for state in states if state]
    reduce(merge, updates, states[0])
    assert [encode(state) for state in states if state] == before


@pytest.mark.parametrize(
    ("one", "other", "winner"),
    [
        (1, 2, 2),
        (2, 10, 2),
        (None, "a", None),
        (1, 1.0, 1.0),
        (True, 1, True),
        ({"b": 1, "a": 1}, {"a": 1, "b": 0}, None),
    ],
)
def test_at_equal_times_the_greater_encoding_wins(one: Any, other: Any, winner: Any) -> None:
    """It is arbitrary, and the same everywhere; the order of names in an object has no say."""
    winner = {"b": 1, "a": 1} if isinstance(one, dict) else winner
    for first, second in ((one, other), (other, one)):
        profile = grown([ProfileUpdate(person="u:1", at=NOON, traits={"t": value}) for value in (first, second)])
        assert profile is not None
        assert (profile.traits["t"], type(profile.traits["t"])) == (winner, type(winner))


class TestStoredForm:
    """A profile as JSON."""

    @given(st.lists(UPDATES, min_size=1, max_size=4))
    def test_it_comes_back_as_it_was(self, updates: list[ProfileUpdate]) -> None:
        """Through bytes and through text."""
        profile = grown(updates)
        assert profile is not None
        assert decode(encode(profile)) == profile
        assert decode(encode(profile).decode()) == profile

    def test_one_that_outgrows_its_bound_keeps_the_newest_traits(self, caplog: pytest.LogCaptureFixture) -> None:
        """The log counts what was dropped, and names nothing and nobody."""
        updates = [ProfileUpdate(person="u:ann", at=at(n), traits={f"t{n}": "x" * 30_000}) for n in range(20)]
        profile = grown(updates)
        assert profile is not None
        with caplog.at_level(logging.WARNING):
            kept = decode(encode(profile))
        assert list(kept.traits) == [f"t{number}" for number in range(19, 9, -1)]
        assert kept.trait_times == {name: profile.trait_times[name] for name in kept.traits}
        assert (kept.first_seen, kept.last_seen) == (at(0), at(19))
        assert len(profile.traits) == 20
        assert [record.message for record in caplog.records] == [
            f"a profile outgrew {profiles.MAX_BYTES} bytes: 10 of its traits are dropped"
        ]

    def test_one_that_just_fits_is_left_alone(self) -> None:
        """To the byte."""
        update = ProfileUpdate(person="u:1", at=NOON, traits={"t": ""})
        room = profiles.MAX_BYTES - len(encode(merge(None, update)))
        full = merge(None, msgspec.structs.replace(update, traits={"t": "x" * room}))
        assert decode(encode(full)) == full
        over = merge(None, msgspec.structs.replace(update, traits={"t": "x" * (room + 1)}))
        assert decode(encode(over)).traits == {}
