"""Every command has help with an example, a page, and exit codes that scripts can trust."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidings.commands import dead_letters, privacy, rules, sending, templates
from tidings.commands.exits import Exit, RefusedError
from tidings.commands.main import COMMANDS, main
from tidings.errors import StoreError
from tidings.settings import SettingsError

GROUPS = {
    "dead-letters": dead_letters.SUBCOMMANDS,
    "privacy": privacy.SUBCOMMANDS,
    "rules": rules.SUBCOMMANDS,
    "sending": sending.SUBCOMMANDS,
    "templates": templates.SUBCOMMANDS,
}
ALL = [*COMMANDS, *(f"{group} {one}" for group, subcommands in GROUPS.items() for one in subcommands)]
PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_help_with_an_example_that_is_about_it(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == Exit.GOOD
    told = capsys.readouterr().out
    _, _, examples = told.partition("example")
    assert f"tidings {command}" in examples


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_a_page(command):
    assert re.search(rf"`tidings {command}\b[^|]*\|[^|]+\| \[[\w-]+\.md\]", PAGE), command


def test_the_list_of_commands_is_told_when_none_is_given(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == Exit.GOOD
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RefusedError("no"), Exit.REFUSED),
        (StoreError("away"), Exit.LATER),
        (SettingsError("odd"), Exit.USAGE),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_each_kind_of_fault_has_its_exit_code(monkeypatch, capsys, fault, code):
    def fail(_options):
        raise fault

    monkeypatch.setattr("tidings.commands.replay.run", fail)
    assert main(["replay", "events.jsonl"]) == code
    assert str(fault) in capsys.readouterr().err


def test_a_command_that_is_terminated_ends_what_it_began(monkeypatch):
    def terminate(_options):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("tidings.commands.replay.run", terminate)
    assert main(["replay", "events.jsonl"]) == Exit.INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("arguments", [["fly"], ["rules", "fly"], ["replay"], ["replay", "--no-such-option", "x"]])
def test_a_command_line_that_makes_no_sense_ends_with_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE


def test_the_module_is_the_command():
    told = subprocess.run([sys.executable, "-m", "tidings", "--help"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("usage: tidings")
