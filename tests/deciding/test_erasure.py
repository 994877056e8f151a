"""An erasure in the stream ends what was known of an id, live and in a replay, and leaves nothing of its own."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deciding.anonymous import CART, VIEWS, X, added, identified, told, viewed
from tests.drawn import UNTIL, histories, rule_books
from tests.lived import live
from tests.people import a_rule, an_engine, at, ms
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import erasure, identity
from tidings.deciding.erasure import Erased
from tidings.deciding.identity import follow, resolve
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.errors import InvalidEventError
from tidings.ingest import intake
from tidings.rules.kinds.base import NEVER
from tidings.wire import decisions
from tidings.wire.events import millis


def erased(when, person="u:ann"):
    return erasure.erased(person, at(when))


# --- on the wire


@given(st.sampled_from("ua"), st.text(min_size=1), st.datetimes(timezones=st.just(UTC)))
def test_it_comes_back_from_the_wire_as_it_was(kind, name, when):
    try:
        message = erasure.message(f"{kind}:{name}", when)
    except UnicodeEncodeError:  # half a surrogate pair is no id that could have come in
        return
    again = intake.read_message(*message)
    assert isinstance(again, Erased)
    assert (again.person, again.timestamp, again.received_at) == (f"{kind}:{name}", when, when)
    assert intake.to_message(again) == (message.data, erasure.SCHEMA)


def test_one_erasure_is_one_message_and_another_id_or_time_is_another():
    first = erasure.message("u:ann", at("10:00"))
    assert first == erasure.message("u:ann", at("10:00"))
    others = erasure.message("u:bob", at("10:00")), erasure.message("u:ann", at("10:01"))
    assert len({one.attributes["messageId"] for one in (first, *others)}) == 3
    assert first.data == b'{"person":"u:ann","at":"2025-03-03T10:00:00Z"}'


@pytest.mark.parametrize("person", ["", "ann", "u:", "a:", "x:ann", ":ann"])
def test_who_is_nobody_cannot_be_erased(person):
    with pytest.raises(InvalidEventError, match="not_an_erasure"):
        erasure.message(person, at("10:00"))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(InvalidEventError, match="not_an_erasure"):
        erasure.message("u:ann", datetime(2025, 3, 3, 10))  # noqa: DTZ001 - that is the test
    assert erasure.message("u:ann", datetime(2025, 3, 3, 12, tzinfo=timezone(timedelta(hours=2)))).data


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", b'{"person": 5, "at": "2025-03-03T10:00:00Z"}'])
def test_what_claims_to_be_one_and_is_none_is_refused_without_a_word_of_it(data):
    with pytest.raises(InvalidEventError) as refused:
        intake.read_message(data, {"schema": erasure.SCHEMA})
    assert refused.value.reason == "not_an_erasure"


def test_in_a_file_it_is_known_by_its_shape_and_an_event_is_never_taken_for_one():
    line = erasure.message("a:x", at("10:00")).data
    assert intake.to_line(intake.read(line)) == line
    event = added("10:00", message_id="m")
    assert intake.read(intake.to_line(event)) == event
    with pytest.raises(InvalidEventError, match="not_an_event"):
        intake.read(b'{"person": "ann", "at": "2025-03-03T10:00:00Z"}')


# --- what it does


def test_everything_is_forgotten_and_nothing_is_due_any_more():
    engine, known = an_engine(CART), PersonState("u:ann")
    engine.feed(known, [added("10:00")], ms("10:00"))
    known.timer_at = known.wake_at
    outcome, onward = identity.take(engine, known, erased("10:05"), ms("10:05"))
    assert (outcome.decisions, onward) == ((), ())
    assert known.is_empty
    assert (known.person, known.wake_at, known.timer_at) == ("u:ann", NEVER, ms("10:15:00.001"))


def test_a_send_that_waits_for_its_step_or_for_the_morning_never_comes():
    steps = a_rule(
        trigger={"performed": {"event": "Added"}},
        frequency_cap="off",
        steps=[{"send": "one"}, {"wait": "1h"}, {"send": "two"}],
    )
    by_night = a_rule(
        id="night",
        trigger={"performed": {"event": "Added"}},
        frequency_cap="off",
        quiet_hours={"start": "09:00", "end": "12:00", "tz": "UTC"},
    )
    assert told([added("10:00"), erased("10:30")], steps, by_night) == [("u:ann", "03 10:00", "one", "send")]


def test_what_comes_after_it_is_somebody_new():
    """Two looks before it do not count, a rule that fires once fires again, and a no is forgotten here too."""
    once = {**VIEWS, "id": "once", "re_entry": "once", "trigger": {"performed": {"event": "Viewed"}}}
    history = [viewed("10:00"), viewed("10:01"), erased("10:02"), viewed("10:03")]
    assert told(history, VIEWS) == []
    engine = an_engine(once)
    assert len(replay(engine, "u:ann", history, ms("12:00")).decisions) == 2


def test_it_leaves_other_people_alone():
    bobs = [viewed(f"10:0{minute}", user_id="bob") for minute in range(3)]
    assert told([*bobs[:2], erased("10:01:30"), *bobs[2:]], VIEWS) == [("u:bob", "03 10:02", "welcome", "send")]


def test_an_anonymous_id_that_was_erased_hands_nothing_over():
    assert told([added("10:00", **X), erased("10:05", "a:x"), identified("10:06")], CART) == []
    assert told([added("10:00", **X), identified("10:06")], CART) == [("u:ann", "03 10:15", "welcome", "send")]


def test_an_erased_anonymous_id_has_forgotten_whom_it_joined():
    """Its next look is that of nobody, until it joins somebody again; the person keeps what they had."""
    looks = [viewed(f"10:0{minute}", **X) for minute in range(4)]
    history = [identified("09:00"), looks[0], looks[1], erased("10:01:30", "a:x"), looks[2], looks[3]]
    assert told(history, VIEWS) == []
    assert sorted(resolve(history)) == ["a:x", "u:ann"]
    again = [*history, identified("10:05")]
    assert told(again, VIEWS) == [("u:ann", "03 10:05", "welcome", "send")]


def test_whoever_follows_an_id_hears_of_its_erasure():
    """So that a person whose memory of it would hand nothing over twice forgets that, too."""
    history = [viewed("10:00", **X, message_id="m"), erased("10:01", "a:x"), identified("10:02", message_id="i")]
    followed = [(person, getattr(event, "message_id", "")) for person, event in follow("a:x", history)]
    assert followed == [("a:x", "m"), ("a:x", history[1].message_id)]
    joined = [identified("10:00"), erased("10:01", "a:x")]
    assert [person for person, event in follow("a:x", joined) if isinstance(event, Erased)] == ["u:ann"]


@settings(max_examples=300, deadline=None)
@given(rule_books(), histories(erasures=True))
def test_each_id_by_itself_step_by_step_and_the_whole_past_at_once_come_to_the_same(documents, events):
    """Whoever is erased when, known or anonymous, once or several times, joined or not."""
    engine = an_engine(*documents)
    apart = live(SqliteStore(":memory:"), engine, events, millis(UNTIL), lambda _: None)
    at_once = [one for who, its in resolve(events).items() for one in replay(engine, who, its, millis(UNTIL)).decisions]
    assert sorted(map(decisions.encode, apart)) == sorted(map(decisions.encode, at_once))


@settings(max_examples=200, deadline=None)
@given(rule_books(), histories(anonymous=False), st.integers(0, 400))
def test_after_an_erasure_everything_is_decided_as_if_there_had_been_nothing_before(documents, events, minute):
    """For a known person: what comes after it decides the same with and without the past."""
    engine = an_engine(*documents)
    cut = erasure.erased("u:ann", events[0].received_at + timedelta(minutes=minute, milliseconds=1)) if events else None
    if cut is None:
        return
    mine = [one for one in events if one.person == "u:ann"]
    later = [one for one in mine if one.received_at > cut.received_at]
    with_past = replay(engine, "u:ann", [*mine, cut], millis(UNTIL)).decisions
    without = replay(engine, "u:ann", later, millis(UNTIL)).decisions
    assert [one for one in with_past if one.decided_at > cut.received_at] == without
