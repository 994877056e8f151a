"""What the store is told of events: here of the objection that a browser repeats with every page, `Sec-GPC: 1`."""

from datetime import timedelta

import pytest

from tests.deciding.anonymous import identified
from tests.people import an_event, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import erasure
from tidings.deciding.bookkeeping import News, Told, activity_of_event
from tidings.errors import StoreError
from tidings.permission.consent import SALE_AND_SHARING, permission

GPC = {"globalPrivacyControl": True, "userAgent": "Mozilla/5.0", "ip": "203.0.113.7"}


class Counting(SqliteStore):
    """A real store that counts how often it is asked to write consent."""

    def __init__(self):
        super().__init__(":memory:")
        self.writes = 0
        self.away = False

    def record_consent(self, records):
        """See `Store`."""
        if self.away:
            raise StoreError("away")
        self.writes += 1
        super().record_consent(records)


@pytest.fixture
def store():
    return Counting()


def page(when, context=GPC, **who):
    return an_event("Home", when, type="page", context=context, **who)


def happen(store, *events, told=None):
    """One bundle."""
    news = News(told)
    for event in events:
        news.note(event)
    news.write(store)


def test_it_is_one_record_a_person_with_the_time_of_the_first_event(store):
    happen(store, page("10:00"), page("10:01"), page("10:02", user_id="bob"))
    happen(store, page("10:03"))
    [record] = store.consent("u:ann")
    assert (record.category, record.action, record.source) == (SALE_AND_SHARING, "withdrawn", "gpc")
    assert record.at == at("10:00")
    assert len(store.consent("u:bob")) == 1


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"globalPrivacyControl": False},
        {"globalPrivacyControl": "true"},
        {"globalPrivacyControl": 1},
        {"page": {"globalPrivacyControl": True}},
        {"page": {"title": '"globalPrivacyControl": true'}},
    ],
)
def test_nothing_but_the_front_doors_own_word_counts(store, context):
    happen(store, page("10:00", context))
    assert store.consent("u:ann") == []
    assert store.writes == 0


def test_it_is_no_word_on_mail(store):
    happen(store, an_event("Consent Given", "09:00"), page("10:00"))
    assert permission("marketing", "news", store.consent("u:ann")) is None


def test_whoever_was_told_within_the_hour_is_not_told_again(store):
    told = Told()
    for minute in range(50):
        happen(store, page(f"10:{minute:02}"), told=told)
    assert store.writes == 1
    happen(store, page("11:00"), told=told)
    assert store.writes == 2
    assert len(store.consent("u:ann")) == 1


def test_what_could_not_be_written_was_not_told(store):
    told = Told()
    store.away = True
    with pytest.raises(StoreError):
        happen(store, page("10:00"), told=told)
    store.away = False
    happen(store, page("10:01"), told=told)
    assert len(store.consent("u:ann")) == 1


def test_it_reaches_the_person_whom_the_browser_turns_out_to_be(store):
    """What was said before the join comes with it, and what the browser says later is said as the person."""
    happen(store, page("10:00", anonymous_id="x"), identified("10:05"))
    assert [one.category for one in store.consent("u:ann")] == [SALE_AND_SHARING]
    assert [one.category for one in store.consent("a:x")] == [SALE_AND_SHARING]


def test_who_was_erased_and_comes_back_is_told_of_again(store):
    """An erasure itself is written nowhere."""
    told = Told()
    happen(store, page("10:00"), told=told)
    store.erase_person("u:ann")
    happen(store, erasure.erased("u:ann", at("10:01")), told=told)
    assert store.consent("u:ann") == []
    assert store.profile("u:ann") is None
    happen(store, page("10:02"), told=told)
    assert len(store.consent("u:ann")) == 1


def test_an_erasure_between_two_pages_of_one_bundle_does_not_lose_the_second(store):
    happen(store, page("10:00"), erasure.erased("u:ann", at("10:01")), page("10:02"))
    assert len(store.consent("u:ann")) == 1


def test_so_many_people_are_remembered_and_no_more():
    told = Told(most=100)
    events = [page(at("10:00") + timedelta(seconds=number), user_id=f"p{number}") for number in range(1000)]
    for event in events:
        told.add(event)
    assert sum(told.has(event) for event in events) <= 100
    assert all(told.has(event) for event in events[-50:])


def erased(when, person="u:ann"):
    return erasure.erased(person, at(when))


def introduction(when, **who):
    return an_event("", when, type="identify", traits={"name": "Ann", "email": "ann@example.com"}, **who)


def test_what_was_on_its_way_when_somebody_was_erased_does_not_bring_them_back(store):
    """In one bundle with the erasure, and in one before it: the pipeline may have been down for an hour."""
    happen(store, introduction("10:00"), an_event("Consent Given", "10:01"), introduction("10:00", user_id="bob"))
    happen(store, introduction("10:02"), identified("10:03"), erased("10:05"))
    assert store.profile("u:ann") is None
    assert store.consent("u:ann") == []
    assert store.joined_to("u:ann") == []
    assert store.profile("u:bob")


def test_who_comes_back_is_somebody_new_even_in_the_same_bundle(store):
    happen(store, introduction("10:00"), erased("10:05"), an_event("Consent Given", "10:06"))
    assert store.profile("u:ann") is None
    assert [record.at for record in store.consent("u:ann")] == [at("10:06")]


@pytest.mark.parametrize(
    "back", [introduction("10:06"), an_event("Consent Given", "10:06")], ids=["profile", "consent"]
)
def test_an_erasure_that_is_delivered_again_takes_nothing_from_who_has_come_back(store, back):
    happen(store, erased("10:05"))
    happen(store, back)
    happen(store, erased("10:05"))
    assert store.profile("u:ann") or store.consent("u:ann")


def test_an_erasure_that_is_delivered_again_takes_no_activity_from_who_has_come_back(store):
    store.append_activity([activity_of_event(an_event("Home", "10:06"))])
    happen(store, erased("10:05"))
    assert store.activity("u:ann")
