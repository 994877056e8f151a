"""Conditions that nothing can satisfy: what is called impossible is so, and what plainly is impossible is called so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.checking.contradictions import clash, covers, is_implied, parts_that_clash
from tidings.rules.conditions import Condition, TypeMismatchError, compile_condition
from tidings.rules.kinds.activity import ACTIVITY
from tidings.rules.segments import load
from tidings.rules.selectors import Selector

A, B = "properties.a", "traits.b"
VALUES = [None, True, False, 0, 1, 1.0, 2, 5, 5.5, -3, "", "x", "xy", "1", [], ["x"], [1, "xy"], [True], {"c": "x"}]
"""Whatever a condition can tell apart, a value of each sort."""


def condition(document):
    return Condition.model_validate(document)


class Subject:
    """An event, or a person who is in some segments."""

    def __init__(self, a, b, segments):
        self.objects = {"properties": {"a": a}, "traits": {"b": b}, "context": {}}
        self.segments = segments

    def read(self, root):
        return self.objects[root]

    def is_in(self, segment):
        return segment in self.segments


SUBJECTS = [Subject(a, b, segments) for a in VALUES for b in VALUES for segments in ((), ("s",), ("s", "t"))]

numbers = st.sampled_from([0, 1, 2, 5, 5.5])
scalars = st.sampled_from([True, 1, 2, 5, "x", "xy", "1"])
operators = st.one_of(
    st.tuples(st.sampled_from(["equals", "not_equals"]), st.sampled_from(VALUES)),
    st.tuples(st.just("in"), st.lists(scalars, max_size=3)),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(st.just("contains"), scalars),
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), numbers),
)
simple = st.builds(
    lambda path, given: {"path": path, **dict(given)},
    st.sampled_from([A, A, B]),
    st.lists(operators, min_size=1, max_size=2),
) | st.sampled_from([{"segment": "s"}, {"segment": "t"}])
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda many: {"all": many}, st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda many: {"any": many}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=6,
).map(condition)


def holds(test, subject):
    """What cannot be read does not hold: the engine leaves such an event out."""
    try:
        return test(subject)
    except TypeMismatchError:
        return False


def is_read(test, subject):
    try:
        test(subject)
    except TypeMismatchError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(conditions.filter(lambda one: clash(one) is not None))
def test_what_is_called_impossible_is_never_satisfied(impossible):
    test = compile_condition(impossible)
    assert not any(holds(test, subject) for subject in SUBJECTS)


@settings(max_examples=300, deadline=None)
@given(st.lists(operators, min_size=1, max_size=3), st.booleans())
def test_operators_on_one_path_that_fit_some_value_are_never_called_impossible(given_operators, negated):
    several = {"all": [{"path": A, name: value} for name, value in given_operators]}
    one = condition({"not": several} if negated else several)
    if any(holds(compile_condition(one), subject) for subject in SUBJECTS):
        assert clash(one) is None


@settings(max_examples=300, deadline=None)
@given(conditions, conditions)
def test_what_is_implied_holds_wherever_it_can_be_read(given_condition, wanted):
    if is_implied(wanted, given_condition):
        is_given, is_wanted = compile_condition(given_condition), compile_condition(wanted)
        for subject in SUBJECTS:
            if holds(is_given, subject):
                assert holds(is_wanted, subject) or not is_read(is_wanted, subject)


@pytest.mark.parametrize(
    "impossible",
    [
        {"all": [{"path": A, "equals": 3}, {"path": A, "equals": 4}]},
        {"all": [{"path": A, "equals": 3}, {"all": [{"path": B, "exists": True}, {"path": A, "equals": "3"}]}]},
        {"path": A, "gt": 5, "lt": 5},
        {"path": A, "gte": 6, "lte": 5},
        {"path": A, "gt": 5, "lte": 5},
        {"path": A, "gte": 5, "lte": 5, "not_equals": 5},
        {"path": A, "in": []},
        {"all": [{"path": A, "in": [1, 2]}, {"path": A, "in": ["1", 3]}]},
        {"path": A, "exists": False, "equals": "x"},
        {"path": A, "exists": False, "gt": 1},
        {"all": [{"path": A, "equals": "many"}, {"path": A, "gt": 1}]},
        {"path": A, "contains": "x", "gt": 1},
        {"path": A, "equals": "lamp", "contains": "pump"},
        {"path": A, "equals": None, "exists": True},
        {"all": [{"path": A, "contains": "x"}, {"not": {"path": A, "contains": "x"}}]},
        {"any": [{"path": A, "gt": 5, "lt": 5}, {"path": A, "in": []}]},
        {"not": {"any": [{"path": A, "exists": True}, {"path": A, "exists": False}]}},
        {"all": [{"not": {"path": A, "exists": True}}, {"path": A, "equals": 1}]},
        {"all": [{"segment": "s"}, {"not": {"segment": "s"}}]},
        {"all": [{"segment": "s"}, {"not": {"any": [{"segment": "t"}, {"segment": "s"}]}}]},
    ],
)
def test_what_plainly_contradicts_itself_is_found(impossible):
    assert clash(condition(impossible)) is not None


@pytest.mark.parametrize(
    "possible",
    [
        {"path": A, "gte": 5, "lte": 5},
        {"path": A, "exists": True, "not_equals": 3},
        {"all": [{"path": A, "equals": 3}, {"path": B, "equals": 4}]},
        {"all": [{"path": A, "contains": "x"}, {"path": A, "contains": "y"}]},
        {"all": [{"path": A, "equals": [1]}, {"path": A, "contains": True}]},
        {"any": [{"path": A, "in": []}, {"path": A, "gt": 1}]},
        {"not": {"path": A, "gt": 5, "lt": 5}},
        {"all": [{"segment": "s"}, {"not": {"segment": "t"}}]},
    ],
)
def test_what_may_happen_is_left_alone(possible):
    assert clash(condition(possible)) is None


def test_the_two_statements_that_clash_are_named():
    one = condition({"all": [{"path": B, "exists": True}, {"path": A, "equals": 3}, {"path": A, "equals": "3"}]})
    assert str(clash(one)) == 'properties.a equals 3 and properties.a equals "3" are never true together'


def test_a_branch_that_is_never_true_is_found_inside_a_condition_that_may_be():
    one = condition({"any": [{"path": A, "equals": 1}, {"all": [{"path": A, "gt": 5}, {"path": A, "lt": 1}]}]})
    assert [place for place, _ in parts_that_clash(one, stands_at="where")] == ["where.any[1]"]


def test_what_a_segment_asks_for_is_taken_into_account():
    pro = load({"where": {"path": "traits.plan", "equals": "pro"}}, "pro")
    inside = condition({"all": [{"segment": "pro"}, {"path": "traits.plan", "equals": "free"}]})
    outside = condition({"all": [{"not": {"segment": "pro"}}, {"path": "traits.plan", "equals": "pro"}]})
    assert clash(inside) is None
    assert clash(inside, {"pro": pro}) is not None
    assert clash(outside, {"pro": pro}) is None, "whose plan could not be read would be in no segment"


def test_to_have_done_something_often_and_not_at_all_is_impossible():
    often = {"performed": {"event": "X", "times": 3, "within": "7d"}}
    for seldom, is_impossible in (
        ({"event": "X"}, True),
        ({"event": "X", "times": 2, "within": "30d"}, True),
        ({"event": "X", "times": 4, "within": "30d"}, False),
        ({"event": "X", "within": "1d"}, False),
        ({"event": "Y"}, False),
    ):
        where = load({"where": [often, {"not": {"performed": seldom}}]}, "s").where
        assert (clash(where) is not None) is is_impossible, seldom


def test_a_condition_with_too_many_branches_is_taken_to_be_possible():
    many = [{"any": [{"path": f"properties.p{n}", "equals": 1}, {"path": A, "in": []}]} for n in range(12)]
    assert clash(condition({"all": [{"path": A, "exists": True}, *many]})) is None


def test_one_selector_covers_another_when_each_of_its_events_is_meant():
    dear = {"event": "X", "where": {"path": A, "gte": 100}}
    dearer = {"event": "X", "where": {"path": A, "gt": 200}}
    for wide, narrow, is_covered in (
        ("X", "X", True),
        ("X", "Y", False),
        ("X", {"page": "X"}, False),
        ({"page": "*"}, {"page": "X"}, True),
        ({"page": "X"}, {"page": "*"}, False),
        ({"type": "track"}, "X", True),
        ("X", dear, True),
        (dear, "X", False),
        (dear, dear, True),
        (dear, dearer, True),
        (dearer, dear, False),
    ):
        assert covers(Selector.model_validate(wide), Selector.model_validate(narrow)) is is_covered, (wide, narrow)


def test_any_activity_does_not_cover_a_report_about_our_mail():
    [any_track, *_] = ACTIVITY
    assert not covers(any_track, Selector.model_validate("Email Opened"))
    assert covers(Selector.model_validate({"type": "track"}), any_track)
