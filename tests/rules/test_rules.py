"""Rule documents: what is accepted, and how every fault is named by its path and value."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.people import a_rule
from tidings.deciding.rulebook import compile_rule
from tidings.errors import InvalidRuleError
from tidings.rules.rule import json_schema, load

RULES = Path(__file__).parents[2] / "rules"
PERFORMED = {"performed": {"event": "Product Viewed", "times": 3, "within": "1h"}}


def faults(document, **load_args):
    """`path: reason` of every fault, and the value at fault."""
    with pytest.raises(InvalidRuleError) as refused:
        load(document, **load_args)
    return {fault["path"]: (fault["reason"], fault["value"]) for fault in refused.value.faults}


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rule_that_ships_is_valid_and_named_like_its_file(path):
    assert load(yaml.safe_load(path.read_text()), path.stem).id == path.stem


def test_the_schema_for_editors_is_fresh():
    assert (RULES / "schema.json").read_text() == json_schema(), "run: python -m tidings.rules.rule > rules/schema.json"


def test_every_fault_is_named_at_once():
    found = faults({"id": "Bad Id", "status": "on", "trigger": PERFORMED, "send": {}, "sned": 1})
    assert set(found) == {"id", "status", "send.template", "sned"}
    assert found["send.template"] == ("is missing", None)
    assert found["sned"] == ("there is no such field; did you mean send?", 1)
    assert found["status"][1] == "on"


def test_an_unknown_kind_of_trigger_is_answered_with_those_there_are():
    reason, _ = faults(a_rule(trigger={"preformed": {}}))["trigger"]
    assert "did you mean performed?" in reason
    assert "not_performed, performed" in reason
    assert "needs exactly one kind" in faults(a_rule(trigger={}))["trigger"][0]


@pytest.mark.parametrize("within", ["15 minutes", "15", "", "-1m", "0m", "401d", 15, None, "1h 30m"])
def test_a_duration_that_is_none_is_refused(within):
    trigger = {"not_performed": {"after": "A", "none_of": ["B"], "within": within}}
    reason, value = faults(a_rule(trigger=trigger))["trigger.not_performed.within"]
    assert reason.startswith("must be")
    assert value == within


def test_durations_may_be_compound():
    rule = load(a_rule(trigger={"performed": {"event": "A", "times": 2, "within": "1h30m"}}))
    assert rule.trigger.chosen[1].within == 90 * 60 * 1000


def test_a_count_needs_a_window():
    assert "within" in faults(a_rule(trigger={"performed": {"event": "A", "times": 3}}))["trigger.performed"][0]


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"path": "price", "gt": 1}, "trigger.performed.where.path"),
        ({"path": "properties.price"}, "trigger.performed.where"),
        ({"path": "properties.price", "gt": "many"}, "trigger.performed.where.gt"),
        ({"path": "properties.price", "above": 3}, "trigger.performed.where.above"),
        ({"all": [{"path": "properties.a", "gt": 1}], "segment": "b"}, "trigger.performed.where"),
        ([{"path": "properties.a", "exists": True}, {"path": "b", "lt": 2}], "trigger.performed.where.all[1].path"),
    ],
)
def test_a_condition_at_fault_is_named_by_its_path(where, path):
    assert path in faults(a_rule(trigger={"performed": {"event": "A", "where": where}}))


def test_send_and_steps_are_two_ways_to_say_the_same_and_only_one_may_be_used():
    for steps in ([{"wait": "2h"}], [{"send": "welcome"}]):
        assert "either send, or steps" in faults({**a_rule(trigger=PERFORMED), "steps": steps})[""][0]


def test_a_night_that_ends_when_it_begins_is_refused():
    night = {"start": "22:00", "end": "22:00"}
    assert "would never end" in faults(a_rule(trigger=PERFORMED, quiet_hours=night))["quiet_hours"][0]


@pytest.mark.parametrize(
    ("where", "path", "reason"),
    [
        ({"any": None}, "any", "is left empty"),
        ({"not": {"all": None}}, "not.all", "is left empty"),
        ({"all": []}, "all", "List should have at least 1 item after validation, not 0"),
        ([], "all", "List should have at least 1 item after validation, not 0"),
    ],
)
def test_a_condition_that_is_left_empty_is_named_by_its_path(where, path, reason):
    """`any:` with nothing behind it is null in YAML."""
    found = faults(a_rule(trigger={"performed": {"event": "A", "where": where}}))
    assert found[f"trigger.performed.where.{path}"][0] == reason


@pytest.mark.parametrize("field", ["any", "all", "not", "segment", "path"])
def test_an_audience_that_is_left_empty_is_refused(field):
    found = faults(a_rule(trigger=PERFORMED, audience={field: None}))
    assert found == {f"audience.{field}": ("is left empty", None)}


def test_a_selector_names_exactly_one_thing():
    both = {"performed": {"event": "A", "page": "B"}}
    assert "exactly one of" in faults(a_rule(trigger=both))["trigger.performed"][0]


def test_a_document_that_is_no_mapping_is_refused():
    assert faults(["a", "list"])[""][0] == "must be a mapping"


def test_the_id_must_agree_with_the_name_under_which_it_is_stored():
    document = a_rule(id="one", trigger=PERFORMED)
    assert "must be 'two'" in faults(document, rule_id="two")["id"][0]
    document.pop("id")
    assert load(document, "two").id == "two"


def test_a_template_that_does_not_exist_is_a_fault_of_the_rule():
    document = a_rule(trigger=PERFORMED, send={"template": "nothing"})
    reason, value = faults(document, templates={"welcome"})["send.template"]
    assert value == "nothing"
    assert "welcome" in reason


def test_the_version_follows_what_the_rule_does_and_not_what_it_is_called():
    rule = a_rule(trigger=PERFORMED)
    version = load(rule).version
    assert load({**rule, "name": "Another name", "status": "paused", "description": "x"}).version == version
    changed = copy.deepcopy(rule)
    changed["trigger"]["performed"]["times"] = 4
    assert load(changed).version != version
    assert load({**rule, "entry_key": "properties.cart_id"}).version != version


def test_the_order_of_fields_does_not_change_the_version():
    rule = a_rule(trigger=PERFORMED)
    assert load(dict(reversed(rule.items()))).version == load(rule).version


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from([*a_rule(trigger=1), "re_entry", "exit_on", "entry_key", "kind", "category", "nonsense"])


@given(st.dictionaries(field_names, json_values, max_size=4), json_values)
def test_whatever_the_document_holds_it_is_accepted_or_refused_with_reasons(changes, trigger):
    for document in ({**a_rule(trigger=PERFORMED), **changes}, a_rule(trigger={"performed": trigger})):
        try:
            load(document)
        except InvalidRuleError as refused:
            assert refused.faults
            assert all(set(fault) == {"path", "value", "reason"} and fault["reason"] for fault in refused.faults)


def test_a_shadow_says_of_which_rule_and_is_no_other_version_for_that():
    alone = a_rule(id="again", trigger=PERFORMED, status="shadow")
    shadow = load({**alone, "shadow_of": "first"}, rules={"first", "again"})
    assert shadow.shadow_of == "first"
    assert shadow.version == load(alone).version


@pytest.mark.parametrize("status", ["live", "paused"])
def test_what_is_live_is_no_shadow(status):
    found = faults(a_rule(id="again", trigger=PERFORMED, status=status, shadow_of="first"))
    assert "status shadow or draft" in found[""][0]


def test_a_rule_is_no_shadow_of_itself():
    assert "itself" in faults(a_rule(id="again", trigger=PERFORMED, status="draft", shadow_of="again"))[""][0]


def test_the_shadow_of_an_unknown_rule_is_refused_with_the_nearest_name():
    rule = a_rule(id="again", trigger=PERFORMED, status="shadow", shadow_of="cart-abandonned")
    with pytest.raises(InvalidRuleError) as error:
        load(rule, rules={"cart-abandoned", "welcome"})
    assert error.value.faults == [
        {
            "path": "shadow_of",
            "value": "cart-abandonned",
            "reason": "there is no such rule; did you mean cart-abandoned? There are: cart-abandoned, welcome",
        }
    ]


def test_a_shadow_holds_out_the_same_people_as_the_rule_that_it_is_compared_with():
    first = compile_rule(load(a_rule(id="first", trigger=PERFORMED, holdout=50)))
    shadow = a_rule(id="again", trigger=PERFORMED, holdout=50, status="shadow")
    people = [f"u:{number}" for number in range(200)]
    held_out = {name for name in people if first.holds_out(name)}
    assert {name for name in people if compile_rule(load({**shadow, "shadow_of": "first"})).holds_out(name)} == held_out
    assert {name for name in people if compile_rule(load(shadow)).holds_out(name)} != held_out
