"""Laws of joined identities, for every history that Hypothesis can think of.

The measure of all of them: what the same events give when the person was known from the start.
"""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deciding import test_engine_laws as engine_laws
from tests.deciding.test_engine_laws import ENGINE
from tests.laws import MINUTE, START, UNTIL, what_fired
from tests.people import a_rule, an_engine, an_event
from tidings.deciding import identity
from tidings.deciding import state as states
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.rules.kinds.base import LATENESS
from tidings.wire.events import instant, millis, receipt

X, Y = ({"user_id": None, "anonymous_id": anonymous} for anonymous in "xy")
IDS = ({"user_id": "ann"}, X, X, Y)
DAY = 24 * 60 * MINUTE
PAUSES = {"views-paused-between": 120 * MINUTE - LATENESS, "cart-paused-between": 90 * MINUTE}
"""A late event may move the firing that a pause of `performed` counts from; that of `not_performed` is settled."""


@st.composite
def of_several_ids(draw, history, latest_join=360):
    """A history, of which some was done by ann and some by two anonymous ids that each join her at some time."""
    events = [msgspec.structs.replace(one, **draw(st.sampled_from(IDS))) for one in draw(history)]
    for anonymous in ("x", "y"):
        when = instant(START + draw(st.integers(0, latest_join)) * MINUTE + 17_017)
        ids = {"user_id": "ann", "anonymous_id": anonymous}
        events.append(an_event("", when, type="identify", message_id=f"join-{anonymous}", **ids))
    return events


def histories(latest_join=360):
    """Up to 30 events of six hours, of three ids that become one."""
    return of_several_ids(engine_laws.histories(longest_delay=0), latest_join)


def joins_of(history):
    """At which instant each id joined."""
    return {f"a:{one.anonymous_id}": one.received_at for one in history if one.message_id.startswith("join-")}


def joined(history, engine=ENGINE):
    """What is decided when ids join as they go."""
    people = resolve(history)
    assert people.keys() == {"u:ann"}
    return replay(engine, "u:ann", people["u:ann"], UNTIL).decisions


def known_from_the_start(history, engine=ENGINE):
    """What is decided when all of it was done by a known person."""
    known = [msgspec.structs.replace(one, user_id="ann") for one in history]
    return replay(engine, "u:ann", known, UNTIL).decisions


def by_rule(decisions):
    return {rule: [one for one in decisions if one.rule_id == rule] for rule in {one.rule_id for one in decisions}}


def what_was_said(decisions):
    """The identity of sends, but for the person's part in it."""
    return {(one.entry_key, one.episode, one.evidence, one.due_at) for one in decisions}


@settings(max_examples=300, deadline=None)
@given(histories())
def test_what_falls_due_after_the_join_is_what_would_have_been_had_the_person_been_known(history):
    """To the last byte, for every rule that waits for something not to happen and had not fired before the join."""
    decisions, wanted = by_rule(joined(history)), by_rule(known_from_the_start(history))
    last_join = max(joins_of(history).values())
    for rule in [one for one in decisions.keys() | wanted.keys() if one.startswith("cart")]:
        mine, theirs = decisions.get(rule, []), wanted.get(rule, [])
        if all(one.decided_at > last_join for one in (*mine, *theirs)):
            assert what_was_said(mine) == what_was_said(theirs)
            assert {one.person for one in mine} <= {"u:ann"}


@settings(max_examples=300, deadline=None)
@given(histories(latest_join=59))
def test_as_often_as_if_the_person_had_been_known_whoever_it_was_that_completed_a_count(history):
    """When the join comes within the lateness bound. What fired for the anonymous id counts, and is not repeated."""
    decisions = joined(history)
    wanted = known_from_the_start(history)
    for rule in ("views", "views-paused-between", "views-once"):
        mine = [one for one in decisions if one.rule_id == rule]
        theirs = what_fired(one for one in wanted if one.rule_id == rule)
        if rule == "views" or all(one.person == "u:ann" for one in mine):
            assert what_fired(mine) == theirs
        assert what_fired(one for one in mine if one.person == "u:ann") <= theirs


@settings(max_examples=300, deadline=None)
@given(histories())
def test_re_entry_counts_what_either_of_them_was_told(history):
    """From the join on, nothing is told that the same person was told too short a time before.

    Unless it is what they would have been told had they been known all the time: an anonymous id may have fired within
    the pause of its person, and that pause, once it is settled, goes on counting from the person's own firing.
    """
    decisions, joins = joined(history), joins_of(history)
    known = {(one.rule_id, one.entry_key, one.due_at) for one in known_from_the_start(history)}
    for mine in decisions:
        for other in decisions:
            if mine is other or mine.rule_id != other.rule_id or mine.person != "u:ann":
                continue
            if other.decided_at > mine.decided_at or joins.get(other.person, mine.decided_at) > mine.decided_at:
                continue
            assert not mine.rule_id.endswith("once")
            if other.person != mine.person and (mine.rule_id, mine.entry_key, mine.due_at) in known:
                continue
            apart = abs(millis(mine.due_at) - millis(other.due_at))
            assert apart >= PAUSES.get(mine.rule_id, 0)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_send_is_decided_twice(history):
    decisions = joined(history)
    assert len({one.send_id for one in decisions}) == len(decisions)


NIGHTS = [
    a_rule(
        id=f"{rule_id}-{re_entry}".replace("_", "-"),
        trigger=trigger,
        re_entry=re_entry,
        exit_on=["Leave"],
        frequency_cap="off",
        quiet_hours={"start": "22:00", "end": "23:30", "tz": "UTC"},
        steps=[{"send": "one"}, {"wait": "30m"}, {"send": "two", "unless": ["View"]}],
    )
    for re_entry in ("once", "every_time")
    for rule_id, trigger in {
        "added": {"performed": {"event": "Add"}},
        "cart": {"not_performed": {"after": "Add", "none_of": ["Order"], "within": "10m"}},
        "silence": {"inactive": {"for": "30m"}},
    }.items()
]
BY_NIGHT = an_engine(*NIGHTS)


@settings(max_examples=400, deadline=None)
@given(histories())
def test_what_a_join_ends_takes_nothing_from_a_send_that_goes_on(history):
    """No two decisions have the same identity: the ledger would let only the first one end."""
    decisions = joined(history, BY_NIGHT)
    assert len({one.send_id for one in decisions}) == len(decisions)


def through_the_topic(history, data):
    """As it runs live: each id apart, what goes onward through a topic that hands over late, out of order, and twice.

    The watermark waits for the oldest message that is on its way, as Pub/Sub's does.
    """
    queue = sorted(((millis(one.received_at), one) for one in history), key=lambda one: (one[0], one[1].message_id))
    cells: dict[str, bytes] = {}
    decisions = []

    def wake_up(watermark):
        for key, raw in cells.items():
            known = states.decode(raw)
            while known.wake_at <= watermark:
                decisions.extend(ENGINE.wake(known, known.wake_at).decisions)
            cells[key] = states.encode(known)

    while queue:
        published, event = queue.pop(data.draw(st.integers(0, min(4, len(queue) - 1))))
        for key in identity.addressees(event):
            known = states.decode(cells[key]) if key in cells else PersonState(key)
            outcome, onward = identity.take(ENGINE, known, event, published)
            cells[key] = states.encode(known)
            decisions += outcome.decisions
            for one in onward:
                for _ in range(data.draw(st.integers(1, 2))):
                    queue.insert(data.draw(st.integers(0, min(4, len(queue)))), (published, one))
        wake_up(min((published for published, _ in queue), default=UNTIL))
    assert all(states.decode(raw).moved_to for key, raw in cells.items() if key.startswith("a:"))
    return decisions


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_however_the_topic_hands_over_the_same_is_said_in_the_end(history, data):
    """The handover before or after what the person does, twice, and events of an id overtaking its identify.

    Only of what falls due after the join: while the topic holds back a message, what fell due before the join may be
    decided after it, when the order that would have ended it has long been forgotten under its own id.
    """
    live, wanted = by_rule(through_the_topic(history, data)), by_rule(known_from_the_start(history))
    last_join = max(joins_of(history).values())
    for rule in [one for one in live.keys() | wanted.keys() if one.startswith("cart")]:
        mine, theirs = live.get(rule, []), wanted.get(rule, [])
        if all(one.due_at > last_join for one in (*mine, *theirs)):
            assert what_was_said(mine) == what_was_said(theirs)


@settings(max_examples=300, deadline=None)
@given(histories(latest_join=59), st.data())
def test_however_the_topic_hands_over_nothing_fires_more_often(history, data):
    live, wanted = through_the_topic(history, data), known_from_the_start(history)
    counting = [one for one in live if one.rule_id == "views"]
    assert what_fired(counting) == what_fired(one for one in wanted if one.rule_id == "views")
    assert len({one.send_id for one in live}) == len(live)
    once = Counter(one.rule_id for one in live if one.rule_id.endswith("once") and one.person == "u:ann")
    assert all(count == 1 for count in once.values())


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_resolving_a_history_depends_on_nothing_but_the_order_of_receipt(history, data):
    shuffled = data.draw(st.permutations(history))
    assert joined(shuffled) == joined(history)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob", None, None]), st.integers(0, 900), st.integers(0, 3)), max_size=20
    )
)
def test_whoever_has_the_whole_past_at_hand_comes_to_the_same_as_the_id_itself_step_by_step(steps):
    """For an id that two people use for years, with late events, and a note of its owners that is forgotten."""
    heard = []
    for number, (user, day, late) in enumerate(steps):
        happened = START + day * DAY
        times = instant(happened), instant(happened + late * DAY + number)
        ids = {"user_id": user, "anonymous_id": "x", "message_id": f"{number:02}"}
        heard.append(an_event("View", *times, type="identify" if user else "track", **ids))
    engine, known, followed, alone = an_engine(), PersonState("a:x"), [], []
    for event in sorted(heard, key=receipt):
        now = millis(event.received_at)
        while known.wake_at <= now:
            engine.wake(known, known.wake_at)
        onward = identity.take(engine, known, event, now).onward
        if event.user_id is None and not onward:
            alone.append(event)
        for one in onward:
            if isinstance(one, identity.Handover):
                followed += [(one.person, before.message_id) for before in alone]
                alone = []
            else:
                followed.append((one.person, one.message_id))
    followed += [("a:x", one.message_id) for one in alone]
    assert followed == [(person, one.message_id) for person, one in identity.follow("a:x", heard[::-1])]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from(["ann", "bob", None]), st.integers(0, 60)), max_size=30)
)
def test_every_event_ends_at_one_person_and_a_known_persons_event_at_that_person(steps):
    history = [
        an_event("", instant(START + minute * MINUTE), type="identify", user_id=user, anonymous_id=anonymous)
        for anonymous, user, minute in steps
    ]
    people = resolve(history)
    ends = Counter(event.message_id for its in people.values() for event in its)
    assert ends == Counter(event.message_id for event in history)
    for person, its in people.items():
        assert all(event.person in (person, f"a:{event.anonymous_id}") for event in its)
        if person.startswith("a:"):
            assert not any(user for anonymous, user, _ in steps if f"a:{anonymous}" == person)
