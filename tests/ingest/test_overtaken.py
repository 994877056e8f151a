"""What was received before an erasure and comes after it is forgotten, whoever hears of it and however late it is."""

from datetime import timedelta

import pytest

from tests.people import an_event, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import erasure, identity
from tidings.deciding.identity import Handover
from tidings.deciding.state import PersonState, encode
from tidings.ingest.overtaken import AT_ONCE, Overtaken
from tidings.permission.consent import person_digest
from tidings.records.store import Receipt

SECRET = "a secret of sixteen characters"


@pytest.fixture
def store():
    """Ann and the anonymous id x, which had joined her, were erased at 10:00."""
    store = SqliteStore(":memory:")
    for person in ("u:ann", "a:x"):
        receipt = Receipt(
            receipt_id=person, kind="erasure", person_digest=person_digest(person, SECRET), at=at("10:00"), counts={},
            requested_by="operator",
        )  # fmt: skip
        store.put_receipt(receipt)
    yield store
    store.close()


def passing(store, *events, now="11:00"):
    """(id, messageId) of what is let through."""
    overtaken = Overtaken(store, SECRET)
    heard = [(key, event) for event in events for key in identity.addressees(event)]
    return [(key, event.message_id) for key, event in heard if not overtaken.has(key, event, at(now))]


@pytest.mark.parametrize("received", ["09:00", "10:00"])
@pytest.mark.parametrize("who", [{"user_id": "ann"}, {"user_id": None, "anonymous_id": "x"}])
def test_what_was_received_until_then_is_forgotten_an_hour_or_a_week_later(store, who, received):
    event = an_event("Viewed", received, message_id="m", **who)
    assert passing(store, event) == []
    assert not_later(store, event, timedelta(days=7))


def not_later(store, event, late):
    return Overtaken(store, SECRET).has(event.person, event, event.received_at + late)


def test_what_was_received_after_it_is_of_somebody_new(store):
    assert passing(store, an_event("Viewed", "10:00:00.001", message_id="m", user_id="ann")) == [("u:ann", "m")]


def test_other_people_are_left_alone(store):
    bobs = an_event("Viewed", "09:00", message_id="m", user_id="bob")
    nobodys = an_event("Viewed", "09:00", message_id="n", user_id=None, anonymous_id="y")
    assert passing(store, bobs, nobodys) == [("u:bob", "m"), ("a:y", "n")]


def test_an_id_that_was_to_join_somebody_who_is_erased_hears_nothing_of_it(store):
    """Or it would hand over, later, what it remembers."""
    joining = an_event("", "09:00", type="identify", user_id="ann", anonymous_id="y", message_id="m")
    assert passing(store, joining) == []


def test_who_was_to_be_joined_by_an_erased_id_is_not_forgotten_with_it(store):
    joining = an_event("", "09:00", type="identify", user_id="bob", anonymous_id="x", message_id="m")
    assert passing(store, joining) == [("u:bob", "m")]


@pytest.mark.parametrize(("person", "anonymous"), [("ann", "y"), ("bob", "x")])
def test_what_an_erased_id_has_handed_over_or_would_be_handed_is_forgotten_even_at_once(store, person, anonymous):
    handover = Handover(
        message_id="m", type="alias", user_id=person, previous_id=anonymous, timestamp=at("10:00"),
        received_at=at("10:00"), state=encode(PersonState(f"a:{anonymous}")),
    )  # fmt: skip
    assert passing(store, handover, now="10:00:01") == []


def test_the_erasure_itself_passes_whenever_it_comes(store):
    again = erasure.erased("u:ann", at("10:00"))
    assert passing(store, again) == [("u:ann", again.message_id)]


def test_nobody_is_asked_about_what_comes_at_once_and_once_about_what_does_not(store):
    asked = []

    def noted(call):
        return lambda digest: asked.append(digest) or call(digest)

    overtaken = Overtaken(store, SECRET, noted)
    event = an_event("Viewed", "09:00", user_id="ann")
    assert not overtaken.has("u:ann", event, event.received_at + AT_ONCE - timedelta(milliseconds=1))
    assert asked == []
    for _ in range(3):
        assert overtaken.has("u:ann", event, event.received_at + AT_ONCE)
    assert len(asked) == 1
