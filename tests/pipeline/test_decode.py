"""Decoding: one message in, exactly one event or one dead letter out, whatever the message holds."""

import msgspec
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode import DEAD, Decode
from tests.people import an_event
from tidings.wire import dead_letter, events
from tidings.wire.dead_letter import DeadLetter

OURS = {"schema": events.SCHEMA}


def decoded(data, attributes=OURS):
    return list(Decode().process(PubsubMessage(data, attributes)))


def dead(data, attributes=OURS) -> DeadLetter:
    [output] = decoded(data, attributes)
    assert isinstance(output, TaggedOutput)
    assert output.tag == DEAD
    return dead_letter.read(output.value.data, output.value.attributes)


def test_an_event_becomes_its_person_and_itself():
    event = an_event("Product Viewed", "10:00", properties={"a": 1})
    [(person, again)] = decoded(events.encode(event))
    assert person == "u:ann"
    assert events.encode(again) == events.encode(event)


def test_a_message_that_is_not_ours_is_set_aside_whole():
    letter = dead(b"anything", {"schema": "somebody.elses.v1", "trace": "7"})
    assert (letter.step, letter.reason) == ("decode", "not_ours")
    assert letter.data == b"anything"
    assert letter.attributes == {"schema": "somebody.elses.v1", "trace": "7"}
    assert dead(b"{}", {}).reason == "not_ours"


def test_what_cannot_be_read_says_why():
    event = msgspec.json.decode(events.encode(an_event("X", "10:00")))
    for change, reason in (
        ({"userId": None}, "no_person"),
        ({"userId": ""}, "no_person"),
        ({"timestamp": "2026-01-01T00:00:00"}, "no_timezone"),
        ({"timestamp": "2025-03-03T10:00:00.001Z"}, "bad_time"),
        ({"timestamp": "0001-01-01T00:00:00+10:00"}, "bad_time"),
        ({"timestamp": "9999-12-31T23:59:59Z", "receivedAt": "9999-12-31T23:59:59Z"}, "bad_time"),
        ({"properties": [1]}, "not_an_object"),
        ({"context": None}, "not_an_object"),
        ({"type": "order"}, "not_an_event"),
        ({"messageId": 7}, "not_an_event"),
        ({"event": "Consent Given", "properties": {"category": 5}}, "bad_consent"),
    ):
        assert dead(msgspec.json.encode({**event, **change})).reason == reason
    assert dead(b'{"messageId": ').reason == "unreadable"
    identify = events.encode(an_event("", "10:00", type="identify", traits={"age": "@"}))
    assert dead(identify.replace(b'"@"', b"1e999")).reason == "bad_traits"
    assert (
        dead(events.encode(an_event("X", "10:00", properties={"a": "@"})).replace(b"@", b"\xff")).reason == "unreadable"
    )
    assert dead(b"[" * 100_000).reason in {"unreadable", "not_an_event"}


def test_what_is_no_event_says_where_and_what_was_expected():
    def detail(**change):
        event = msgspec.json.decode(events.encode(an_event("X", "10:00")))
        return dead(msgspec.json.encode({**event, **change})).detail

    kinds = "Expected one of track, identify, page, screen, group, alias - at `$.type`"
    assert detail(type="order") == detail(type="a - at `$.b`") == kinds
    assert detail(messageId=7) == "Expected `str`, got `int` - at `$.messageId`"


@pytest.mark.parametrize("value", ["ann@example.com", ["ann@example.com"], {"ann@example.com": "ann@example.com"}])
@pytest.mark.parametrize("field", [one.encode_name for one in msgspec.structs.fields(events.Event)])
def test_no_dead_letter_quotes_what_the_event_said(field, value):
    """The detail is an attribute, and attributes are counted, logged and shown."""
    event = msgspec.json.decode(events.encode(an_event("X", "10:00")))
    [element] = decoded(msgspec.json.encode({**event, field: value}))
    if isinstance(element, TaggedOutput):
        assert "@" not in element.value.attributes["detail"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from([one.encode_name for one in msgspec.structs.fields(events.Event)])


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=3))
def test_any_bytes_give_exactly_one_output(data, attributes):
    assert len(decoded(data, attributes)) == 1
    assert len(decoded(data, {**attributes, **OURS})) == 1


@given(st.dictionaries(fields, json_values, max_size=6))
def test_any_values_in_an_event_give_exactly_one_output(changes):
    event = {**msgspec.json.decode(events.encode(an_event("Consent Given", "10:00"))), **changes}
    assert len(decoded(msgspec.json.encode(event))) == 1
