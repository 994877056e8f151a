"""Rule files, put into a store from the command line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidings.adapters.rules_command import main
from tidings.adapters.sqlite_store import SqliteStore
from tidings.rule_source import RuleSource

RULES = Path(__file__).parents[2] / "rules"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:{tmp_path}/store.db"


def test_a_good_file_is_put_and_listed_with_what_the_system_says_of_it(url, tmp_path, capsys):
    assert main(["put", str(RULES / "welcome.yaml"), "--store", url]) == 0
    assert main(["list", "--store", url]) == 0
    assert "welcome: not looked at yet" in capsys.readouterr().out
    RuleSource(SqliteStore(f"{tmp_path}/store.db")).refresh(datetime.now(UTC))
    main(["list", "--store", url])
    assert "welcome: live, version " in capsys.readouterr().out


def test_one_bad_file_keeps_all_of_them_out_and_every_fault_is_named(url, tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text("{id: bad, status: on, trigger: {performed: {event: A, times: 0}}, send: {template: welcome}}")
    assert main(["--store", url, "put", str(RULES / "welcome.yaml"), str(bad)]) == 1
    error = capsys.readouterr().err
    assert "status" in error
    assert "trigger.performed.times" in error
    assert SqliteStore(url.removeprefix("sqlite:")).rules() == []


@pytest.mark.parametrize("text", ["{", "just words", "[1, 2]"])
def test_a_file_that_is_no_rule_at_all_is_refused(url, tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    assert main(["put", str(tmp_path / "x.yaml"), "--store", url]) == 1
    assert main(["put", str(tmp_path / "missing.yaml"), "--store", url]) == 1


def test_a_rule_that_cannot_be_compiled_is_refused(url, tmp_path, capsys):
    rule = tmp_path / "thanks.yaml"
    count = """{event: A, by: 'properties.a"b'}"""
    rule.write_text(f"{{trigger: {{session_ended: {{gap: 30m, having: [{count}]}}}}, send: {{template: welcome}}}}")
    assert main(["put", str(rule), str(RULES / "welcome.yaml"), "--store", url]) == 1
    assert "rule 'thanks' is refused: : cannot be compiled" in capsys.readouterr().err
    assert SqliteStore(url.removeprefix("sqlite:")).rules() == []


@pytest.mark.parametrize("nothing", ["{any: }", "{all: []}", "{not: }", "{path: }"])
def test_a_condition_that_is_left_empty_is_refused(url, tmp_path, capsys, nothing):
    rule = tmp_path / "thanks.yaml"
    rule.write_text(f"{{trigger: {{performed: {{event: A, where: {nothing}}}}}, send: {{template: welcome}}}}")
    assert main(["put", str(rule), "--store", url]) == 1
    assert "rule 'thanks' is refused: trigger.performed.where." in capsys.readouterr().err


def test_a_refused_edit_shows_what_goes_on_running(url, tmp_path, capsys):
    main(["put", str(RULES / "welcome.yaml"), "--store", url])
    store = SqliteStore(url.removeprefix("sqlite:"))
    source = RuleSource(store)
    source.refresh(datetime.now(UTC))
    store.put_rule("welcome", {"trigger": 1})
    source.refresh(datetime.now(UTC))
    main(["list", "--store", url])
    shown = capsys.readouterr().out
    assert "welcome: REFUSED, version " in shown
    assert "trigger: needs exactly one kind" in shown


def test_segments_are_put_beside_the_rules_that_name_them(url, tmp_path, capsys):
    rule = tmp_path / "thanks.yaml"
    rule.write_text("{trigger: {segment: {id: customers, on: enter}}, send: {template: welcome}}")
    segment = str(RULES / "segments" / "customers.yaml")
    assert main(["put", str(rule), "--store", url]) == 1
    assert "there is no such segment; there are: none" in capsys.readouterr().err
    assert main(["put", str(rule), segment, "--store", url]) == 0
    assert main(["put", str(rule), "--store", url]) == 0, "it is there already"
    store = SqliteStore(url.removeprefix("sqlite:"))
    assert store.rules()[0].document["trigger"] == {"segment": {"id": "customers", "on": "enter"}}
    RuleSource(store).refresh(datetime.now(UTC))
    main(["list", "--store", url])
    assert "segment customers: in force, version " in capsys.readouterr().out


def test_a_segment_that_would_close_a_circle_with_those_in_the_store_is_kept_out(url, tmp_path, capsys):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("where: {performed: A}")
    other.write_text("where: {segment: one}")
    assert main(["put", str(one), str(other), "--store", url]) == 0
    one.write_text("where: {segment: other}")
    assert main(["put", str(one), "--store", url]) == 1
    assert "segment 'one' is refused: where.segment: segments must not go round in a circle" in capsys.readouterr().err
