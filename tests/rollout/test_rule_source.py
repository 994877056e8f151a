"""Rules that are edited while the system runs."""

import pytest

from tests.people import a_rule, an_event, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.rollout.rule_source import RuleSource
from tidings.rollout.versions import follow

GOOD = a_rule(id="greeting", trigger={"performed": {"event": "Signed Up"}})
QUOTED = {"gap": "30m", "having": [{"event": "Signed Up", "by": 'properties.a"b', "at_least": 2}]}
"""A valid trigger that no decoder can be made for."""
BAD = {**GOOD, "trigger": {"performed": {"event": "Signed Up", "times": 3}}}


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    yield store
    store.close()


def rules_for(book, name):
    return [one.compiled.rule for one in book.watches(an_event(name, "10:00")) if not one.compiled.superseded]


def record(store):
    [one] = store.rules()
    return one


def test_a_good_rule_runs_and_its_document_says_so(store):
    store.put_rule("greeting", GOOD)
    [rule] = rules_for(RuleSource(store).refresh(at("10:00")), "Signed Up")
    report = record(store).report
    assert report["valid"] is True
    assert report["version"] == rule.version
    assert report["checked_at"].startswith("2025-03-03T10:00")
    assert record(store).last_good == GOOD


def test_an_edit_makes_a_new_book_and_no_edit_makes_none(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    book = source.refresh(at("10:00"))
    assert source.refresh(at("10:01")) is book
    store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": "Signed In"}}})
    edited = source.refresh(at("10:02"))
    assert rules_for(edited, "Signed In")
    assert not rules_for(edited, "Signed Up")


def test_a_bad_edit_leaves_the_last_good_version_live_and_says_so_on_the_document(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    [good] = rules_for(source.refresh(at("10:00")), "Signed Up")
    store.put_rule("greeting", BAD)
    [live] = rules_for(source.refresh(at("10:01")), "Signed Up")
    assert live.version == good.version
    report = record(store).report
    assert report["valid"] is False
    assert report["version"] == good.version
    assert report["faults"][0]["path"] == "trigger.performed"
    assert record(store).document == BAD


@pytest.mark.parametrize("status", ["live", "draft"])
def test_a_rule_that_is_valid_and_cannot_be_compiled_is_refused_like_any_other(store, status):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    [good] = rules_for(source.refresh(at("10:00")), "Signed Up")
    store.put_rule("greeting", {**GOOD, "status": status, "trigger": {"session_ended": QUOTED}})
    for reader in (source, RuleSource(store)):
        [live] = rules_for(reader.refresh(at("10:01")), "Signed Up")
        assert live.version == good.version
    [fault] = record(store).report["faults"]
    assert "cannot be compiled" in fault["reason"]
    assert record(store).last_good == GOOD


def test_a_version_in_the_history_that_cannot_be_compiled_any_more_is_left_out(store):
    """An earlier release took it; this one refuses it, and starts all the same."""
    bad = {**GOOD, "trigger": {"performed": {"event": "Signed Up", "where": {"any": None}}}}
    store.put_rule("greeting", GOOD)
    history = [{"version": "12345678", "document": bad, "superseded_at": at("10:00").isoformat()}]
    store.report_rule("greeting", {"valid": True, "version": "87654321", "history": history}, bad)
    assert rules_for(RuleSource(store).refresh(at("10:01")), "Signed Up")


def test_the_last_good_version_survives_a_restart(store):
    store.put_rule("greeting", GOOD)
    RuleSource(store).refresh(at("10:00"))
    store.put_rule("greeting", BAD)
    assert rules_for(RuleSource(store).refresh(at("10:05")), "Signed Up")


def test_a_rule_that_was_never_good_does_not_run(store):
    store.put_rule("greeting", BAD)
    assert not rules_for(RuleSource(store).refresh(at("10:00")), "Signed Up")
    assert record(store).report["version"] is None


def test_a_mended_rule_runs_again_and_loses_its_faults(store):
    store.put_rule("greeting", BAD)
    source = RuleSource(store)
    source.refresh(at("10:00"))
    store.put_rule("greeting", GOOD)
    assert rules_for(source.refresh(at("10:01")), "Signed Up")
    assert record(store).report["faults"] == []


def test_a_bad_rule_disturbs_no_other(store):
    store.put_rule("greeting", BAD)
    store.put_rule("other", {**GOOD, "id": "other"})
    assert [rule.id for rule in rules_for(RuleSource(store).refresh(at("10:00")), "Signed Up")] == ["other"]


def test_a_rule_whose_template_does_not_exist_is_refused(store):
    store.put_rule("greeting", GOOD)
    RuleSource(store, templates={"goodbye"}).refresh(at("10:00"))
    assert record(store).report["faults"][0]["path"] == "send.template"


def test_a_deleted_rule_stops(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    source.refresh(at("10:00"))
    store.delete_rule("greeting")
    assert not rules_for(source.refresh(at("10:01")), "Signed Up")


def test_many_workers_write_the_same_report_once(store):
    store.put_rule("greeting", GOOD)
    RuleSource(store).refresh(at("10:00"))
    RuleSource(store).refresh(at("11:00"))
    assert record(store).report["checked_at"].startswith("2025-03-03T10:00")


def test_a_superseded_version_stays_in_the_book_for_what_began_under_it_even_after_a_restart(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    [before] = rules_for(source.refresh(at("10:00")), "Signed Up")
    store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": "Signed In"}}})
    for reader in (source, RuleSource(store)):
        book = reader.refresh(at("10:01"))
        assert book.find("greeting", before.version).superseded
        assert not book.find("greeting", "anything else").superseded
    assert [one["version"] for one in record(store).report["history"]] == [before.version]


def test_a_version_that_comes_back_is_no_history(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    source.refresh(at("10:00"))
    for number, event in enumerate(["Signed In", "Signed Up"]):
        store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": event}}})
        source.refresh(at(f"10:0{number + 1}"))
    assert len(record(store).report["history"]) == 1


def test_versions_are_remembered_for_ninety_days(store):
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    source.refresh(at("10:00"))
    store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": "Signed In"}}})
    source.refresh(at("11:00"))
    store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": "Signed Out"}}})
    source.refresh(at("+91d 12:00"))
    assert len(record(store).report["history"]) == 1


def notes(store, kind="rule", name="greeting"):
    return [one.note for one in store.versions(kind, name)]


def test_an_edit_in_the_store_is_kept_once_however_many_workers_see_it(store):
    sources = [RuleSource(store) for _ in range(3)]
    store.put_rule("greeting", GOOD)
    for source in sources:
        source.refresh(at("10:00"))
    edited = {**GOOD, "name": "Hello"}
    store.put_rule("greeting", edited)
    for number, source in enumerate([*sources, RuleSource(store)]):
        source.refresh(at(f"10:0{number}"))
    assert notes(store) == ["edited in the store", "first seen in the store"]
    assert [one.document for one in store.versions("rule", "greeting")] == [edited, GOOD]
    assert store.versions("rule", "greeting")[0].version == record(store).report["version"]


def test_every_version_is_kept_also_one_that_comes_back(store):
    source = RuleSource(store)
    for number, status in enumerate(["live", "paused", "live", "paused"]):
        store.put_rule("greeting", {**GOOD, "status": status})
        source.refresh(at(f"10:0{number}"))
    assert [one.document["status"] for one in store.versions("rule", "greeting")] == ["paused", "live"] * 2


def test_what_is_pushed_with_its_record_keeps_its_note(store):
    store.put_rule("greeting", GOOD, follow(None, "rule", "greeting", "v1", GOOD, at("09:59"), "as agreed"))
    RuleSource(store).refresh(at("10:00"))
    assert notes(store) == ["as agreed"]


def test_what_is_not_valid_is_no_version(store):
    store.put_rule("greeting", BAD)
    RuleSource(store).refresh(at("10:00"))
    assert notes(store) == []


def test_true_is_not_one(store):
    """Python's own comparison would call it no edit."""
    where = {"path": "properties.new", "equals": True}
    source = RuleSource(store)
    for value in (True, 1):
        where = {"path": "properties.new", "equals": value}
        store.put_rule("greeting", {**GOOD, "trigger": {"performed": {"event": "Signed Up", "where": where}}})
        source.refresh(at("10:00"))
    assert len(notes(store)) == 2


def test_a_command_that_only_looks_keeps_nothing(store):
    store.put_rule("greeting", GOOD)
    RuleSource(store, reports=False).refresh(at("10:00"))
    assert notes(store) == []
    assert record(store).report is None


class Counting(SqliteStore):
    """Counts how often somebody asks for versions, and may push in the middle of it."""

    asked = 0
    meanwhile = staticmethod(lambda: None)

    def versions(self, *args, **options):
        self.asked += 1
        self.meanwhile()
        return super().versions(*args, **options)


def test_the_history_is_read_when_a_document_has_changed_and_not_every_five_seconds(tmp_path):
    store = Counting(f"{tmp_path}/store.db")
    store.put_rule("greeting", GOOD)
    store.put_rule("other", {**GOOD, "id": "other"})
    source = RuleSource(store)
    for _ in range(3):
        source.refresh(at("10:00"))
    assert store.asked == 2
    store.put_rule("other", {**GOOD, "id": "other", "name": "Other"})
    source.refresh(at("10:01"))
    assert store.asked == 3
    store.close()


def test_a_push_in_the_middle_of_a_refresh_is_not_taken_for_an_edit(tmp_path):
    """The document was read before it, the history after it."""
    store = Counting(f"{tmp_path}/store.db")
    source = RuleSource(store)
    store.put_rule("greeting", GOOD)
    source.refresh(at("10:00"))
    pushed = {**GOOD, "name": "Pushed"}

    def push():
        store.meanwhile = lambda: None
        newest = store.versions("rule", "greeting", limit=1)[0]
        store.put_rule("greeting", pushed, follow(newest, "rule", "greeting", "v1", pushed, at("10:01"), "push"))

    store.put_rule("greeting", {**GOOD, "name": "Edited"})
    store.meanwhile = push
    source.refresh(at("10:01"))
    source.refresh(at("10:02"))
    assert notes(store) == ["push", "first seen in the store"]
    store.close()


def test_clocks_of_different_machines_do_not_change_the_order(store):
    store.put_rule("greeting", GOOD, follow(None, "rule", "greeting", "v1", GOOD, at("11:00"), "push"))
    store.put_rule("greeting", {**GOOD, "name": "Hello"})
    RuleSource(store).refresh(at("10:00"))
    assert notes(store) == ["edited in the store", "push"]


SHADOW = {**GOOD, "id": "again", "status": "shadow", "shadow_of": "greeting"}
COMPARED = {"compared_with": "greeting", "until": "2025-03-03T10:00:00+00:00", "same": 3}


def report_of(store, name):
    return next(one.report for one in store.rules() if one.rule_id == name)


def test_the_shadow_of_a_rule_that_is_gone_is_refused(store):
    store.put_rule("again", SHADOW)
    source = RuleSource(store)
    assert not source.refresh(at("10:00")).rules
    assert report_of(store, "again")["faults"][0]["path"] == "shadow_of"
    store.put_rule("greeting", GOOD)
    assert set(source.refresh(at("10:01")).rules) == {"again", "greeting"}
    assert report_of(store, "again")["valid"] is True


def test_what_a_shadow_was_compared_by_stays_in_its_report_while_it_is_about_the_same_rule(store):
    store.put_rule("again", SHADOW)
    store.put_rule("greeting", GOOD)
    source = RuleSource(store)
    source.refresh(at("10:00"))
    [shadow] = [one for one in store.rules() if one.rule_id == "again"]
    store.report_rule("again", {**shadow.report, "shadow": COMPARED}, shadow.last_good)
    store.put_rule("again", {**SHADOW, "priority": 60})
    source.refresh(at("10:01"))
    assert report_of(store, "again")["shadow"] == COMPARED
    store.put_rule("again", {**SHADOW, "priority": 101})
    source.refresh(at("10:02"))
    assert report_of(store, "again")["valid"] is False
    assert report_of(store, "again")["shadow"] == COMPARED
    store.put_rule("again", {key: value for key, value in SHADOW.items() if key != "shadow_of"})
    source.refresh(at("10:03"))
    assert "shadow" not in report_of(store, "again")
