"""What surrounds a trigger: several mails, one after another."""

from tests.deciding.surroundings import THREE_STEPS, added, told
from tests.people import an_engine, an_event, ms
from tidings.deciding.replay import replay


def test_steps_follow_one_another_after_their_waits():
    assert told([added("10:00")], THREE_STEPS) == [
        ("03 10:15", "reminder", "send"),
        ("04 10:15", "second", "send"),
        ("06 10:15", "incentive", "send"),
    ]


def test_a_conversion_ends_the_steps_that_are_left():
    ordered = an_event("Ordered", "+1d 20:00", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), ordered], THREE_STEPS)] == ["reminder", "second"]


def test_the_conversion_of_another_cart_ends_nothing():
    ordered = an_event("Ordered", "+1d 20:00", properties={"cart": "c2"})
    assert len(told([added("10:00"), ordered], THREE_STEPS)) == 3


def test_a_conversion_without_a_cart_ends_every_run():
    events = [added("10:00"), added("10:00", cart="c2"), an_event("Ordered", "11:00")]
    assert [what for _, what, _ in told(events, THREE_STEPS)] == ["reminder", "reminder"]


def test_a_send_is_skipped_unless_its_reason_stays_away_and_the_next_one_still_comes():
    read = an_event("Page Read", "12:00", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), read], THREE_STEPS)] == ["reminder", "incentive"]


def test_what_happened_before_the_trigger_fired_skips_nothing_whenever_it_arrives():
    for received in ("10:06", "10:20"):
        read = an_event("Page Read", "10:05", received=received, properties={"cart": "c1"})
        assert len(told([added("10:00"), read], THREE_STEPS)) == 3


def test_every_step_has_an_identity_of_its_own():
    decisions = replay(an_engine(THREE_STEPS), "u:ann", [added("10:00")], ms("+9d 00:00")).decisions
    assert len({one.send_id for one in decisions}) == 3
    assert [one.step for one in decisions] == [0, 1, 2]
    assert {one.episode for one in decisions} == {decisions[0].episode}
    assert decisions[2].events == decisions[0].events


def test_an_order_that_happened_in_time_but_arrives_after_the_first_mail_stops_the_rest():
    late = an_event("Ordered", "10:10", received="10:40", properties={"cart": "c1"})
    assert [what for _, what, _ in told([added("10:00"), late], THREE_STEPS)] == ["reminder"]


def test_an_old_order_from_before_the_cart_stops_nothing():
    old = an_event("Ordered", "09:50", received="10:40", properties={"cart": "c1"})
    assert len(told([added("10:00"), old], THREE_STEPS)) == 3
