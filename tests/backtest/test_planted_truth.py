"""A backtest of a week whose truth was planted reports that truth, to the last cart."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backtest.planted_week import FATES, WITHIN, Week
from tests.drawn import lines_of
from tidings.commands import backtest
from tidings.documents import parse_file
from tidings.history import run, sources
from tidings.rules.rule import load

RULES = Path(__file__).parents[2] / "rules"
CART = {**parse_file(RULES / "cart-abandoned.yaml"), "holdout": 20, "status": "draft"}
RULE = load(CART)
ONE_MAIL = {**{name: value for name, value in CART.items() if name != "steps"}, "send": {"template": "cart-abandoned"}}
planted = st.fixed_dictionaries({fate: st.integers(0, 6) for fate in FATES})


def ask(folder, week, document, *more):
    """The report of the command, with nothing live beside the rule unless `more` says so."""
    (folder / "live").mkdir(exist_ok=True)
    (folder / "cart-abandoned.yaml").write_text(yaml.safe_dump(document))
    (folder / "events.jsonl").write_bytes(b"\n".join(lines_of(week.events)))
    arguments = [f"{folder}/cart-abandoned.yaml", f"{folder}/events.jsonl", f"--rules={folder}/live"]
    return backtest.answer(backtest.parser().parse_args([*arguments, f"--within={WITHIN}", "--processes=1", *more]))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planted, st.integers(0, 99))
def test_the_planted_numbers_come_out_exactly(tmp_path, counts, seed):
    week = Week(RULE, counts, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", 5000)
        patch.setattr(run, "PART_BYTES", 10_000)
        report = ask(tmp_path, week, ONE_MAIL)
    mailed, stopped = report.conversion.mailed, report.conversion.stopped
    bought = counts["mailed, bought anyway"] + counts["bought between 15 and 30 minutes"]
    missed = counts["mailed, never bought"] + counts["mailed, bought after the window"]
    assert (mailed.before, mailed.after, mailed.missed, mailed.open) == (
        0,
        bought,
        missed,
        counts["mailed, not over yet"],
    )
    assert (stopped.before + stopped.after, stopped.missed) == (
        counts["held out, bought anyway"],
        counts["held out, never bought"],
    )
    fired = sum(counts.values()) - counts["bought in time"]
    assert (report.firings, report.fired_for, report.outside) == (fired, fired, 0)
    assert report.mails == mailed.firings == bought + missed + mailed.open
    assert report.collisions.reasons == ({"holdout": stopped.firings} if stopped.firings else {})
    assert sum(report.conversion.delays.values()) == bought
    assert report.conversion.goal == "Order Completed"

    with_mail = [fate for fate, (held_out, *_) in FATES.items() if held_out is False]
    hours = week.hours(*with_mail, wait=timedelta(minutes=15))
    assert {one.hour: one.mails for one in report.hours if one.mails} == hours
    assert sum(one.mails for one in report.days) == report.mails
    assert (report.busiest.mails if report.busiest else 0) == max(hours.values(), default=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planted)
def test_the_difference_to_the_live_version_is_told_person_by_person(tmp_path, counts):
    """It waits for half an hour instead of a quarter: some have ordered by then."""
    week = Week(RULE, counts)
    longer = yaml.safe_load(yaml.safe_dump(ONE_MAIL))
    longer["trigger"]["not_performed"]["within"] = "30m"
    (tmp_path / "live").mkdir(exist_ok=True)
    (tmp_path / "live" / "cart-abandoned.yaml").write_text(yaml.safe_dump({**ONE_MAIL, "status": "live"}))
    report = ask(tmp_path, week, longer, f"--people={tmp_path}/people.jsonl")
    assert report.change.version != report.rule.version
    removed = counts["bought between 15 and 30 minutes"]
    moved = sum(counts.values()) - counts["bought in time"] - removed
    told = report.change.counts
    assert (told.same, told.changed, told.added, told.removed, told.moved) == (0, 0, 0, removed, moved)
    assert told.later_seconds == moved * 900
    rows = [json.loads(line) for line in (tmp_path / "people.jsonl").read_bytes().splitlines()]
    assert len(rows) == report.all_rows == moved + removed
    assert {row["movedSeconds"] for row in rows if row["change"] == "moved"} <= {900.0}


def test_a_mail_that_waits_for_the_night_comes_after_those_who_bought_meanwhile(tmp_path):
    """The rule without an exit: who buys before the morning is counted as bought before the mail."""
    document = {
        "id": "cart-abandoned",
        "trigger": {"performed": {"event": "Product Added"}},
        "steps": [{"wait": "4h"}, {"send": "cart-abandoned"}],
        "frequency_cap": "off",
    }
    counts = {"mailed, bought anyway": 5, "mailed, never bought": 4, "bought in time": 3}
    report = ask(tmp_path, Week(RULE, counts), document, "--goal=Order Completed")
    mailed = report.conversion.mailed
    assert (mailed.before, mailed.after, mailed.missed) == (8, 0, 4)
    assert report.conversion.delays == {"15 minutes": 3, "6 hours": 5}
