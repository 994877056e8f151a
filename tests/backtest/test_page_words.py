"""What the page of a backtest says in words and figures."""

from datetime import UTC, datetime, timedelta

import msgspec

from tests.backtest.reports import NOBODY, a_report, a_row, everything, hours, nothing, one_mail
from tests.backtest.shapes import drawn, section
from tidings.backtest.difference import Counts
from tidings.backtest.report import Change, Conversion, Outcome


def test_the_answer_has_its_figures_with_separators():
    report = a_report(hours("2026-03-02", "2026-03-31"), mails=10, stopped=5)
    text = section(report, "answer").text

    assert "It would have fired 10,800 times for 10,800 people and sent 7,200 mails ." in text
    assert "Of 7,200 firings with a mail, 2,400 would have ended in Order Completed anyway" in text
    assert "the mail could have changed at most 3,600 , and 1,200 are not over yet." in text
    assert "1,234,567 events of 98,765 people" in drawn(report).one("header").text


def test_nobody_gets_nothing_and_every_section_says_so():
    root = drawn(nothing())

    assert "Nobody would have got it." in section(nothing(), "answer").text
    empty = [one.text for one in root.all("p", class_="empty")]
    assert len(empty) == 6
    assert not root.all("svg", role="img")


def test_who_was_outside_the_audience_is_told():
    assert (
        "It fired 3 times, each for somebody outside its audience."
        in section(msgspec.structs.replace(nothing(), outside=3), "answer").text
    )
    assert "It also fired 12 times for somebody outside its audience" in section(everything(), "answer").text


def test_a_single_firing_is_not_told_as_many():
    text = section(one_mail(), "answer").text

    assert "fired 1 time for 1 person and sent 1 mail ." in text
    assert (
        "The one firing with a mail would not have ended in Order Completed anyway, as far as these events reach."
        in text
    )


def test_when_nothing_is_over_yet_nothing_is_told_as_missed():
    open_ = Outcome(firings=9, before=0, after=0, missed=0, open=9)
    conversion = Conversion(goal="Order Completed", within=1, mailed=open_, stopped=NOBODY, delays={})
    root = section(everything(conversion=conversion), "goal")

    assert root.one("svg", class_="lying").attributes["aria-label"] == "Firings with a mail: not over yet 100%."
    assert "Nobody with a mail reached Order Completed by themselves" in root.text


def test_few_of_many_are_not_told_as_none():
    report = everything()
    mailed = Outcome(firings=10_000, before=1, after=0, missed=9_999, open=0)
    conversion = msgspec.structs.replace(report.conversion, mailed=mailed, delays={"1 hour": 1})
    text = section(everything(conversion=conversion), "goal").text

    assert "1 <1%" in text
    assert "9,999 >99%" in text


def test_what_it_runs_into_is_told_in_words_and_figures():
    text = section(everything(), "collisions").text

    assert "672 mails of this rule would not have gone." in text
    assert "enough mail already frequency_capped 600" in text
    assert "welcome 400" in text
    assert "33 mails fell into quiet hours" in text
    assert "welcome 7 9 +2" in text
    assert "purchase-intent 0 2 +2" in text


def test_several_steps_are_told_one_by_one():
    report = everything()
    endings = (*report.endings, msgspec.structs.replace(report.endings[0], step=2, template="cart-incentive", count=5))

    assert "2. cart-incentive 5 0" in section(everything(endings=endings), "collisions").text
    assert "Step by step" not in section(report, "collisions").text


def test_the_difference_to_what_runs_now_is_told_with_its_means():
    text = section(everything(), "change").text

    assert "against version 6bdb7801 : 10 differ, 5 are the same." in text
    assert "2 later, by 30 minutes on average; 1 earlier, by 1 minute 30 seconds on average" in text
    assert "moved in time, 1 minute 30 seconds earlier" in text


def test_a_rule_that_is_compared_with_itself_says_so():
    change = Change(version="8be1d2ef", counts=Counts(same=4))

    assert "is this very version" in section(everything(change=change), "change").text
    assert "runs now: all of this would be new" in section(everything(change=None), "change").text


def test_at_most_200_decisions_are_shown_and_all_are_counted():
    rows = tuple(a_row(person=f"u:{number}") for number in range(300))
    root = section(everything(rows=rows), "rows")

    assert len(root.one("tbody").all("tr")) == 200
    assert "The first 200 of 9,535 decisions. tidings backtest --people FILE writes all of them." in root.text


def test_the_times_of_decisions_are_those_of_the_zone_and_never_ambiguous():
    at = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    rows = tuple(a_row(due_at=one, decided_at=one + timedelta(hours=8)) for one in (at, at + timedelta(hours=1)))
    report = a_report(hours("2025-10-25", "2025-10-27", "Europe/Berlin"), zone="Europe/Berlin", rows=rows, all_rows=2)
    text = section(report, "rows").text

    assert "26 Oct 2025, 02:30 (+0200)" in text
    assert "26 Oct 2025, 02:30 (+0100)" in text
    assert "would have gone at 26 Oct 2025, 09:30" in text


def test_a_decision_that_the_new_version_drops_is_not_told_as_a_mail():
    (row,) = section(everything(rows=(a_row(change="removed"),)), "rows").one("tbody").all("tr")

    assert "would have gone" not in row.text
    assert "only the version that runs now decides it" in row.text


def test_what_stays_unknown_is_told_word_for_word():
    assert "What anybody did before." in section(everything(), "unknown").text


def test_a_paused_rule_compared_with_itself_differs_in_how_it_ends():
    change = Change(version="8be1d2ef", counts=Counts(changed=4))
    assert "4 differ" in section(msgspec.structs.replace(everything(), change=change), "change").text


def test_later_mails_of_what_had_fired_before_are_not_nobodys():
    report = msgspec.structs.replace(nothing(), mails=2)
    assert "2 later mails would have gone" in section(report, "answer").text
