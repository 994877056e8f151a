"""What surrounds a trigger: how many mails a person gets, and which of several rules goes first."""

from tests.deciding.surroundings import HELLO, told
from tests.people import an_engine, an_event, ms
from tidings.deciding.state import PersonState

TWO_HELLOS = [an_event("Hello", "10:00"), an_event("Hello", "12:00")]


def test_by_default_a_person_gets_one_marketing_mail_in_sixteen_hours():
    rule = {**HELLO, "frequency_cap": "default"}
    hellos = [an_event("Hello", when) for when in ("10:00", "12:00", "+1d 01:59:59.999", "+1d 02:00")]
    assert [what for *_, what in told(hellos, rule)] == ["send", "frequency_capped", "frequency_capped", "send"]


def test_transactional_mail_is_never_capped_and_never_counts():
    receipt = {**HELLO, "id": "receipt", "kind": "transactional", "frequency_cap": "default"}
    assert [what for *_, what in told(TWO_HELLOS, receipt)] == ["send", "send"]
    promotion = {**HELLO, "id": "promotion", "frequency_cap": "default", "trigger": {"performed": {"event": "Other"}}}
    assert [what for *_, what in told([*TWO_HELLOS, an_event("Other", "12:01")], receipt, promotion)] == ["send"] * 3


def test_a_cap_counts_all_marketing_mail_or_only_its_own_category():
    other = {**HELLO, "id": "other", "category": "news", "trigger": {"performed": {"event": "News"}}}
    events = [an_event("News", "09:00"), *TWO_HELLOS]
    capped = {**HELLO, "category": "cart", "frequency_cap": {"max": 2, "per": "24h"}}
    assert [what for *_, what in told(events, other, capped)] == ["send", "send", "frequency_capped"]
    own = {**capped, "frequency_cap": {"max": 2, "per": "24h", "across": "category"}}
    assert [what for *_, what in told(events, other, own)] == ["send", "send", "send"]


def test_a_shadow_uses_up_nobodys_cap():
    shadow = {**HELLO, "id": "shadow", "status": "shadow", "frequency_cap": "default"}
    real = {**HELLO, "id": "zeal", "frequency_cap": "default"}
    assert sorted(what for *_, what in told(TWO_HELLOS[:1], shadow, real)) == ["send", "shadow"]


def test_the_more_important_rule_goes_first_and_takes_the_cap():
    minor = {**HELLO, "id": "a-minor", "priority": 10, "frequency_cap": "default", "send": {"template": "minor"}}
    major = {**HELLO, "id": "b-major", "priority": 90, "frequency_cap": "default", "send": {"template": "major"}}
    assert told(TWO_HELLOS[:1], minor, major) == [
        ("03 10:00", "major", "send"),
        ("03 10:00", "minor", "frequency_capped"),
    ]


def test_mail_that_no_cap_counts_any_more_is_forgotten():
    engine, state = an_engine({**HELLO, "frequency_cap": "default"}), PersonState("u:ann")
    engine.feed(state, [an_event("Hello", "10:00")], ms("10:00"))
    assert len(state.sent) == 1
    while state.wake_at <= ms("+4d 00:00"):
        engine.wake(state, state.wake_at)
    assert state.is_empty
