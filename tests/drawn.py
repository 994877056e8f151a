"""Rules and histories of a few people, drawn by Hypothesis: for laws that hold for whatever anybody may write or do."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from tests.people import a_rule, an_event
from tidings.deciding import erasure
from tidings.ingest import intake
from tidings.permission import consent
from tidings.wire.events import Event, instant, millis

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE = 60_000
UNTIL = instant(millis(START) + 60 * 60 * MINUTE)
"""Two and a half days later: after all that these histories can still bring about."""

NAMES = ("View", "Add", "Order", "Leave")
THING = "properties.thing"

_some = st.sampled_from(NAMES)
_length = st.sampled_from(["1m", "10m", "15m", "1h", "3h"])
_counts = st.integers(1, 3)
_where = st.sampled_from([None, {"path": THING, "equals": "a"}, {"path": THING, "exists": True}])


@st.composite
def _selectors(draw):
    name, where = draw(_some), draw(_where)
    return {"event": name, "where": where} if where else {"event": name}


@st.composite
def _triggers(draw):
    """A trigger of any kind, and whether it can be told apart by a property."""
    kind = draw(st.sampled_from(["performed", "not_performed", "sequence", "session_ended", "inactive", "score"]))
    length = draw(_length)
    if kind == "performed":
        count = draw(_counts)
        counting = {"times": count, "within": length} if count > 1 else {}
        by = {"by": THING} if count > 1 and draw(st.booleans()) else {}
        return {kind: {**draw(_selectors()), **counting, **by}}
    if kind == "not_performed":
        resets = {"reset_on": [draw(_some)]} if draw(st.booleans()) else {}
        return {kind: {"after": draw(_some), "none_of": [draw(_some)], "within": length, **resets}}
    if kind == "sequence":
        steps = [{**draw(_selectors()), "times": draw(_counts)} for _ in range(draw(st.integers(2, 3)))]
        return {kind: {"steps": steps, "within": length}}
    if kind == "session_ended":
        having = [{"event": draw(_some), "at_least": draw(_counts)}]
        return {kind: {"gap": length, "having": having, "none_of": draw(st.lists(_some, max_size=1))}}
    if kind == "inactive":
        return {kind: {"for": length, "after_at_least": {"times": draw(_counts)}}}
    features = [{"event": draw(_some), "weight": draw(st.integers(1, 3)), "within": "3h", "at_most": 3}]
    return {kind: {"model": "linear", "features": features, "above": draw(st.integers(1, 4))}}


@st.composite
def rules(draw, rule_id="a-rule"):
    """A rule document, with anything around its trigger. None of them can wait for longer than two days."""
    around = {}
    if draw(st.booleans()):
        around["steps"] = [
            {"send": "one"},
            {"wait": draw(_length)},
            {"send": "two", "unless": draw(st.lists(_some, max_size=1))},
        ]
    if draw(st.booleans()):
        around["entry_key"] = THING
    if draw(st.booleans()):
        around["exit_on"] = [draw(_some)]
    if draw(st.booleans()):
        around["re_entry"] = draw(st.sampled_from(["once", "every_time", {"after": "2h"}]))
    if draw(st.booleans()):
        around["quiet_hours"] = {
            "start": "10:00",
            "end": "11:30",
            "tz": draw(st.sampled_from(["user", "Europe/Oslo"])),
            "on_miss": draw(st.sampled_from(["hold", "drop"])),
        }
    if draw(st.booleans()):
        around["audience"] = {"path": "traits.plan", "equals": "pro"}
    return a_rule(
        id=rule_id,
        trigger=draw(_triggers()),
        kind=draw(st.sampled_from(["marketing", "marketing", "transactional"])),
        category=draw(st.sampled_from(["marketing", "news"])),
        status=draw(st.sampled_from(["live", "live", "live", "shadow", "paused"])),
        frequency_cap=draw(st.sampled_from(["default", "off", {"max": 2, "per": "1h", "across": "category"}])),
        holdout=draw(st.sampled_from([0, 0, 50])),
        priority=draw(st.integers(0, 100)),
        **around,
    )


def rule_books(most=4):
    """One rule or several, with different ids."""
    return st.integers(1, most).flatmap(lambda count: st.tuples(*(rules(f"rule-{one}") for one in range(count))))


@st.composite
def histories(draw, most=25, longest_delay=60, anonymous=True, erasures=False):
    """What ann, bob and some whom nobody knows yet did within six hours, in order of receipt.

    Some of it was received up to `longest_delay` minutes late, some comes twice. Anonymous ids may join a person. With
    `erasures`, some ids are erased in the middle of it.
    """
    who = [{"user_id": "ann"}, {"user_id": "bob"}]
    if anonymous:
        who += [{"user_id": None, "anonymous_id": one} for one in "xy"]
    events: list[Event] = []
    for number in range(draw(st.integers(0, most))):
        happened = millis(START) + draw(st.integers(0, 360)) * MINUTE + draw(st.sampled_from([0, 0, 1, 999]))
        delay = draw(st.sampled_from([0, 0, 0, 1, min(20, longest_delay), longest_delay])) * MINUTE
        received = happened + delay + 2 * number  # no two at the same instant: their order is nobody's to say
        named = {"message_id": f"m{number}", **draw(st.sampled_from(who))}
        name = draw(_some)
        match draw(st.integers(0, 10)):
            case 0:
                named |= {"type": "identify", "traits": {"plan": draw(st.sampled_from(["pro", "free"]))}}
            case 1 if anonymous:
                ids = {"user_id": draw(st.sampled_from(["ann", "bob"])), "anonymous_id": draw(st.sampled_from("xy"))}
                named |= {"type": "identify", **ids}
            case 2:
                named |= {"type": "page", "context": {"timezone": draw(st.sampled_from(["Europe/Oslo", "nowhere"]))}}
            case 3:
                name = draw(st.sampled_from(sorted(consent.NAMES)))
                named |= {"properties": {"category": draw(st.sampled_from(["marketing", "news", None]))}}
            case _:
                named |= {"properties": {"thing": draw(st.sampled_from(["a", "a", "b", None]))}}
        name = "" if named.get("type") == "identify" else name
        events.append(an_event(name, instant(happened), instant(received), **named))
    for number in range(draw(st.integers(0, 3)) if erasures else 0):
        erased_at = instant(millis(START) + draw(st.integers(0, 420)) * MINUTE + 2 * number + 1)
        events.append(erasure.erased(draw(st.sampled_from(["u:ann", "u:bob", "a:x", "a:y"])), erased_at))
    repeated = draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
    return sorted([*events, *repeated], key=lambda one: (one.received_at, one.message_id))


def lines_of(events):
    """As they stand in a file."""
    return [intake.to_line(one) for one in events]
