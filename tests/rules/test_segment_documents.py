"""Segment documents: what is accepted, how every fault is named, and which versions fit together."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import documents
from tidings.errors import InvalidRuleError
from tidings.rules.segments import json_schema, load, load_all, settle

SEGMENTS = Path(__file__).parents[2] / "rules" / "segments"


def faults(document):
    """`path: reason` of every fault."""
    with pytest.raises(InvalidRuleError) as refused:
        load(document, "fans")
    return {fault["path"]: fault["reason"] for fault in refused.value.faults}


def asking(name, *others, version=1):
    """A segment that asks about others."""
    return load({"where": [{"performed": {"event": f"v{version}"}}, *({"segment": one} for one in others)]}, name)


def by_id(*segments):
    return {one.id: one for one in segments}


def test_every_segment_that_ships_is_valid_and_named_like_its_file():
    shipped = documents.parse_folder(SEGMENTS)
    assert set(load_all(shipped)) == set(shipped) >= {"customers", "engaged"}


def test_the_schema_for_editors_is_fresh():
    kept = (SEGMENTS / "schema.json").read_text()
    assert kept == json_schema(), "run: python -m tidings.rules.segments > rules/segments/schema.json"


def test_every_fault_is_named_at_once_by_where_it_stands():
    where = {"any": [{"performed": {"event": "A", "times": 0}}, {"not": {"path": "traits.a"}}, {"perfromed": "A"}]}
    found = faults({"where": where, "naem": "Fans"})
    assert set(found) == {
        "where.any[0].performed.times",
        "where.any[1].not",
        "where.any[2].perfromed",
        "naem",
    }
    assert found["where.any[1].not"] == "says nothing about traits.a; add an operator such as equals or exists"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({}, "needs exactly one of path, performed, segment, all, any, not"),
        ({"performed": "A", "segment": "b"}, "needs exactly one of path, performed, segment, all, any, not"),
        ({"performed": "A", "equals": 1}, "operators belong beside a path"),
        ({"path": "properties.price", "gt": 1}, "a segment is about a person; ask about properties inside performed"),
    ],
)
def test_a_condition_says_one_thing_about_a_person(where, reason):
    assert reason in faults({"where": where})["where"]


@pytest.mark.parametrize("field", ["performed", "any", "all", "not", "segment", "path"])
def test_a_condition_that_is_left_empty_is_refused(field):
    assert faults({"where": {field: None}}) == {f"where.{field}": "is left empty"}
    assert faults({"where": [{field: None}]}) == {f"where.all[0].{field}": "is left empty"}


@pytest.mark.parametrize("where", [[], {"all": []}])
def test_a_segment_of_no_condition_is_refused(where):
    assert faults({"where": where}) == {"where.all": "List should have at least 1 item after validation, not 0"}


def test_a_segment_that_is_valid_and_cannot_be_compiled_is_refused():
    """No UTF-8 can be made of half an emoji, and so no version either."""
    assert "cannot be compiled" in faults({"where": {"path": "traits.a", "equals": "\ud83d"}})["where"]


def test_what_must_have_been_done_is_an_event_and_no_segment():
    assert (
        "where is about the event"
        in faults({"where": {"performed": {"event": "A", "where": {"segment": "b"}}}})["where.performed"]
    )


@pytest.mark.parametrize("document", [None, [], "fans", {"where": 1}, {"where": {"all": [{"performed": 1}]}}, {}])
def test_what_is_no_segment_at_all_is_refused(document):
    assert faults(document)


def test_the_id_is_the_name_under_which_it_is_stored():
    assert faults({"id": "other", "where": {"performed": "A"}}) == {
        "id": "must be 'fans', the name under which it is stored"
    }
    with pytest.raises(InvalidRuleError, match="segment 'fans' is refused"):
        load({}, "fans")


def test_the_version_follows_from_who_belongs_and_from_nothing_else():
    one = load({"where": {"performed": "A"}}, "fans")
    assert load({"where": {"performed": "A"}, "name": "Fans", "description": "New"}, "fans").version == one.version
    assert load({"where": {"performed": "B"}}, "fans").version != one.version


# --- which versions fit together ---


def test_segments_may_ask_about_each_other_in_any_order():
    newest = by_id(asking("a", "c"), asking("b"), asking("c", "b"))
    assert settle(newest) == (newest, {})


def test_a_segment_that_names_a_missing_one_is_refused_and_so_is_whoever_asks_about_it():
    newest = by_id(asking("a", "b"), asking("b", "nowhere"), asking("c"))
    in_force, refused = settle(newest)
    assert set(in_force) == {"c"}
    assert refused["b"] == [
        {"path": "where.all[1].segment", "value": "nowhere", "reason": "there is no such segment; there are: a, b, c"}
    ]
    assert refused["a"][0]["reason"] == "is refused itself"


def test_segments_that_go_round_in_a_circle_are_refused_and_the_way_is_named():
    in_force, refused = settle(by_id(asking("a", "b"), asking("b", "c"), asking("c", "a"), asking("d", "d")))
    assert in_force == {}
    assert refused["a"][0]["reason"] == "segments must not go round in a circle: a, b, c, a"
    assert refused["d"][0]["reason"] == "segments must not go round in a circle: d, d"


def test_an_edit_that_closes_a_circle_is_refused_and_the_last_good_version_stays():
    before = by_id(asking("a", "b"), asking("b"))
    edited = {**before, "b": asking("b", "a")}
    in_force, refused = settle(edited, before)
    assert in_force == before
    assert set(refused) == {"b"}


def test_two_edits_that_fit_only_together_are_taken_together():
    before = by_id(asking("a", "b"), asking("b"))
    turned = by_id(asking("a"), asking("b", "a"))
    assert settle(turned, before) == (turned, {})


def test_a_segment_whose_companion_was_deleted_is_refused_with_its_last_good_version():
    alone = by_id(asking("a", "b"))
    in_force, refused = settle(alone, alone)
    assert in_force == {}
    assert refused["a"][0]["reason"] == "there is no such segment; there are: a"


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=3)), st.data())
def test_whatever_is_written_what_is_in_force_is_complete_and_without_circles(edits, data):
    """And every other newest version has at least one fault."""
    earlier, _ = settle(by_id(*(asking(name, *asks) for name, asks in edits.items())))
    again = data.draw(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=3)))
    newest = by_id(*(asking(name, *asks, version=2) for name, asks in again.items()))
    in_force, refused = settle(newest, {name: one for name, one in earlier.items() if name in newest})
    asks = {name: {asked for _, asked in one.asks} for name, one in in_force.items()}
    assert all(asked <= in_force.keys() for asked in asks.values())
    while asks:  # without a circle, there is always one that asks about nobody who is left
        free = [name for name, asked in asks.items() if not asked & asks.keys()]
        assert free
        for name in free:
            del asks[name]
    assert all(refused.values())
    assert {name for name in newest if in_force.get(name) is not newest[name]} == refused.keys()


def test_words_that_other_readers_of_yaml_take_for_yes_and_no_stay_words():
    assert documents.parse("{on: off, yes: no, is: true, not: False}") == {
        "on": "off",
        "yes": "no",
        "is": True,
        "not": False,
    }
