"""An address is trusted with a person's data when it has stood for a week, and nobody has named another one."""

from datetime import UTC, date, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import NOON
from tidings.records.address_age import is_trusted, trusted_from
from tidings.records.profiles import join, merge
from tidings.records.store import Profile, ProfileUpdate

OWN, THEIRS = "ada@example.com", "mallory@example.com"


def said(email: object, day: float, claimed: float | None = None) -> ProfileUpdate:
    """An `identify` that was received on a day, and claims to have happened on another one."""
    at = NOON + timedelta(days=day if claimed is None else claimed)
    return ProfileUpdate(
        person="u:ada", at=at, received_at=NOON + timedelta(days=day), traits={} if email == "" else {"email": email}
    )


def profile(*updates: ProfileUpdate) -> Profile:
    return reduce(merge, updates, Profile(person="u:ada"))


def trusted(known: Profile, day: float) -> bool:
    return is_trusted(known, NOON + timedelta(days=day))


def test_a_new_address_is_trusted_after_seven_whole_days() -> None:
    known = profile(said(OWN, 0))
    assert [trusted(known, day) for day in (0, 1, 7, 8, 400)] == [False, False, False, True, True]
    assert trusted_from(known) == datetime(2024, 3, 8, tzinfo=UTC)


def test_who_names_it_again_with_every_visit_does_not_begin_anew() -> None:
    known = profile(*[said(OWN, day) for day in range(100)])
    assert trusted(known, 99)
    assert len(known.address_days) == 9
    assert trusted(profile(said(OWN, 0), said("  Ada@Example.COM ", 20)), 20)


def test_another_address_is_not_trusted_before_its_time_and_the_old_one_is_not_any_more() -> None:
    changed = profile(said(OWN, 0), said(THEIRS, 50))
    assert changed.traits["email"] == THEIRS
    assert [trusted(changed, day) for day in (50, 57, 58)] == [False, False, True]


def test_who_says_their_own_address_again_takes_the_other_ones_days_away() -> None:
    """Named before, and corrected: when it is named once more, its days are counted from then on."""
    planted = profile(said(OWN, 0), said(THEIRS, 50), said(OWN, 51), said(THEIRS, 60))
    assert [trusted(planted, day) for day in (60, 67, 68)] == [False, False, True]


def test_an_address_that_is_named_all_the_time_is_never_trusted_while_another_one_is_heard() -> None:
    """Whatever the order within a day."""
    insisting = [said(THEIRS, 50 + minute / 10) for minute in range(100)]
    known = profile(said(OWN, 0), *insisting, said(OWN, 55.01), said(THEIRS, 59.99))
    assert known.traits["email"] == THEIRS
    assert [trusted(known, day) for day in (60, 62)] == [False, False]


def test_a_time_that_is_claimed_does_not_count() -> None:
    """Not of a person without an address, nor of one whose address is older still."""
    assert not trusted(profile(said("", 0), said(THEIRS, 50, claimed=-700)), 50)
    older = profile(said(OWN, 0, claimed=-800), said(THEIRS, 50, claimed=-700))
    assert older.traits["email"] == THEIRS
    assert not trusted(older, 50)
    loser = profile(said(OWN, 0), said(THEIRS, 50, claimed=-700))
    assert loser.traits["email"] == OWN
    assert not trusted(loser, 50), "somebody disputes it"


def test_without_an_address_there_is_nothing_to_trust() -> None:
    assert trusted_from(None) is None
    assert trusted_from(profile(said("", 0))) is None
    assert trusted_from(profile(said(OWN, 0), said(None, 1))) is None
    assert not trusted(Profile(person="u:ada", traits={"email": OWN}), 400), "nobody knows since when"


def test_no_earlier_address_can_be_read_from_what_is_kept() -> None:
    known = profile(said(OWN, 0), said(THEIRS, 1))
    assert all(isinstance(day, date) and len(mark) == 16 for day, mark in known.address_days)
    assert [day for day, _ in profile(said(OWN, 0), said(THEIRS, 1), said(THEIRS, 30)).address_days] == [
        (NOON + timedelta(days=day)).date() for day in (1, 30)
    ]


UPDATES = st.lists(
    st.builds(said, st.sampled_from([OWN, THEIRS, "third@example.com", None]), st.integers(0, 30)), min_size=1
)


def history(updates: list[ProfileUpdate], today: int) -> bool:
    """Said again, with everything at hand: of all that was received, when was another address heard of last?"""
    days = {(one.received_at or one.at, str(one.traits["email"])) for one in updates}
    current = str(profile(*updates).traits["email"])
    last_other = max((at for at, email in days if email != current), default=NOON - timedelta(days=1))
    first_own = min((at for at, email in days if email == current and at > last_other), default=last_other)
    return current != "None" and (NOON + timedelta(days=today) - first_own).days >= 8


@given(UPDATES, st.integers(30, 60))
def test_what_is_left_out_is_missed_by_nobody(updates: list[ProfileUpdate], today: int) -> None:
    assert trusted(profile(*updates), today) is history(updates, today)


@given(UPDATES, UPDATES, st.randoms())
def test_neither_order_nor_grouping_matters(
    first: list[ProfileUpdate], second: list[ProfileUpdate], dice: st.DataObject
) -> None:
    shuffled = [*first, *second]
    dice.shuffle(shuffled)
    whole = profile(*shuffled).address_days
    assert profile(*first, *second).address_days == whole
    assert join(profile(*first), profile(*second)).address_days == whole
    assert len(whole) <= 18
