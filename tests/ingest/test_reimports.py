"""An address that was erased does not come back in plain text, whatever brings it."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.people import an_event, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.ingest.reimports import Reimports
from tidings.permission.consent import address_digest, erased_marker, is_erased
from tidings.records.store import ERASED, ProfileUpdate
from tidings.wire import events

SECRET = "a secret of the tests"
ADDRESS = "grace@example.com"
MARKER = erased_marker(address_digest(ADDRESS, SECRET))


@pytest.fixture
def store():
    store = SqliteStore(":memory:")
    store.suppress(address_digest(ADDRESS, SECRET), ERASED, at("09:00"))
    store.suppress(address_digest("bounced@example.com", SECRET), "bounced", at("09:00"))
    return store


def identify(traits=None, **fields):
    return an_event("", "10:00", type="identify", traits=traits or {}, **fields)


@pytest.mark.parametrize("written", ["grace@example.com", "Grace@Example.COM", "  grace@example.com\n"])
def test_however_it_is_written_a_marker_stands_in_its_place(store, written):
    event = Reimports(store, SECRET).cleaned(identify({"email": written, "first_name": "Grace", "age": 36}))
    assert event.read("traits") == {"email": MARKER, "first_name": "Grace", "age": 36}
    assert is_erased(event.read("traits")["email"])
    assert b"grace@" not in events.encode(event).lower()


def test_the_domain_may_be_written_in_ascii_or_not(store):
    store.suppress(address_digest("zoe@bücher.example", SECRET), ERASED, at("09:00"))
    traits = {"email": "zoe@xn--bcher-kva.example", "login": "zoe@BÜCHER.example"}
    event = Reimports(store, SECRET).cleaned(identify(traits))
    assert event.read("traits")["email"] == event.read("traits")["login"]
    assert is_erased(event.read("traits")["login"])


def test_it_is_replaced_wherever_else_the_event_says_it(store):
    traits = {
        "email": ADDRESS,
        "username": "GRACE@example.com",
        "said": f"Write to me at <{ADDRESS}>, please",
        "contacts": [{"address": ADDRESS}, "bob@example.com"],
        ADDRESS: "a name of a field",
    }
    event = Reimports(store, SECRET).cleaned(
        identify(
            traits,
            context={"traits": {"email": ADDRESS}, "page": {"search": "?mail=grace%40example.com"}},
            properties={"form": {"email": ADDRESS}},
            integrations=msgspec.Raw(msgspec.json.encode({"Mailer": {"to": ADDRESS}})),
        )
    )
    assert ADDRESS.encode() not in events.encode(event).lower()
    assert event.read("traits")["contacts"] == [{"address": MARKER}, "bob@example.com"]


def test_the_traits_that_rudderstack_puts_into_the_context_count_as_well(store):
    event = Reimports(store, SECRET).cleaned(identify(context={"traits": {"email": ADDRESS}}))
    assert event.read("traits")["email"] == MARKER
    assert ADDRESS.encode() not in events.encode(event)


@pytest.mark.parametrize(
    "traits", [{"email": "bob@example.com"}, {"email": "bounced@example.com"}, {"email": None}, {"email": 5}, {}]
)
def test_everybody_elses_event_passes_as_it_is(store, traits):
    """An address that merely bounced is still that of its person."""
    event = identify(traits)
    assert Reimports(store, SECRET).cleaned(event) is event


def test_other_events_and_the_marker_itself_are_not_asked_about(store):
    store.close()  # a closed store answers nothing
    for event in (an_event("Hello", "10:00", properties={"email": ADDRESS}), identify({"email": MARKER})):
        assert Reimports(store, SECRET).cleaned(event) is event


def test_the_rest_stays_as_it_was_written_to_the_byte(store):
    """Numbers that Python would round, escapes, order, spaces."""
    raw = b'{"b": 1.10, "a": 123456789012345678901234567890, "email":"grace\\u0040example.com", "t": "\\u00e9\\"\\\\" }'
    event = msgspec.structs.replace(identify(), traits=msgspec.Raw(raw))
    cleaned = Reimports(store, SECRET).cleaned(event)
    assert bytes(cleaned.traits) == raw.replace(b'"grace\\u0040example.com"', f'"{MARKER}"'.encode())


def test_the_store_is_asked_once_for_one_address(store):
    """By one `Reimports`, which lives as long as a bundle: from then on somebody may have been erased."""
    reimports = Reimports(store, SECRET)
    bob = identify({"email": "bob@example.com"})
    reimports.cleaned(bob)
    store.suppress(address_digest("bob@example.com", SECRET), ERASED, at("10:00"))
    assert reimports.cleaned(bob) is bob
    assert Reimports(store, SECRET).cleaned(bob) is not bob


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([ADDRESS, f"x{ADDRESS.upper()}y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), _json, max_size=5))
def test_whatever_else_is_in_the_traits_the_address_is_in_none_of_it_and_it_stays_json(traits):
    store = SqliteStore(":memory:")
    store.suppress(address_digest(ADDRESS, SECRET), ERASED, at("09:00"))
    raw = msgspec.Raw(json.dumps({**traits, "email": ADDRESS}).encode())
    cleaned = Reimports(store, SECRET).cleaned(msgspec.structs.replace(identify(), traits=raw))
    found = json.loads(bytes(cleaned.traits))
    assert found["email"] == MARKER
    assert ADDRESS not in json.dumps(found, ensure_ascii=False).casefold()
    store.close()


def test_who_was_known_by_the_address_before_and_was_not_erased_keeps_it(store):
    """Two people share a mailbox, and one of them was erased: the other one's data is their own."""
    store.update_profiles([ProfileUpdate(person="u:max", at=at("08:00"), traits={"email": ADDRESS.title()})])
    store.update_profiles([ProfileUpdate(person="u:eve", at=at("08:00"), traits={"email": "eve@example.com"})])
    event = identify({"email": ADDRESS}, user_id="max")
    assert Reimports(store, SECRET).cleaned(event) is event
    for person in ("eve", "ida"):
        assert Reimports(store, SECRET).cleaned(identify({"email": ADDRESS}, user_id=person)).read("traits") == {
            "email": MARKER
        }


def test_who_has_the_marker_does_not_get_the_address_back(store):
    store.update_profiles([ProfileUpdate(person="u:max", at=at("08:00"), traits={"email": MARKER})])
    assert is_erased(
        Reimports(store, SECRET).cleaned(identify({"email": ADDRESS}, user_id="max")).read("traits")["email"]
    )
