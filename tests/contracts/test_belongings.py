"""What a store keeps of an anonymous id goes over to the person that it joins, whichever store it is."""

from tests.contracts.samples import at
from tidings.permission.consent import permission
from tidings.records.belongings import hand_over
from tidings.records.store import ConsentRecord, ProfileUpdate, Store


def newsletter_form(store: Store, seconds: float = 0) -> None:
    """Somebody unknown leaves an address and agrees."""
    store.update_profiles([ProfileUpdate(person="a:x", at=at(seconds), traits={"email": "ann@shop.example"})])
    store.record_consent([agreed("a:x", seconds)])


def agreed(person: str, seconds: float, *, given: bool = True) -> ConsentRecord:
    words = "Write to me"
    record_id = f"form-{seconds}:marketing:{given}"
    return ConsentRecord(
        record_id=record_id,
        person=person,
        category="marketing",
        action="given" if given else "withdrawn",
        at=at(seconds),
        source="event",
        words=words,
    )


def may_be_mailed(store: Store, person: str) -> bool:
    return permission("marketing", "marketing", store.consent(person)) is None


def test_traits_and_consent_of_an_anonymous_visitor_are_the_persons_with_their_own_times(store: Store) -> None:
    newsletter_form(store)
    store.update_profiles([ProfileUpdate(person="a:x", at=at(5), traits={"city": "Rome"})])
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=False)
    profile = store.profile("u:ann")
    assert profile is not None
    assert profile.traits == {"email": "ann@shop.example", "city": "Rome"}
    assert profile.trait_times == {"email": at(0), "city": at(5)}
    assert store.consent("u:ann") == [agreed("u:ann", 0)]
    assert may_be_mailed(store, "u:ann")


def test_what_the_person_said_later_themselves_stays(store: Store) -> None:
    newsletter_form(store)
    store.update_profiles([ProfileUpdate(person="u:ann", at=at(5), traits={"email": "ann@work.example"})])
    store.record_consent([agreed("u:ann", 6, given=False)])
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=False)
    profile = store.profile("u:ann")
    assert profile is not None
    assert profile.traits == {"email": "ann@work.example"}
    assert not may_be_mailed(store, "u:ann")


def test_what_reached_the_store_after_the_early_time_goes_over_for_good(store: Store) -> None:
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=False)
    newsletter_form(store, seconds=9)
    hand_over(store, "a:x", "u:ann", at(20), at(20), is_last=False)
    assert not may_be_mailed(store, "u:ann")
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=True)
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=True)
    assert store.consent("u:ann") == [agreed("u:ann", 9)]


def test_on_a_shared_computer_nothing_of_the_first_person_becomes_the_seconds(store: Store) -> None:
    newsletter_form(store)
    hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=False)
    for is_last in (False, True):
        hand_over(store, "a:x", "u:bob", at(20), at(20), is_last=is_last)
    assert store.profile("u:bob") is None
    assert store.consent("u:bob") == []


def test_somebody_who_had_said_nothing_brings_nothing(store: Store) -> None:
    for is_last in (False, True):
        hand_over(store, "a:x", "u:ann", at(10), at(10), is_last=is_last)
    assert store.profile("u:ann") is None
    assert store.consent("u:ann") == []
    profile = store.profile("a:x")
    assert profile is not None
    assert profile.joined == (at(10), "u:ann")
