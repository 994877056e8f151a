"""From what SDKs post to events."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidEventError
from tidings.ingest.tracking import Arrival, message_id, track
from tidings.ingest.tracking_body import Body, open_body
from tidings.wire import attributes, events
from tidings.wire.events import Event

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HERE = Arrival(received_at=NOW)
VIEW: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Product Viewed", "messageId": "m1"}


def taken(item: object, arrival: Arrival = HERE, **said: Any) -> Event:
    """The event that comes of one item, by way of the wire."""
    event = track(json.dumps(item).encode(), Body(items=[], **said), arrival, Counter())
    assert events.decode(events.encode(event)) == event
    return event


def refused(item: object, **said: Any) -> str:
    """Why nothing comes of one item."""
    with pytest.raises(InvalidEventError) as caught:
        taken(item, **said)
    return caught.value.reason


def test_a_track_call_becomes_an_event() -> None:
    event = taken({**VIEW, "anonymousId": "a1", "properties": {"sku": "1"}, "timestamp": "2026-03-01T11:00:00Z"})
    assert (event.type, event.event, event.user_id, event.anonymous_id) == ("track", "Product Viewed", "u1", "a1")
    assert event.objects["properties"] == {"sku": "1"}
    assert event.timestamp == event.original_timestamp == NOW - timedelta(hours=1)
    assert event.received_at == NOW


@pytest.mark.parametrize("kind", ["identify", "page", "screen", "group", "alias"])
def test_every_other_call_needs_only_a_person(kind: str) -> None:
    event = taken({"type": kind, "anonymousId": "a1"})
    assert (event.type, event.person, event.label) == (kind, "a:a1", kind)


def test_the_fields_of_each_call_are_kept() -> None:
    assert taken({"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}).objects["traits"] == {"plan": "pro"}
    page = taken({"type": "page", "userId": "u1", "name": "Pricing", "category": "Docs"})
    assert (page.label, page.category) == ("Pricing", "Docs")
    assert taken({"type": "group", "userId": "u1", "groupId": 7}).group_id == "7"
    assert taken({"type": "alias", "userId": "u1", "previousId": "a1"}).previous_id == "a1"


def test_the_path_says_the_type_of_a_single_event_whatever_the_body_says() -> None:
    assert taken({"userId": "u1", "type": "identify"}, call="page").type == "page"


def test_traits_stay_where_the_sender_put_them() -> None:
    event = taken({"type": "identify", "userId": "u1", "context": {"traits": {"email": "a@example.com"}}})
    assert event.objects["context"]["traits"] == {"email": "a@example.com"}
    assert bytes(event.traits) == b"{}"


def test_an_integer_id_becomes_text() -> None:
    assert taken({**VIEW, "userId": 42}).user_id == "42"


@pytest.mark.parametrize("nobody", [None, "", "  ", "null", "undefined", "None", "NaN", "[object Object]"])
def test_an_id_that_names_nobody_is_absent_and_joins_no_strangers(nobody: object) -> None:
    assert taken({**VIEW, "userId": nobody, "anonymousId": "a1"}).person == "a:a1"
    assert refused({**VIEW, "userId": nobody}) == "no_person"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "purchase"}, "unknown_type"),
        ({"type": None}, "unknown_type"),
        ({"type": ["track"]}, "unknown_type"),
        ({"userId": None}, "no_person"),
        ({"userId": {"id": 1}}, "not_text"),
        ({"userId": True}, "not_text"),
        ({"userId": 1.5}, "not_text"),
        ({"userId": "ü" * 201}, "id_too_long"),
        ({"anonymousId": "a" * 401}, "id_too_long"),
        ({"event": None}, "no_event_name"),
        ({"event": " "}, "no_event_name"),
        ({"event": 5}, "no_event_name"),
        ({"event": "Consent Confirmed"}, "reserved_event"),
        ({"messageId": ["m"]}, "not_text"),
        ({"properties": "sku=1"}, "not_an_object"),
        ({"properties": [1]}, "not_an_object"),
        ({"traits": 5}, "not_an_object"),
        ({"context": False}, "not_an_object"),
        ({"integrations": "All"}, "not_an_object"),
        ({"properties": {"text": "x" * 33_000}}, "too_large"),
    ],
)
def test_a_refused_item_says_why(change: dict[str, Any], reason: str) -> None:
    assert refused(VIEW | change) == reason


@pytest.mark.parametrize("item", [None, [], "track", 1, [VIEW]])
def test_an_item_that_is_no_object_is_refused(item: object) -> None:
    assert refused(item) == "not_an_object"


def test_a_refusal_names_the_field_and_never_its_value() -> None:
    with pytest.raises(InvalidEventError, match="userId must be a text") as caught:
        taken({**VIEW, "userId": ["ada@example.com"]})
    assert "ada" not in str(caught.value)


def test_null_objects_are_empty_ones() -> None:
    event = taken(VIEW | dict.fromkeys(("properties", "traits", "context", "integrations")))
    assert event.objects == {"properties": {}, "traits": {}, "context": {}}


def test_the_time_of_sending_is_the_items_own_or_else_the_batchs_or_else_the_requests() -> None:
    item = {**VIEW, "timestamp": "2026-03-01T10:00:00Z"}
    clock = [datetime(2026, 3, 1, 10, minute, tzinfo=UTC) for minute in (0, 1, 2, 3)]
    request = Arrival(received_at=NOW, sent_at=clock[3])
    assert taken(item, request).timestamp == NOW - timedelta(minutes=3)
    assert taken(item, request, sent_at=clock[2]).timestamp == NOW - timedelta(minutes=2)
    assert taken({**item, "sentAt": clock[1].isoformat()}, request, sent_at=clock[2]).sent_at == clock[1]


def test_an_original_timestamp_alone_is_enough() -> None:
    assert taken({**VIEW, "originalTimestamp": "2026-03-01T11:30:00.000Z"}).timestamp == NOW - timedelta(minutes=30)


def test_a_time_that_was_not_believed_is_noted_in_the_context() -> None:
    assert taken({**VIEW, "timestamp": "last tuesday"}).objects["context"] == {"timestampFault": "unreadable"}
    assert taken({**VIEW, "timestamp": 0}).objects["context"] == {"timestampFault": "unset_clock"}


def test_what_a_batch_says_for_all_gives_way_to_what_an_item_says() -> None:
    event = taken(
        {**VIEW, "context": {"locale": "de-DE"}, "integrations": {"Mail": False}},
        context={"locale": "en-US", "timezone": "Europe/Berlin"},
        integrations={"Mail": True, "Ads": False},
    )
    assert event.objects["context"] == {"locale": "de-DE", "timezone": "Europe/Berlin"}
    assert json.loads(bytes(event.integrations)) == {"Mail": False, "Ads": False}


def test_the_connection_fills_in_what_the_context_leaves_out() -> None:
    arrival = Arrival(received_at=NOW, ip="203.0.113.7", user_agent="Mozilla/5.0 " + "x" * 9000)
    context = taken(VIEW, arrival).objects["context"]
    assert context["ip"] == "203.0.113.7"
    assert len(context["userAgent"]) == 512
    own = {"ip": "198.51.100.1", "userAgent": "Shop/1.0"}
    assert taken({**VIEW, "context": own}, arrival).objects["context"] == own
    assert taken({**VIEW, "context": {"direct": False}}, arrival).objects["context"] == {"direct": False}


def test_a_browser_that_objects_to_the_sale_of_data_is_heard() -> None:
    arrival = Arrival(received_at=NOW, global_privacy_control=True)
    context = taken({**VIEW, "context": {"globalPrivacyControl": False}}, arrival).objects["context"]
    assert context == {"globalPrivacyControl": True}


def test_a_missing_message_id_is_the_same_for_every_retry_of_the_same_event() -> None:
    item = {name: value for name, value in VIEW.items() if name != "messageId"}
    first = taken({**item, "sentAt": "2026-03-01T11:59:00Z", "timestamp": "2026-03-01T11:00:00Z"})
    retry = taken(
        {"timestamp": "2026-03-01T11:00:00Z", "messageId": None, "sentAt": "2026-03-01T11:59:59Z", **item},
        Arrival(received_at=NOW + timedelta(seconds=30), ip="203.0.113.7"),
    )
    assert first.message_id == retry.message_id
    assert first.message_id.startswith("content-")
    assert taken({**item, "properties": {"sku": 2}}).message_id != taken(item).message_id


def test_equal_items_of_one_batch_are_different_events_and_a_retry_finds_the_same_ids() -> None:
    login = json.dumps({"type": "track", "userId": "u1", "event": "Login Failed"}).encode()

    def ids() -> list[str]:
        repeats: Counter[str] = Counter()
        return [track(login, Body(items=[]), HERE, repeats).message_id for _ in range(3)]

    assert len(set(ids())) == 3
    assert ids() == ids()


def test_a_message_id_that_is_too_long_is_replaced_by_its_digest_and_still_dedupes() -> None:
    assert taken({**VIEW, "messageId": "m" * 100}).message_id == "m" * 100
    long = taken({**VIEW, "messageId": "m" * 101}).message_id
    assert long.startswith("long-")
    assert len(long) <= 100
    assert taken({**VIEW, "event": "Other", "messageId": "m" * 101}).message_id == long
    assert taken({**VIEW, "messageId": "m" * 102}).message_id != long


def test_the_message_id_of_a_refused_item_can_be_told_to_its_sender() -> None:
    assert message_id(b'{"messageId": "m7", "type": "purchase"}') == "m7"
    assert message_id(b'{"messageId": 5}') is None
    assert message_id(b"[]") is None
    assert message_id(b"{") is None


def test_the_attributes_of_an_event_fit_into_pubsub() -> None:
    event = taken({**VIEW, "event": "Ü" * 600})
    about = attributes.of_event(event)
    assert about == {"schema": events.SCHEMA, "messageId": "m1", "type": "track", "event": "Ü" * 512}


@given(st.text(max_size=40), st.integers(0, 60))
def test_clipping_keeps_whole_characters_and_as_many_as_fit(text: str, size: int) -> None:
    kept = attributes.clip(text, size)
    assert text.startswith(kept)
    assert len(kept.encode()) <= size
    assert kept == text or len((kept + text[len(kept)]).encode()) > size


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([field.encode_name for field in msgspec.structs.fields(Event)])


@given(st.dictionaries(FIELDS, JSON), JSON, st.sampled_from(["", *events.EVENT_TYPES]))
def test_whatever_is_posted_becomes_a_readable_event_or_is_refused(
    changes: dict[str, Any], context: object, call: str
) -> None:
    batch = open_body(json.dumps({"batch": [VIEW | changes], "context": {"x": context}}).encode(), "")
    body = msgspec.structs.replace(batch, call=call)
    try:
        event = track(body.items[0], body, HERE, Counter())
    except InvalidEventError:
        return
    read = events.decode(events.encode(event))
    assert read == event
    assert set(read.objects) == {"properties", "traits", "context"}
    assert len(read.message_id) <= 100
    assert read.timestamp <= NOW
