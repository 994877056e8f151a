"""Who an event belongs to: what somebody did before we knew them joins what they do afterwards."""

import msgspec
import pytest

from tests.deciding.anonymous import CART, VIEWS, X, added, identified, ordered, told, two_keys, viewed
from tests.people import an_engine, an_event, ms
from tidings.deciding import identity
from tidings.deciding import state as states
from tidings.deciding.identity import Handover, joins, resolve
from tidings.deciding.state import PersonState
from tidings.errors import InvalidEventError
from tidings.rules.kinds.base import NEVER
from tidings.wire import events
from tidings.wire.events import millis

# --- what joins what


def test_an_identify_joins_its_anonymous_id_and_an_alias_its_previous_id():
    assert joins(identified("10:00")) == "a:x"
    alias = an_event("", "10:00", type="alias", user_id="ann", previous_id="y", anonymous_id="x")
    assert joins(alias) == "a:y"
    assert identity.addressees(alias) == ("u:ann", "a:y")


@pytest.mark.parametrize(
    "event",
    [
        an_event("Viewed", "10:00", user_id="ann", anonymous_id="x"),
        an_event("", "10:00", type="identify", anonymous_id="x"),
        an_event("", "10:00", type="identify", user_id="", anonymous_id="x"),
        an_event("", "10:00", type="identify", user_id="ann"),
        an_event("", "10:00", type="alias", anonymous_id="x", previous_id="y"),
        an_event("", "10:00", type="alias", user_id="ann"),
    ],
    ids=lambda event: f"{event.type} by {event.person}",
)
def test_no_other_event_joins_anything(event):
    assert joins(event) is None
    assert identity.addressees(event) == (event.person,)


# --- later, and elsewhere


def test_what_the_anonymous_id_does_after_the_join_follows_to_the_person():
    history = [identified("10:00"), viewed("10:10", **X), viewed("10:20"), viewed("10:30", **X)]
    assert told(history, VIEWS) == [("u:ann", "03 10:30", "welcome", "send")]


def test_what_was_done_before_the_join_and_arrives_after_it_follows_too():
    late = an_event("Ordered", "10:02", received="10:10", properties={"cart": "c1"}, **X)
    assert told([added("10:00", **X), identified("10:05"), late], CART) == []


def test_a_browser_and_a_phone_join_the_same_person():
    phone = {"anonymous_id": "phone"}
    history = [
        viewed("10:00", **X),
        viewed("10:05", **phone),
        identified("10:10"),
        identified("10:11", anonymous="phone"),
        viewed("10:20"),
    ]
    assert told(history, VIEWS) == [("u:ann", "03 10:20", "welcome", "send")]


def test_an_alias_joins_as_an_identify_does():
    alias = an_event("", "10:05", type="alias", user_id="ann", previous_id="x")
    assert told([added("10:00", **X), alias], CART) == [("u:ann", "03 10:15", "welcome", "send")]


def test_an_alias_of_a_known_person_moves_nothing():
    alias = an_event("", "10:05", type="alias", user_id="bob", previous_id="ann")
    history = [added("10:00"), alias, ordered("10:10", user_id="bob")]
    assert told(history, CART) == [("u:ann", "03 10:15", "welcome", "send")]


def test_on_a_shared_computer_everything_belongs_to_whoever_was_logged_in_then():
    """Ann's anonymous past is hers; what is done after Bob has come is Bob's; nothing of hers becomes his."""
    history = [
        viewed("10:00", **X),
        viewed("10:01", **X),
        identified("10:02", "ann"),
        identified("10:10", "bob"),
        viewed("10:11", **X),
        viewed("10:12", **X),
        viewed("10:13", **X),
        viewed("10:14", user_id="bob"),
    ]
    assert told(history, VIEWS) == [("u:bob", "03 10:13", "welcome", "send")]
    late = an_event("Viewed", "10:09", received="10:20", properties={"product": "lamp"}, **X)
    assert told([*history, late], VIEWS) == [
        ("u:ann", "03 10:20", "welcome", "send"),
        ("u:bob", "03 10:13", "welcome", "send"),
    ]


def test_owners_change_with_time_and_the_first_one_has_what_came_before():
    owners = []
    for when, who in (("10:00", "ann"), ("12:00", "bob"), ("12:30", "bob"), ("11:00", "ann"), ("14:00", "ann")):
        identity.own(owners, identified(when, who))
    assert owners == [(ms("10:00"), "u:ann"), (ms("12:00"), "u:bob"), (ms("14:00"), "u:ann")]
    whose = [identity.owner(owners, ms(when)) for when in ("09:00", "10:00", "11:59", "12:00", "13:59", "14:00")]
    assert whose == ["u:ann", "u:ann", "u:ann", "u:bob", "u:bob", "u:ann"]


def test_an_id_that_everybody_uses_remembers_the_latest_owners_only():
    owners = []
    for number in range(100):
        identity.own(owners, identified(f"+{number}d 10:00", f"user-{number}"))
    assert len(owners) == 32
    assert owners[-1] == (ms("+99d 10:00"), "u:user-99")


# --- the handover itself


def test_an_anonymous_id_hands_over_once_and_keeps_only_where_it_went():
    """And the runtime's note of its timer, which is set as it was."""
    engine, anonymous = an_engine(CART), PersonState("a:x", timer_at=ms("10:16"))
    identity.take(engine, anonymous, added("10:00", **X), ms("10:00"))
    [handover] = identity.take(engine, anonymous, identified("10:05"), ms("10:05")).onward
    assert (handover.person, handover.anonymous) == ("u:ann", "a:x")
    moved = [(ms("10:05"), "u:ann")]
    assert anonymous == PersonState("a:x", moved_to=moved, wake_at=anonymous.wake_at, timer_at=ms("10:16"))
    assert identity.take(engine, anonymous, identified("10:06"), ms("10:06")).onward == ()
    assert identity.take(engine, anonymous, identified("10:07", "bob"), ms("10:07")).onward == ()


def test_the_same_handover_has_the_same_identity():
    (_, _, one), (_, _, same) = two_keys(CART), two_keys(CART)
    assert one.message_id == same.message_id


def test_where_an_id_went_is_forgotten_when_no_browser_can_have_kept_it():
    engine, anonymous, _ = two_keys(CART)
    assert anonymous.wake_at == ms("+400d 10:05")
    again = states.decode(states.encode(anonymous))
    assert again == anonymous
    engine.wake(anonymous, anonymous.wake_at)
    assert anonymous.is_empty
    assert anonymous.wake_at == NEVER


@pytest.mark.parametrize("again", ["10:05", "10:06", "+1d 09:00", "+3d 10:00"])
def test_a_handover_that_is_delivered_again_changes_nothing_that_is_sent(again):
    engine, _, handover = two_keys(CART)
    person, decided = PersonState("u:ann"), []
    for when in ("10:05", again, "+30d 00:00"):
        while person.wake_at <= ms(when):
            decided += engine.wake(person, person.wake_at).decisions
        decided += identity.take(engine, person, handover, ms(when)).outcome.decisions
    assert len({one.send_id for one in decided}) == 1


def test_within_a_day_it_is_known_to_be_a_duplicate():
    engine, _, handover = two_keys(CART)
    person = PersonState("u:ann")
    outcomes = [identity.take(engine, person, handover, ms(when)).outcome for when in ("10:05", "+1d 10:04")]
    assert [one.duplicates for one in outcomes] == [0, 1]


def test_an_event_that_was_counted_before_the_join_is_a_duplicate_after_it():
    engine, anonymous, person = an_engine(VIEWS), PersonState("a:x"), PersonState("u:ann")
    view = viewed("10:01", **X)
    identity.take(engine, anonymous, view, ms("10:01"))
    [handover] = identity.take(engine, anonymous, identified("10:02"), ms("10:02")).onward
    [again] = identity.take(engine, anonymous, view, ms("10:03")).onward
    outcomes = [identity.take(engine, person, one, ms("10:03")).outcome for one in (handover, again)]
    assert [one.duplicates for one in outcomes] == [0, 1]


def test_a_repeat_of_yesterday_is_a_duplicate_after_the_join_of_today():
    engine, anonymous, person = an_engine(VIEWS), PersonState("a:x"), PersonState("u:ann")
    yesterday = viewed("20:00", **X)
    for event in (viewed("00:10", **X), yesterday, viewed("+1d 00:30", **X)):
        identity.take(engine, anonymous, event, millis(event.received_at))
    [handover] = identity.take(engine, anonymous, identified("+1d 01:00"), ms("+1d 01:00")).onward
    [again] = identity.take(engine, anonymous, yesterday, ms("+1d 02:00")).onward
    outcomes = [identity.take(engine, person, one, ms("+1d 02:00")).outcome for one in (handover, again)]
    assert [one.duplicates for one in outcomes] == [0, 1]


def test_a_repeat_that_overtakes_the_handover_is_counted_once():
    engine, anonymous, person = an_engine(VIEWS), PersonState("a:x"), PersonState("u:ann")
    view = viewed("10:01", **X)
    identity.take(engine, anonymous, view, ms("10:01"))
    [handover] = identity.take(engine, anonymous, identified("10:02"), ms("10:02")).onward
    [again] = identity.take(engine, anonymous, view, ms("10:03")).onward
    for event in (again, handover, viewed("10:04")):
        assert identity.take(engine, person, event, ms("10:04")).outcome.decisions == ()
    assert len(identity.take(engine, person, viewed("10:05"), ms("10:05")).outcome.decisions) == 1


def test_what_follows_its_person_never_comes_back():
    """Not even an identify or alias of the anonymous id, which carries both ids on its way."""
    engine, anonymous, _ = two_keys(CART)
    for event in (
        added("10:10", **X),
        an_event("", "10:10", type="identify", traits={"plan": "pro"}, **X),
        an_event("", "10:10", type="alias", previous_id="x", **X),
    ):
        [onward] = identity.take(engine, anonymous, event, ms("10:10")).onward
        assert onward.user_id == "ann"
        assert onward.message_id == event.message_id
        for key in identity.addressees(onward):
            known = anonymous if key == "a:x" else PersonState(key)
            assert identity.take(engine, known, onward, ms("10:11")).onward == ()


# --- on the wire


def test_a_handover_travels_as_json_and_comes_back_whole():
    _, _, handover = two_keys(CART)
    data, about = identity.message(handover)
    assert about == {
        "schema": "tidings.handover.v1",
        "messageId": handover.message_id,
        "type": "alias",
        "event": "alias",
    }
    again = identity.decode(data)
    assert again == handover
    assert isinstance(again, Handover)
    assert states.decode(again.state).trackers["cart"]["c1"].running


def test_an_event_that_follows_looks_new_to_pubsub_and_old_to_the_engine():
    engine, anonymous, _ = two_keys(CART)
    event = added("10:10", message_id="m", **X)
    [onward] = identity.take(engine, anonymous, event, ms("10:10")).onward
    data, about = identity.message(onward)
    assert (about["schema"], about["copyOf"]) == (events.SCHEMA, "m")
    assert about["messageId"] != "m"
    assert events.decode(data) == msgspec.structs.replace(event, user_id="ann")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"state": 5}', b"null"])
def test_what_is_no_handover_is_refused(data):
    with pytest.raises(InvalidEventError) as refused:
        identity.decode(data)
    assert refused.value.reason == "not_a_handover"


def test_everybodys_events_end_at_one_person_each():
    alone = viewed("10:00", anonymous_id="nobody")
    before, after = viewed("10:00", **X), viewed("10:10", **X)
    hello, other = identified("10:05"), identified("10:08", "bob")
    people = resolve([after, other, alone, hello, before])
    assert {person: sorted(its, key=events.receipt) for person, its in people.items()} == {
        "a:nobody": [alone],
        "u:ann": [before, hello],
        "u:bob": [other, after],
    }
