"""Rules to put steps, caps and quiet hours around, and what becomes of them."""

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.deciding.state import decode as read_state
from tidings.deciding.state import encode as write_state
from tidings.wire.events import millis

HELLO = a_rule(id="hello", trigger={"performed": {"event": "Hello"}}, frequency_cap="off")
CART = a_rule(
    id="cart",
    trigger={"not_performed": {"after": "Added", "none_of": ["Ordered"], "within": "15m", "reset_on": ["Added"]}},
    entry_key="properties.cart",
    frequency_cap="off",
)
THREE_STEPS = {
    **CART,
    "send": None,
    "steps": [
        {"send": "reminder"},
        {"wait": "24h"},
        {"send": "second", "unless": ["Page Read"]},
        {"wait": "24h"},
        {"wait": "24h"},
        {"send": {"template": "incentive"}},
    ],
}
THREE_STEPS.pop("send")


def added(when, cart="c1", **more):
    return an_event("Added", when, properties={"cart": cart}, **more)


def told(events, *rules, until="+30d 00:00"):
    """(when decided, template, outcome or reason) of everything; the state is written down at every turn."""
    engine, state, told = an_engine(*rules), PersonState("u:ann"), []
    for event in sorted(events, key=lambda one: one.received_at):
        now = millis(event.received_at)
        while state.wake_at <= now:
            told += engine.wake(state, state.wake_at).decisions
            state = read_state(write_state(state))
        told += engine.feed(state, [event], now).decisions
        state = read_state(write_state(state))
    while state.wake_at <= ms(until):
        told += engine.wake(state, state.wake_at).decisions
        state = read_state(write_state(state))
    assert [one.send_id for one in told] == [
        one.send_id for one in replay(engine, "u:ann", events, ms(until)).decisions
    ]
    return [(f"{one.decided_at:%d %H:%M}", one.template, one.reason or one.outcome) for one in told]


NIGHT = {**HELLO, "quiet_hours": {"start": "21:00", "end": "08:00", "tz": "Europe/Oslo"}}  # one hour ahead of UTC
