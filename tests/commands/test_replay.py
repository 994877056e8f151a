"""`tidings replay`, as somebody types it."""

import errno
import gzip
import json
import os
import sys
from contextlib import suppress

import pytest

from tests.drawn import lines_of
from tests.people import an_event
from tidings.commands.main import main

RULE = """
status: live
trigger: {not_performed: {after: Product Added, none_of: [Order Completed], within: 15m}}
frequency_cap: "off"
send: {template: cart-abandoned}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A rule, and the carts of two people, an hour apart; one of them on the next day."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "cart.yaml").write_text(RULE)
    events = [
        an_event("Product Added", "10:00", message_id="a"),
        an_event("Product Added", "11:00", user_id="bob", message_id="b"),
        an_event("Home", "+1d 12:00", user_id="cem", message_id="c"),
        an_event("Product Added", "+1d 11:50", user_id="dee", message_id="d"),
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines_of(events)) + b"\n")
    return tmp_path


def decided(text):
    return [(one["person"], one["dueAt"][5:16]) for one in map(json.loads, text.splitlines())]


def test_decisions_come_in_order_of_time_and_the_summary_apart_from_them(folder, capsys):
    assert main(["replay", "events.jsonl"]) == 0
    told = capsys.readouterr()
    assert decided(told.out) == [("u:ann", "03-03T10:15"), ("u:bob", "03-03T11:15")]
    assert "4 events of 4 people" in told.err
    assert "cart" in told.err


def test_a_deadline_after_the_newest_event_is_not_decided_unless_somebody_knows_that_nothing_came(folder, capsys):
    assert main(["replay", "events.jsonl", "--until", "2025-03-05"]) == 0
    assert decided(capsys.readouterr().out)[-1] == ("u:dee", "03-04T12:05")


def test_since_tells_what_was_decided_from_then_on_and_still_reads_what_came_before(folder, capsys):
    assert main(["replay", "events.jsonl", "--since", "2025-03-03T11:10"]) == 0
    assert decided(capsys.readouterr().out) == [("u:bob", "03-03T11:15")]
    assert main(["replay", "events.jsonl", "--since", "2025-03-03T11:10", "--history", "5m", "--quiet"]) == 0
    told = capsys.readouterr()
    assert decided(told.out) == []
    assert told.err == ""


def test_decisions_go_to_a_file_that_is_there_whole_or_not_at_all(folder, capsys):
    assert main(["replay", "events.jsonl", "--output", "out.jsonl", "--processes", "2"]) == 0
    assert len(decided((folder / "out.jsonl").read_text())) == 2
    assert capsys.readouterr().out == ""
    assert main(["replay", "events.jsonl", "--output", "nowhere/out.jsonl"]) == 1
    assert "nowhere/out.jsonl: No such file" in capsys.readouterr().err
    assert sorted(one.name for one in folder.iterdir()) == ["events.jsonl", "out.jsonl", "rules"]


def test_a_file_that_cannot_be_finished_leaves_nothing(folder, monkeypatch, capsys):
    def full(_folder):
        yield b"{}"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tidings.commands.replay.merged", full)
    assert main(["replay", "events.jsonl", "--output", "out.jsonl"]) == 1
    assert capsys.readouterr().err == "out.jsonl: No space left on device\n"
    assert sorted(one.name for one in folder.iterdir()) == ["events.jsonl", "rules"]


def test_a_device_is_written_to_and_not_replaced(folder):
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert main(["replay", "events.jsonl", "--output", "pipe"]) == 0
    assert len(decided(os.read(reader, 10_000).decode())) == 2
    os.close(reader)
    assert (folder / "pipe").is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
@pytest.mark.parametrize("command", ["replay", "backtest rules/cart.yaml"])
def test_a_full_disk_behind_standard_output_is_told_in_a_sentence(folder, monkeypatch, capsys, command):
    with suppress(OSError), open("/dev/full", "w") as full:  # to close it fails as well
        monkeypatch.setattr(sys, "stdout", full)
        assert main([*command.split(), "events.jsonl"]) == 1
    assert "the answer cannot be written: No space left on device\n" in capsys.readouterr().err


def test_broken_lines_are_listed_with_their_numbers_and_only_fatal_if_somebody_says_so(folder, capsys):
    good = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(b"{\n" + good + b'{"messageId": "ann@example.com"}\n')
    assert main(["replay", "events.jsonl"]) == 0
    told = capsys.readouterr()
    assert len(decided(told.out)) == 2
    assert "events.jsonl:1: unreadable" in told.err
    assert "events.jsonl:6: not_an_event" in told.err
    assert "ann@example.com" not in told.err
    assert main(["replay", "events.jsonl", "--strict"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "2 of 6 lines are no events" in told.err


def test_what_a_rule_cannot_read_is_told(folder, capsys):
    rule = RULE.replace("none_of: [Order Completed]", "none_of: [{event: O, where: {path: properties.n, gt: 1}}]")
    (folder / "rules" / "cart.yaml").write_text(rule)
    odd = [an_event("O", "10:01", properties={"n": "many"}), an_event("O", "13:00", properties={"n": 2})]
    (folder / "odd.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines_of(odd))))
    assert main(["replay", "events.jsonl", "odd.jsonl.gz"]) == 0
    told = capsys.readouterr().err
    assert "1 events could not be read by cart: properties.n: expected a number, found str" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.jsonl"], 1, "missing.jsonl: there is no such file"),
        (["rules"], 1, "rules: is no file"),
        (["events.jsonl", "--output", ""], 1, "is a folder, and no file"),
        (["events.jsonl", "--output", "rules"], 1, "rules: is a folder, and no file"),
        (["events.jsonl", "--rules", "missing"], 1, "there is no such folder"),
        (["events.jsonl", "--since", "2025-04-01"], 0, ""),
        (["events.jsonl", "--until", "2020-01-01"], 1, "no event in this stretch of time; 4 lie outside"),
        (["events.jsonl", "--since", "2025-03-05", "--until", "2025-03-04"], 2, "an empty range"),
        (["events.jsonl", "--since", "soon"], 2, "must look like 2026-03-02"),
        (["events.jsonl", "--since", "2022-10-29 22:30", "--tz", "America/Nuuk"], 2, "happens twice"),
        (["events.jsonl", "--tz", "Nowhere"], 2, "there is no such time zone"),
        (["events.jsonl", "--history", "3d"], 2, "--since"),
        (["events.jsonl", "--rules", "rules", "--store", "sqlite:x"], 2, "and not both"),
        (["events.jsonl", "--since", "0001-01-01", "--history", "30d"], 2, "of the years 1970 to 2999"),
        (["events.jsonl", "--until", "9999-12-31T23:00-05:00"], 2, "of the years 1970 to 2999"),
        (["events.jsonl", "--store", "sqlite:missing.db"], 1, "--store sqlite:missing.db: there is no such file"),
        (["events.jsonl", "--store", "nonsense"], 2, "TIDINGS_STORE must be"),
        (["bigquery:nonsense"], 1, "must be bigquery:PROJECT.DATASET.TABLE"),
    ],
)
def test_each_mistake_has_an_answer_and_an_exit_code(folder, capsys, arguments, code, message):
    assert main(["replay", *arguments]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (folder / "missing.db").exists()


def test_a_rule_that_is_refused_ends_it(folder, capsys):
    (folder / "rules" / "bad.yaml").write_text("{trigger: {performed: {event: X}}, send: {template: a}, colour: red}")
    assert main(["replay", "events.jsonl"]) == 1
    assert "bad" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["replay", "--help"]])
def test_help_has_an_example_and_the_exit_codes(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert ("example" in capsys.readouterr().out) or not arguments


@pytest.mark.parametrize(
    "arguments", [["fly"], ["replay"], ["replay", "x", "--processes", "0"], ["replay", "x", "--processes", "x"]]
)
def test_a_command_line_that_makes_no_sense_ends_with_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
