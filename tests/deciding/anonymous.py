"""What tests of joined identities share: two rules, what ann and the anonymous id x do, and what comes of it."""

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding import identity
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState

CART = a_rule(
    id="cart",
    trigger={"not_performed": {"after": "Added", "none_of": ["Ordered"], "within": "15m", "reset_on": ["Added"]}},
    entry_key="properties.cart",
    frequency_cap="off",
)
VIEWS = a_rule(
    id="views",
    trigger={"performed": {"event": "Viewed", "times": 3, "within": "1h", "by": "properties.product"}},
    frequency_cap="off",
)
STEPS = {
    **{name: value for name, value in CART.items() if name != "send"},
    "steps": [{"send": "reminder"}, {"wait": "24h"}, {"send": "incentive"}],
}


def added(when, **who):
    return an_event("Added", when, properties={"cart": "c1"}, **who)


def ordered(when, **who):
    return an_event("Ordered", when, properties={"cart": "c1"}, **who)


def viewed(when, product="lamp", **who):
    return an_event("Viewed", when, properties={"product": product}, **who)


def identified(when, user="ann", anonymous="x", **more):
    return an_event("", when, type="identify", user_id=user, anonymous_id=anonymous, **more)


X = {"anonymous_id": "x"}


def told(history, *rules, until="+30d 00:00", segments=None):
    """(who, when decided, template, outcome or reason) of everything, of everybody."""
    engine = an_engine(*rules, segments=segments)
    decisions = [
        decision
        for person, its in resolve(history).items()
        for decision in replay(engine, person, its, ms(until)).decisions
    ]
    assert len({one.send_id for one in decisions}) == len(decisions)
    return sorted(
        (one.person, f"{one.decided_at:%d %H:%M}", one.template, one.reason or one.outcome) for one in decisions
    )


def two_keys(*rules):
    """An engine, the anonymous id with a cart in it, and the message that it hands over."""
    engine, anonymous = an_engine(*rules), PersonState("a:x")
    identity.take(engine, anonymous, added("10:00", **X), ms("10:00"))
    outcome, [handover] = identity.take(engine, anonymous, identified("10:05", message_id="i"), ms("10:05"))
    assert outcome.decisions == ()
    return engine, anonymous, handover
