"""Conditions: what holds, what does not, and what is reported as a mismatch."""

import pytest
from pydantic import ValidationError

from tests.people import an_event
from tidings.rules.conditions import Condition, TypeMismatchError, compile_condition

EVENT = an_event(
    "X",
    "10:00",
    properties={
        "price": 20,
        "name": "Red lamp",
        "tags": ["new", 7],
        "sale": True,
        "nothing": None,
        "address": {"city": "Oslo"},
    },
    traits={"plan": "pro"},
    context={"page": {"path": "/pricing"}},
)


def holds(**condition):
    return compile_condition(Condition.model_validate(condition))(EVENT)


@pytest.mark.parametrize(
    "condition",
    [
        {"path": "properties.price", "equals": 20},
        {"path": "properties.price", "equals": 20.0},
        {"path": "properties.price", "not_equals": "20"},
        {"path": "properties.price", "gt": 19.5, "lt": 21},
        {"path": "properties.price", "gte": 20, "lte": 20},
        {"path": "properties.price", "in": [1, 20]},
        {"path": "properties.name", "contains": "lamp"},
        {"path": "properties.tags", "contains": "new"},
        {"path": "properties.tags", "contains": 7},
        {"path": "properties.sale", "equals": True},
        {"path": "properties.sale", "not_equals": 1},
        {"path": "properties.nothing", "exists": False},
        {"path": "properties.nothing", "equals": None},
        {"path": "properties.missing", "not_equals": "x"},
        {"path": "properties.address.city", "equals": "Oslo"},
        {"path": "properties.address.city.street", "exists": False},
        {"path": "properties.address", "equals": {"city": "Oslo"}},
        {"path": "traits.plan", "in": ["pro", "team"]},
        {"path": "context.page.path", "contains": "/pricing"},
        {"all": [{"path": "traits.plan", "exists": True}, {"path": "properties.price", "lt": 100}]},
        {"any": [{"path": "traits.plan", "equals": "free"}, {"path": "properties.price", "lt": 100}]},
        {"not": {"path": "traits.plan", "equals": "free"}},
    ],
)
def test_what_holds(condition):
    assert holds(**condition)
    assert not holds(**{"not": condition})


@pytest.mark.parametrize("operator", ["equals", "in", "contains", "gt", "gte", "lt", "lte"])
def test_a_missing_value_satisfies_no_comparison(operator):
    wanted = {"in": [1], "contains": "1", "equals": 1}.get(operator, 1)
    assert not holds(path="properties.missing", **{operator: wanted})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"path": "properties.name", "gt": 1}, "a number"),
        ({"path": "properties.sale", "lt": 5}, "a number"),
        ({"path": "properties.price", "contains": "2"}, "a string or a list"),
        ({"path": "properties.name", "contains": 2}, "a string or a list"),
    ],
)
def test_a_value_of_the_wrong_type_is_reported_without_showing_it(condition, expected):
    with pytest.raises(TypeMismatchError) as mismatch:
        holds(**condition)
    assert condition["path"] in str(mismatch.value)
    assert expected in str(mismatch.value)
    assert "lamp" not in str(mismatch.value)


@pytest.mark.parametrize("name", ["all", "any", "not", "segment", "path"])
def test_a_field_that_is_left_empty_is_refused_by_name(name):
    with pytest.raises(ValidationError) as refused:
        Condition.model_validate({name: None})
    [error] = refused.value.errors()
    assert (error["loc"], error["msg"], error["input"]) == ((name,), "Value error, is left empty", None)


@pytest.mark.parametrize("operator", ["in", "exists", "contains", "gt", "gte", "lt", "lte"])
def test_an_operator_that_is_left_empty_is_refused_by_name(operator):
    with pytest.raises(ValidationError, match="is left empty"):
        Condition.model_validate({"path": "properties.price", operator: None})


@pytest.mark.parametrize("join", ["all", "any"])
def test_a_join_of_nothing_is_refused(join):
    """The one would hold for everybody and the other for nobody: neither is what an author means."""
    with pytest.raises(ValidationError, match="at least 1 item"):
        Condition.model_validate({join: []})


def test_a_condition_that_says_nothing_is_refused():
    for nothing in ({}, {"path": "properties.x"}, {"equals": 3}, {"path": "elsewhere.x", "exists": True}):
        with pytest.raises(ValidationError):
            Condition.model_validate(nothing)
