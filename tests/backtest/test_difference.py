"""What another version of a rule decides differently."""

import itertools
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.people import a_rule, an_engine, an_event, at, ms
from tidings.backtest.difference import Counts, Pair, compare
from tidings.deciding.replay import replay
from tidings.wire.decisions import Decision, Trigger, send_id


def decided(version="v1", person="u:ann", due="10:00", evidence=("m1",), key="", step=0, **more):
    when = at(due) if isinstance(due, str) else due
    return Decision(
        send_id=send_id("r", version, person, key, f"{when}{evidence}", step),
        rule_id="r",
        rule_version=version,
        person=person,
        entry_key=key,
        episode="e",
        step=step,
        template=more.pop("template", "t"),
        due_at=when,
        decided_at=when,
        evidence=evidence,
        event=Trigger(name="X", timestamp=when),
        **more,
    )


def changes(old, new):
    return [pair.change for pair in compare(old, new).pairs]


def test_what_falls_due_at_the_same_instant_is_the_same():
    assert changes([decided("v1")], [decided("v2")]) == ["same"]


def test_what_rests_on_the_same_event_has_moved():
    [pair] = compare([decided("v1")], [decided("v2", due="10:15")]).pairs
    assert (pair.change, pair.moved) == ("moved", timedelta(minutes=15))


def test_another_outcome_or_template_at_the_same_instant_is_a_change():
    capped = decided("v2", outcome="suppressed", reason="frequency_capped")
    assert changes([decided("v1")], [capped]) == ["changed"]
    assert changes([decided("v1")], [decided("v2", template="u")]) == ["changed"]


def test_what_rests_on_other_events_at_another_time_is_removed_and_added():
    assert changes([decided("v1")], [decided("v2", due="11:00", evidence=("m2",))]) == ["removed", "added"]


def test_the_sum_of_times_does_not_depend_on_who_comes_first():
    seconds = [0.1, 0.2, 0.3, 1e6 + 0.7]
    sums = set()
    for order in itertools.permutations(seconds):
        told = Counts()
        for one in order:
            told.add(Counts(moved=1, later=1, later_seconds=one))
        sums.add((told.moved, told.later_seconds))
    assert sums == {(4, 1_000_001.3)}


def test_other_people_keys_and_steps_have_nothing_to_do_with_each_other():
    for other in (decided("v2", "u:bob"), decided("v2", key="c1"), decided("v2", step=1)):
        assert sorted(changes([decided("v1")], [other])) == ["added", "removed"]


def test_of_several_that_share_evidence_the_nearest_in_time_belong_together():
    old = [decided("v1", due="10:00", evidence=("a", "b")), decided("v1", due="12:00", evidence=("b",))]
    new = [decided("v2", due="11:50", evidence=("b",))]
    assert changes(old, new) == ["removed", "moved"]


def test_a_longer_wait_moves_what_is_left_and_removes_what_an_order_ends():
    document = {"id": "cart", "entry_key": "properties.cart", "frequency_cap": "off"}
    trigger = {"after": "Add", "none_of": ["Order"]}
    engines = [
        an_engine(a_rule(**document, trigger={"not_performed": {**trigger, "within": within}}))
        for within in ("15m", "30m")
    ]
    events = [
        an_event("Add", "10:00", properties={"cart": "left"}),
        an_event("Add", "10:01", properties={"cart": "bought"}),
        an_event("Order", "10:20", properties={"cart": "bought"}),
    ]
    old, new = (replay(engine, "u:ann", events, ms("12:00")).decisions for engine in engines)
    counts = compare(old, new).counts
    assert counts == Counts(moved=1, removed=1, later=1, later_seconds=900.0)


some_decisions = st.lists(
    st.builds(
        decided,
        version=st.just("v"),
        person=st.sampled_from(["u:ann", "u:bob"]),
        due=st.integers(0, 5).map(lambda minutes: at("10:00") + timedelta(minutes=minutes)),
        evidence=st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True).map(tuple),
        key=st.sampled_from(["", "k"]),
        step=st.integers(0, 1),
        outcome=st.sampled_from(["send", "shadow"]),
    ),
    max_size=8,
    unique_by=lambda one: one.send_id,
)


def of_version(decisions, version):
    return [replace(one, send_id=f"{version}{one.send_id}", rule_version=version) for one in decisions]


@settings(max_examples=300, deadline=None)
@given(some_decisions, some_decisions)
def test_every_decision_is_told_once(old, new):
    old, new = of_version(old, "1"), of_version(new, "2")
    pairs = compare(old, new).pairs
    assert sorted(one.old.send_id for one in pairs if one.old) == sorted(one.send_id for one in old)
    assert sorted(one.new.send_id for one in pairs if one.new) == sorted(one.send_id for one in new)
    counts = compare(old, new).counts
    assert counts.same + counts.moved + counts.changed + counts.added + counts.removed == len(pairs)
    assert counts.later + counts.earlier == counts.moved


@settings(max_examples=200, deadline=None)
@given(some_decisions)
def test_nothing_differs_from_itself(decisions):
    assert set(changes(of_version(decisions, "1"), of_version(decisions, "2"))) <= {"same"}


@settings(max_examples=300, deadline=None)
@given(some_decisions, some_decisions)
def test_the_other_way_round_added_and_removed_change_places(old, new):
    old, new = of_version(old, "1"), of_version(new, "2")
    there, back = compare(old, new), compare(new, old)

    def names(pair):
        return pair.old and pair.old.send_id, pair.new and pair.new.send_id

    assert {names(one) for one in there.pairs} == {names(Pair(one.new, one.old)) for one in back.pairs}


@settings(max_examples=100, deadline=None)
@given(some_decisions, some_decisions)
def test_counts_of_people_add_up(old, new):
    old, new = of_version(old, "1"), of_version(new, "2")
    together = Counts()
    for person in ("u:ann", "u:bob"):
        its = [[one for one in side if one.person == person] for side in (old, new)]
        together.add(compare(*its).counts)
    assert together == compare(old, new).counts
