"""State as bytes: versioned, compact, and refused when it is not ours."""

import pytest

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding import state
from tidings.deciding.state import PersonState, UnreadableStateError


def test_bytes_of_another_version_are_refused_rather_than_misread():
    for raw in (b"", b"\x63abc", bytes([state.VERSION]) + b"\xc1damaged"):
        with pytest.raises(UnreadableStateError):
            state.decode(raw)


def test_a_person_with_a_few_carts_fits_into_a_kilobyte():
    rule = a_rule(
        trigger={"not_performed": {"after": "Product Added", "none_of": ["Order Completed"], "within": "15m"}},
        entry_key="properties.cart_id",
    )
    known = PersonState("u:ann")
    for number in range(5):
        event = an_event("Product Added", f"10:0{number}", properties={"cart_id": f"c{number}", "name": "Lamp"})
        an_engine(rule).feed(known, [event], ms("10:05"))
    assert len(state.encode(known)) < 1024


def test_message_ids_are_forgotten_after_two_days_at_the_latest():
    known, engine = PersonState("u:ann"), an_engine()
    for day in range(10):
        for number in range(50):
            engine.feed(known, [an_event("X", f"+{day}d 10:00", message_id=f"{day}-{number}")], ms(f"+{day}d 10:00"))
        assert len(known.seen) + len(known.seen_before) <= 100
    engine.wake(known, ms("+12d 10:00"))
    assert known.is_empty


def test_the_traits_that_rudderstack_puts_into_the_context_of_an_identify_are_learnt():
    """Its SDKs put them there and nowhere else. Traits in the right place win, and only an identify has any."""
    known = PersonState("u:ann")
    context = {"traits": {"plan": "free", "city": "Rome", "timezone": "Europe/Rome"}}
    hello = an_event("", "10:00", type="identify", context=context, traits={"plan": "pro"})
    known.learn(hello, {"plan", "city"})
    known.learn_time_zone(hello)
    assert known.read("traits") == {"plan": "pro", "city": "Rome"}
    assert known.time_zone == (ms("10:00"), "Europe/Rome")
    assert an_event("Hello", "10:00", context=context).read("traits") == {}
