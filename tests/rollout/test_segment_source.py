"""Segments that are edited while the system runs, and the rules that name them."""

import pytest

from tests.people import a_rule, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.rollout.rule_source import RuleSource

BUYERS = {"where": {"performed": "Order"}}
COURTED = {"where": {"not": {"segment": "buyers"}}}
RULE = a_rule(id="hello", trigger={"segment": {"id": "courted", "on": "enter"}})


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    store.put_segment("buyers", BUYERS)
    store.put_segment("courted", COURTED)
    store.put_rule("hello", RULE)
    yield store
    store.close()


def refresh(store, when="10:00"):
    return RuleSource(store).refresh(at(when))


def said_of(store):
    """Every report, by the name of its document."""
    return {one.rule_id: one.report for one in (*store.segments(), *store.rules())}


def test_good_segments_are_in_force_and_their_documents_say_so(store):
    book = refresh(store)
    assert book.segments.names == {"buyers", "courted"}
    assert set(book.rules) == {"hello"}
    for report in said_of(store).values():
        assert report["valid"] is True
        assert report["faults"] == []
        assert report["checked_at"].startswith("2025-03-03T10:00")
    assert store.segments()[0].last_good == BUYERS


def test_an_edited_segment_makes_a_new_book_and_no_edit_makes_none(store):
    source = RuleSource(store)
    book = source.refresh(at("10:00"))
    assert source.refresh(at("10:01")) is book
    store.put_segment("buyers", {"where": {"performed": {"event": "Order", "times": 2}}})
    assert source.refresh(at("10:02")).segments.version != book.segments.version


def test_a_bad_edit_leaves_the_last_good_version_in_force_even_after_a_restart(store):
    good = refresh(store).segments.version
    store.put_segment("buyers", {"where": {"performed": {"event": "Order", "times": 0}}})
    assert refresh(store).segments.version == good
    report = said_of(store)["buyers"]
    assert report["valid"] is False
    assert report["faults"][0]["path"] == "where.performed.times"
    assert report["version"] is not None
    assert said_of(store)["courted"]["valid"] is True


def test_an_edit_that_closes_a_circle_is_the_fault_of_that_document_alone(store):
    good = refresh(store).segments.version
    store.put_segment("buyers", {"where": {"segment": "courted"}})
    assert refresh(store).segments.version == good
    said = said_of(store)
    assert said["buyers"]["faults"][0]["reason"] == "segments must not go round in a circle: buyers, courted, buyers"
    assert said["courted"]["valid"] is True


def test_a_segment_that_was_never_good_is_not_in_force_and_neither_are_rules_that_name_it(store):
    store.put_segment("courted", {"where": {}})
    book = refresh(store)
    assert book.segments.names == {"buyers"}
    assert not book.rules
    assert said_of(store)["courted"]["version"] is None
    fault = said_of(store)["hello"]["faults"][0]
    assert (fault["path"], fault["value"]) == ("trigger.segment.id", "courted")
    assert fault["reason"] == "there is no such segment; there are: buyers"


def test_deleting_a_segment_stops_the_rules_that_name_it_and_putting_it_back_starts_them(store):
    """Its last good version cannot stand in: it would write to people of whom nobody knows whether they are meant."""
    source = RuleSource(store)
    source.refresh(at("10:00"))
    store.delete_segment("courted")
    assert not source.refresh(at("10:01")).rules
    assert said_of(store)["hello"]["version"] is None
    store.put_segment("courted", COURTED)
    assert set(source.refresh(at("10:02")).rules) == {"hello"}
    assert said_of(store)["hello"]["valid"] is True


def test_an_earlier_version_of_a_rule_that_names_a_deleted_segment_is_forgotten(store):
    source = RuleSource(store)
    source.refresh(at("10:00"))
    store.put_rule("hello", {**RULE, "trigger": {"performed": {"event": "View"}}})
    store.delete_segment("courted")
    assert set(source.refresh(at("10:01")).rules) == {"hello"}


def test_many_workers_write_the_same_report_once(store):
    refresh(store, "10:00")
    refresh(store, "11:00")
    assert all(report["checked_at"].startswith("2025-03-03T10:00") for report in said_of(store).values())


def test_an_edit_of_a_segment_is_kept(store):
    refresh(store)
    store.put_segment("buyers", {"where": {"performed": {"event": "Order", "times": 2}}})
    refresh(store, "10:01")
    store.put_segment("buyers", {"where": {"performed": {"event": "Order", "times": 0}}})
    refresh(store, "10:02")
    assert [one.note for one in store.versions("segment", "buyers")] == [
        "edited in the store",
        "first seen in the store",
    ]
