"""Joined identities and every other kind of trigger: sequences, sessions, silence, segments and scores."""

from hypothesis import given, settings

from tests.deciding.test_identity_laws import (
    by_rule,
    joined,
    joins_of,
    known_from_the_start,
    of_several_ids,
    what_was_said,
)
from tests.laws import what_fired
from tests.people import a_rule, an_engine
from tests.rules import test_kind_laws as kinds
from tests.rules import test_segment_laws as segments

LOOKS = {"event": "View", "weight": 3, "within": "1h", "at_most": 4}
ORDERS = {"event": "Order", "weight": -4, "within": "30m"}
SCORES = [
    a_rule(id="score", trigger={"score": {"features": [LOOKS, ORDERS], "above": 6}}, frequency_cap="off"),
    a_rule(
        id="score-exit",
        trigger={"score": {"features": [LOOKS], "above": 5}},
        exit_on=["Order"],
        frequency_cap="off",
    ),
    a_rule(id="score-sinks", trigger={"score": {"features": [ORDERS], "above": -3}}, frequency_cap="off"),
]
STANDING = an_engine(*segments.RULES, *SCORES, segments=segments.SEGMENTS)


@settings(max_examples=300, deadline=None)
@given(of_several_ids(kinds.histories(longest_delay=0), latest_join=9))
def test_a_session_or_silence_that_ends_after_the_join_is_that_of_a_person_who_was_always_known(history):
    """To the last byte. The joins come before any session can have ended."""
    decisions = by_rule(joined(history, kinds.ENDINGS))
    wanted = by_rule(known_from_the_start(history, kinds.ENDINGS))
    assert decisions.keys() == wanted.keys()
    for rule, mine in decisions.items():
        assert what_was_said(mine) == what_was_said(wanted[rule])


@settings(max_examples=300, deadline=None)
@given(of_several_ids(kinds.histories(longest_delay=0), latest_join=39))
def test_a_sequence_is_found_as_often_as_if_the_person_had_been_known_whoever_did_which_step(history):
    """The joins come within the lateness bound. Two ids that have both fired before the join have overlapped unseen."""
    decisions, wanted = by_rule(joined(history, kinds.ENGINE)), by_rule(known_from_the_start(history, kinds.ENGINE))
    for rule in [one["id"] for one in kinds.AT_ONCE]:
        mine, theirs = decisions.get(rule, []), wanted.get(rule, [])
        fired_as = {one.person for one in mine}
        if fired_as <= {"u:ann"} or (len(fired_as) == 1 and not rule.endswith(("once", "paused"))):
            assert what_fired(mine) == what_fired(theirs)
        assert what_fired(one for one in mine if one.person == "u:ann") <= what_fired(theirs)


@settings(max_examples=300, deadline=None)
@given(of_several_ids(segments.histories(longest_delay=0)))
def test_after_the_join_segments_and_scores_change_as_if_the_person_had_always_been_known(history):
    last_join = max(joins_of(history).values())

    def told_later(decisions):
        return segments.told([one for one in decisions if one.due_at > last_join])

    decisions = joined(history, STANDING)
    assert told_later(decisions) == told_later(known_from_the_start(history, STANDING))
    assert len({one.send_id for one in decisions}) == len(decisions)
