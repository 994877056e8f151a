"""`tidings backtest`, as somebody types it."""

import json

import pytest
import yaml

from tests.backtest.planted_week import Week
from tests.backtest.test_planted_truth import CART, ONE_MAIL, RULE
from tests.drawn import lines_of
from tests.people import an_event
from tidings.commands.main import main

COUNTS = {"mailed, bought anyway": 3, "mailed, never bought": 5, "held out, never bought": 2, "bought in time": 4}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A week of events, a draft, and another rule that is live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "rules").mkdir()
    (tmp_path / "draft.yaml").write_text(yaml.safe_dump({**ONE_MAIL, "id": "cart-again"}))
    viewed = {
        "status": "live",
        "trigger": {"performed": {"event": "Product Viewed"}},
        "send": {"template": "product-reminder"},
    }
    (tmp_path / "rules" / "viewed.yaml").write_text(yaml.safe_dump(viewed))
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines_of(Week(RULE, COUNTS).events)))
    return tmp_path


def told(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_it_says_who_when_and_what_could_have_been_changed(folder, capsys):
    rule = {**ONE_MAIL, "id": "cart-again", "holdout": 0}
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    assert main(["backtest", "draft.yaml", "events.jsonl", "--within", "2d"]) == 0
    said = told(capsys)
    assert "It would have fired 10 times for 10 people, and sent 10 mails" in said
    assert "Of 10 who would have got a mail, 3 did it anyway" in said
    assert "The most that it could have changed: 7 (70%)" in said
    assert "You left Lamp in your cart" in said
    assert "What this cannot know" in said
    assert "the events name an address for 10 of 10 first mails" in said


def test_it_says_what_it_runs_into(folder, capsys):
    """Somebody who has just got a mail about what they viewed, gets none about their cart for 16 hours."""
    rule = {**ONE_MAIL, "id": "cart-again", "holdout": 0, "frequency_cap": "default"}
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 0
    said = told(capsys)
    assert "sent 0 mails" in said
    assert "not sent: frequency_capped 10 after viewed 10" in said


def test_json_is_for_machines_and_nothing_else_is_printed(folder, capsys):
    assert main(["backtest", "draft.yaml", "events.jsonl", "--json", "--tz", "Europe/Oslo"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rule"]["id"] == "cart-again"
    assert "within: 15m" in report["rule"]["trigger"]
    assert report["past"]["zone"] == "Europe/Oslo"
    assert sum(day["mails"] for day in report["days"]) == report["mails"]
    assert report["hours"][0]["hour"].endswith("+01:00")


def test_no_address_stands_in_a_report(folder, capsys):
    """Not even where a template shows what somebody has typed into another field."""
    (folder / "draft.yaml").write_text(yaml.safe_dump({**ONE_MAIL, "id": "cart-again", "holdout": 0}))
    traits = {"email": "a@example.com", "emails": ["b@example.com"], "first_name": "c@example.com"}
    cart = {"name": "Lamp for d@example.com", "url": "https://shop.example/?for=e@example.com", "cart_id": "1"}
    events = [
        an_event("", "09:00", type="identify", traits=traits),
        an_event("Product Added", "10:00", properties=cart),
        an_event("Order Completed", "12:00", user_id="bob"),
    ]
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of(events)))
    assert main(["backtest", "draft.yaml", "events.jsonl", "--json", "--html", "report.html"]) == 0
    report = capsys.readouterr().out
    assert "Lamp for hidden" in report
    assert "@example.com" not in report + (folder / "report.html").read_text()


def test_a_rule_of_the_folder_is_named_by_its_id(folder, capsys):
    (folder / "rules" / "cart-abandoned.yaml").write_text(yaml.safe_dump(CART))
    assert main(["backtest", "cart-abandoned", "events.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rule"]["current"] is None


def test_an_id_that_reads_like_a_picture_stays_an_id(folder, capsys):
    (folder / "rules" / "cart-again.yaml").write_text(
        yaml.safe_dump({**ONE_MAIL, "id": "cart-again", "status": "live"})
    )
    (folder / "draft.yaml").write_text(
        yaml.safe_dump({**ONE_MAIL, "id": "cart-again", "holdout": 0}).replace("15m", "9m")
    )
    added = an_event("Product Added", "10:00", user_id="shop:100:7", properties={"name": "Lamp", "cart_id": "1"})
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of([added, an_event("Home", "12:00")])))
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 0
    assert "moved by 6m: u:shop:100:7 1 due" in told(capsys)


def test_a_name_is_not_called_unknown_where_not_all_names_were_counted(folder, capsys, monkeypatch):
    monkeypatch.setattr("tidings.backtest.unknowns.MOST_NAMES", 2)
    assert main(["backtest", "draft.yaml", "events.jsonl", "--goal", "Sold"]) == 0
    assert "No event called" not in told(capsys)


def test_a_rule_that_is_paused_is_compared_with_what_it_would_do(folder, capsys):
    """A folder that is called like it is not in the way."""
    rule = {"status": "paused", "trigger": {"performed": {"event": "Product Added"}}, "send": ONE_MAIL["send"]}
    (folder / "rules" / "sleeper.yaml").write_text(yaml.safe_dump({**rule, "frequency_cap": "off"}))
    (folder / "sleeper").mkdir()
    assert main(["backtest", "sleeper", "events.jsonl"]) == 0
    said = told(capsys)
    assert "with another ending 14" in said
    assert "It is this very version" not in said
    (folder / "rules" / "sleeper.yaml").write_text(yaml.safe_dump({**rule, "status": "live"}))
    assert main(["backtest", "sleeper", "events.jsonl"]) == 0
    assert "It is this very version" in told(capsys)


def test_a_segment_is_no_event_that_nobody_sends(folder, capsys):
    (folder / "rules" / "segments").mkdir()
    (folder / "rules" / "segments" / "fans.yaml").write_text("where: {performed: {event: Product Added, times: 99}}")
    rule = {"id": "fans", "trigger": {"segment": {"id": "fans", "on": "enter"}}, "send": {"template": "welcome"}}
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 0
    said = told(capsys)
    assert "Nobody would have got it" in said
    assert "No segment" not in said


def test_all_times_are_by_the_clocks_that_were_asked_for(folder, capsys):
    rule = {"id": "cart-again", "trigger": {"performed": {"event": "Product Added"}}, "send": ONE_MAIL["send"]}
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of([an_event("Product Added", "20:00")])))
    assert main(["backtest", "draft.yaml", "events.jsonl", "--tz", "Asia/Tokyo"]) == 0
    said = told(capsys)
    assert "Tue 04 Mar 05:00 +0900" in said
    assert "u:ann 2025-03-04 05:00 cart-abandoned" in said


def test_later_mails_of_earlier_firings_are_told_without_them(folder, capsys):
    rule = {
        "id": "two",
        "trigger": {"performed": {"event": "Product Added"}},
        "steps": [{"send": "cart-abandoned"}, {"wait": "1h"}, {"send": "cart-abandoned"}],
        "frequency_cap": "off",
    }
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    added = an_event("Product Added", "10:00", properties={"name": "Lamp"})
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of([added, an_event("Home", "12:00")])))
    assert main(["backtest", "draft.yaml", "events.jsonl", "--since", "2025-03-03T10:30"]) == 0
    said = told(capsys)
    assert "fired 0 times for 0 people, and sent 1 mails" in said
    assert "Nobody would have got it" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cart-agian", "events.jsonl"], "no rule of this id"),
        (["viewd", "events.jsonl"], "did you mean viewed?"),
        (["missing.yaml", "events.jsonl"], "No such file"),
        (["draft.yaml", "events.jsonl", "--within", "soon"], "--within soon: must be a duration"),
        (["draft.yaml", "events.jsonl", "--html", "no/where.html"], "no/where.html"),
    ],
)
def test_each_mistake_has_an_answer(folder, capsys, arguments, message):
    assert main(["backtest", *arguments]) == (2 if "--within" in arguments else 1)
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_unknown_template_is_refused_with_the_nearest_name(folder, capsys):
    (folder / "draft.yaml").write_text(
        yaml.safe_dump({**ONE_MAIL, "send": {"template": "cart-abandonned"}, "id": "cart-again"})
    )
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 1
    assert "cart-abandoned" in capsys.readouterr().err


def test_a_rule_about_an_event_that_nobody_sends_is_a_failure_with_the_nearest_name(folder, capsys):
    rule = yaml.safe_load(yaml.safe_dump({**ONE_MAIL, "id": "cart-again"}).replace("Product Added", "Product Aded"))
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 1
    said = told(capsys)
    assert "Nobody would have got it" in said
    assert "No event called Product Aded is among these events; did you mean Product Added?" in said


def test_a_mail_that_could_not_have_been_made_says_why(folder, capsys):
    """The template of another trigger asks for what a cart does not bring."""
    (folder / "templates" / "odd").mkdir(parents=True)
    (folder / "templates" / "odd" / "subject.txt").write_text("{{ event.properties.coupon }}")
    (folder / "templates" / "odd" / "body.html").write_text("<p>Hello</p>")
    (folder / "draft.yaml").write_text(yaml.safe_dump({**ONE_MAIL, "id": "cart-again", "send": {"template": "odd"}}))
    assert main(["backtest", "draft.yaml", "events.jsonl", "--templates", "templates"]) == 0
    assert "coupon" in told(capsys)


def test_what_a_mail_would_show_and_nobody_can_read_is_told(folder, capsys):
    """A number that is larger than any: to the grammar it is one."""
    rule = {"id": "cart-again", "trigger": ONE_MAIL["trigger"], "send": ONE_MAIL["send"]}
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    events = [an_event("Product Added", "10:00", properties={"n": "?"}), an_event("Order Completed", "12:00")]
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of(events)).replace(b'"?"', b"1" + b"0" * 5000))
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 0
    assert "event.properties: Integer value out of range" in told(capsys)


def test_a_broken_line_alone_is_no_reason_to_fail(folder, capsys):
    rule = {
        **ONE_MAIL,
        "id": "cart-again",
        "entry_key": "properties.nothing",
        "audience": {"path": "traits.x", "equals": 1},
    }
    (folder / "draft.yaml").write_text(yaml.safe_dump(rule))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b"\nno event\n")
    assert main(["backtest", "draft.yaml", "events.jsonl"]) == 0
    assert "Nobody would have got it" in told(capsys)
