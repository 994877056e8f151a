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
