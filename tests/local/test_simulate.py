"""`tidings simulate`, with the real parts as processes: what arrives in the inboxes, and when by the story's clock."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.people import a_rule
from tidings.commands.main import main

ROOT = Path(__file__).parents[2]
SECONDS = 120

CART = {
    "story": "A cart is left alone.",
    "rules": ["cart-abandoned"],
    "given": [{"at": "10:00", "who": "ann", "did": "Product Added", "with": {"cart_id": "c1", "name": "Dusk Lamp"}}],
    "until": "4d",
}
EXPECTED = {"who": "ann", "due": "10:15", "key": "c1"}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rules and templates that ship are those of the folder."""
    monkeypatch.chdir(ROOT)


def simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], story: dict[str, Any], *options: str, code: int = 0
) -> dict[str, Any]:
    """Play one story; its answer."""
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(story))
    ended = main(["simulate", str(tmp_path / "story.yaml"), "--json", *options])
    said = capsys.readouterr()
    assert ended == code, said.err
    [answer] = json.loads(said.out)
    return answer


def mails(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """`(inbox, date, template)` of every mail."""
    return [(one["inbox"], one["at"], one["template"]) for one in answer["decisions"] if one["ends"] == "send"]


def endings(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """`(person, story time, how)` of every decision."""
    return [(one["person"], one["story_time"], one["ends"]) for one in answer["decisions"]]


def test_a_cart_brings_three_mails_dated_over_three_days(tmp_path, capsys):
    answer = simulated(tmp_path, capsys, CART)
    assert mails(answer) == [
        ("u:ann", "2025-03-03T10:15:00Z", "cart-abandoned"),
        ("u:ann", "2025-03-04T10:15:00Z", "cart-second-thoughts"),
        ("u:ann", "2025-03-06T10:15:00Z", "cart-incentive"),
    ]
    first = answer["decisions"][0]
    assert first["recipient"] == "ann@people.example"
    assert "Dusk Lamp" in first["subject"]
    assert "Hello Ann," in first["text"]


def test_who_withdraws_between_two_steps_gets_no_second_mail_and_the_reason_is_told(tmp_path, capsys):
    leaves = {"at": "+1d 10:00", "who": "ann", "did": "Consent Withdrawn", "with": {"category": "cart"}}
    expect = [
        {"who": "ann", "due": "10:15", "key": "c1"},
        {"who": "ann", "due": "10:15", "key": "c1", "sends": ["cart-second-thoughts"], "ends": "opted_out"},
    ]
    story = {**CART, "given": [*CART["given"], leaves], "until": "+1d 12:00", "expect": expect}
    answer = simulated(tmp_path, capsys, story)
    assert answer["good"]
    assert endings(answer) == [("u:ann", "10:15", "send"), ("u:ann", "+1d 10:15", "opted_out")]
    wrong = simulated(tmp_path, capsys, {**story, "expect": expect[:1]}, code=1)
    [difference] = wrong["differences"]
    assert [one["ends"] for one in difference["unexpected"]] == ["opted_out"]


def test_a_mail_is_held_until_the_morning_of_the_night_in_which_the_clocks_go_forward(tmp_path, capsys):
    rules = tmp_path / "rules"
    rules.mkdir()
    night = {"start": "21:00", "end": "08:00", "tz": "user", "on_miss": "hold"}
    greeting = a_rule(id="greeting", trigger={"performed": {"event": "Hello"}}, quiet_hours=night, kind="transactional")
    (rules / "greeting.yaml").write_text(yaml.safe_dump(greeting))
    story = {
        "story": "A greeting in the last night of March.",
        "rules": ["greeting"],
        "day": "2025-03-29",
        "people": {"ann": {"time_zone": "Europe/Oslo"}, "bob": {"time_zone": "Asia/Tokyo"}},
        "given": [{"at": "21:30", "who": who, "did": "Hello"} for who in ("ann", "bob", "cem")],
        "until": "1d",
    }
    answer = simulated(tmp_path, capsys, story, "--rules", str(rules))
    assert mails(answer) == [
        ("u:bob", "2025-03-29T23:00:00Z", "welcome"),
        ("u:ann", "2025-03-30T06:00:00Z", "welcome"),  # 08:00 in Oslo, which was 07:00 the day before
        ("u:cem", "2025-03-30T08:00:00Z", "welcome"),
    ]


def test_an_anonymous_visitor_who_identifies_is_mailed_once_and_one_who_does_not_has_no_address(tmp_path, capsys):
    added = CART["given"][0]
    anonymous = {name: value for name, value in added.items() if name != "who"}
    given = [
        {**anonymous, "anonymous": "x"},
        {**anonymous, "anonymous": "y", "with": {"cart_id": "c2", "name": "Rug"}},
        {"at": "10:05", "who": "ann", "anonymous": "x", "identify": {"plan": "pro"}},
    ]
    answer = simulated(tmp_path, capsys, {**CART, "given": given, "until": "20m"})
    assert endings(answer) == [("u:ann", "10:15", "send"), ("a:y", "10:16", "missing_address")]


def test_an_address_that_comes_within_the_minute_is_used_and_one_that_does_not_is_not_waited_for(tmp_path, capsys):
    story = {
        "story": "A welcome before the address.",
        "rules": ["welcome"],
        "people": {who: {"address": False} for who in ("ann", "bob")},
        "given": [
            {"at": "10:00", "who": "ann", "did": "Signed Up"},
            {"at": "10:00", "who": "bob", "did": "Signed Up"},
            {"at": "10:00:40", "who": "ann", "identify": {"email": "ann@elsewhere.example"}},
            {"at": "10:02", "who": "bob", "identify": {"email": "bob@elsewhere.example"}},
        ],
    }
    answer = simulated(tmp_path, capsys, story)
    assert endings(answer) == [("u:ann", "10:00:40", "send"), ("u:bob", "10:01", "missing_address")]
    assert answer["decisions"][0]["recipient"] == "ann@elsewhere.example"


def test_the_other_rules_show_when_all_of_them_run(tmp_path, capsys):
    given = [{"at": f"10:0{minute}", "who": "ann", "page": "Pricing"} for minute in (1, 2)]
    given = [{"at": "10:00", "who": "ann", "did": "Demo Attended"}, *given]
    expect = [{"who": "ann", "due": "10:02"}]
    story = {"story": "Prices.", "rules": ["pricing-page-twice"], "given": given, "expect": expect}
    assert [one["rule"] for one in simulated(tmp_path, capsys, story)["decisions"]] == ["pricing-page-twice"]
    answer = simulated(tmp_path, capsys, story, "--all-rules", code=1)
    assert [(one["rule"], one["ends"]) for one in answer["decisions"]] == [
        ("pricing-after-demo", "send"),
        ("pricing-page-twice", "frequency_capped"),
    ]


def test_what_is_printed_names_everybody_and_shows_the_mails(tmp_path, capsys):
    look = {"at": "10:00", "who": "bob", "page": "Home"}
    (tmp_path / "story.yaml").write_text(yaml.safe_dump([{**CART, "given": [*CART["given"], look], "until": "15m"}]))
    before = dict(os.environ)
    assert main(["simulate", str(tmp_path / "story.yaml"), "--show"]) == 0
    assert dict(os.environ) == before
    said = capsys.readouterr().out
    assert re.search(
        r"ann <ann@people.example>\n +10:15 +Mon 3 Mar 2025 +You left Dusk Lamp .* cart-abandoned, 1 of 3", said
    )
    assert "| Your cart is waiting" in said
    assert "bob: nothing" in said
    assert "as expected" not in said


def test_an_event_that_the_front_door_refuses_ends_it_with_the_reason(tmp_path, capsys):
    (tmp_path / "story.yaml").write_text(yaml.safe_dump({**CART, "given": [{**CART["given"][0], "did": " "}]}))
    assert main(["simulate", str(tmp_path / "story.yaml")]) == 1
    assert "event-1 of the story: the front door answers 400 to /v1/track: no_event_name" in capsys.readouterr().err


def test_two_at_the_same_time_have_nothing_to_do_with_each_other(tmp_path):
    (tmp_path / "story.yaml").write_text(yaml.safe_dump({**CART, "until": "15m", "expect": [EXPECTED]}))
    command = [sys.executable, "-m", "tidings", "simulate", str(tmp_path / "story.yaml")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [process.communicate(timeout=SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_inbox_is_kept_open_and_dated_by_the_story(tmp_path, sign):
    (tmp_path / "temp").mkdir()
    (tmp_path / "story.yaml").write_text(yaml.safe_dump({**CART, "until": "15m"}))
    command = [sys.executable, "-m", "tidings", "simulate", str(tmp_path / "story.yaml"), "--keep"]
    env = {**os.environ, "TMPDIR": str(tmp_path / "temp")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
    watchdog = threading.Timer(SECONDS, process.kill)  # a command that hangs ends, and so does the wait for its lines
    watchdog.start()
    try:
        assert process.stderr is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        address = re.search(r"http://localhost:\d+/inbox", said)
        assert address
        with urllib.request.urlopen(address.group()) as page:
            shown = page.read().decode()
        assert "Mon 3 Mar 2025 10:15" in shown
        process.send_signal(sign)
        assert process.wait(SECONDS) == 0
        assert list((tmp_path / "temp").iterdir()) == []
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def test_to_keep_an_inbox_open_takes_one_story(tmp_path, capsys):
    (tmp_path / "story.yaml").write_text(yaml.safe_dump([CART, {**CART, "story": "Another."}]))
    assert main(["simulate", str(tmp_path / "story.yaml"), "--keep"]) == 2
    assert "choose one with -k" in capsys.readouterr().err
