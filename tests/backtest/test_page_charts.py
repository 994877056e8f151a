"""What the charts of a backtest draw: all of it, at its place, and nothing that is not told as a figure too."""

from datetime import UTC, datetime

import msgspec
import pytest

from tests.backtest.html import Element
from tests.backtest.reports import a_report, everything, hours
from tests.backtest.shapes import SHAPES, drawn, section, shapes
from tidings.backtest import axes, charts


def heights(chart: Element, kind: str) -> float:
    return sum(float(one.attributes["height"]) for one in chart.all("rect", class_=kind))


def the_chart(root: Element, start: str = "Mails per") -> Element:
    (found,) = [one for one in root.all("svg") if one.attributes.get("aria-label", "").startswith(start)]
    return found


@shapes
def test_no_date_below_a_chart_touches_another(report):
    for chart in drawn(report).all("svg", class_="plot"):
        for kind, width in (("wide", axes.WIDE), ("narrow", axes.NARROW)):
            for group in chart.all("g", class_=kind):
                ticks = [(float(one.attributes["x"].rstrip("%")), one.text) for one in group.all("text")]
                assert ticks
                ends = [at * width / 100 + len(label) * 6.8 / 2 for at, label in ticks]
                starts = [at * width / 100 - len(label) * 6.8 / 2 for at, label in ticks]
                assert all(start > end for start, end in zip(starts[1:], ends, strict=False))


@shapes
def test_what_is_drawn_adds_up_to_what_is_told(report):
    chart = charts.over_time(report)
    if chart is None:
        assert not report.hours
        return
    assert sum(one.mails for one in chart.bars) == report.mails
    assert sum(one.stopped for one in chart.bars) == sum(one.stopped for one in report.hours)
    assert max(one.mails_height + one.stopped_height for one in chart.bars) <= charts.HEIGHT + 0.001
    assert chart.bars[-1].x + chart.bars[-1].width <= 100.001
    if not chart.dense:
        svg = the_chart(drawn(report))
        most = float(svg.all("text", class_="side")[-1].text.replace(",", ""))
        scale = charts.HEIGHT / most
        assert heights(svg, "mails") == pytest.approx(report.mails * scale, rel=0.001)
        assert heights(svg, "stopped") == pytest.approx(sum(one.stopped for one in report.hours) * scale, rel=0.001)


@shapes
def test_the_table_below_the_bars_has_the_same_figures(report):
    tables = [one for one in section(report, "when").all("table") if one.one("caption").text.startswith("Mails per")]
    told = [row.all("td") for table in tables for row in table.one("tbody").all("tr")]

    assert sum(int(cells[0].text.replace(",", "")) for cells in told) == report.mails
    assert sum(int(cells[1].text.replace(",", "")) for cells in told) == sum(one.stopped for one in report.hours)


def test_a_rule_that_sends_nothing_has_no_busiest_hour():
    text = section(SHAPES["no mail"], "when").text

    assert "busiest" not in text
    assert "No mail would have gone" in text


def test_the_busiest_hour_is_named():
    assert "Monday, 2 Mar 2026, 00:00 , with 3 mails" in section(everything(), "when").text


def test_a_single_day_is_shown_hour_by_hour_and_without_a_week():
    root = section(SHAPES["a day"], "when")

    assert len(the_chart(root).all("g", class_="slot")) == 24
    assert not root.all("svg", class_="week")


def test_the_hour_that_a_clock_change_repeats_is_there_twice():
    root = section(SHAPES["a clock change"], "when")
    names = [one.text for one in the_chart(root).all("title")]

    assert len(names) == 73
    assert "Sun 26 Oct 2025, 02:00 (+0200): 3 mails, 1 not sent" in names
    assert "Sun 26 Oct 2025, 02:00 (+0100): 3 mails, 1 not sent" in names
    assert "Sun 26 Oct 2025, 03:00: 3 mails, 1 not sent" in names


def test_the_hour_that_a_clock_change_skips_is_not_there():
    report = a_report(hours("2026-03-29", "2026-03-29", "Europe/Berlin")[5:6], zone="Europe/Berlin")
    chart = charts.over_time(report)

    assert chart is not None
    assert len(chart.bars) == 23
    assert [one.label for one in chart.bars][1:3] == ["Sun 29 Mar 2026, 01:00", "Sun 29 Mar 2026, 03:00"]


def test_days_without_a_decision_have_their_place_too():
    past = hours("2026-03-02", "2026-03-20")
    chart = charts.over_time(a_report([past[0], past[-1]]))

    assert chart is not None
    assert [one.mails for one in chart.bars] == [3, *[0] * 17, 3]


def test_400_days_have_a_bar_each_and_more_than_420_are_told_by_the_week():
    days, years = charts.over_time(SHAPES["400 days"]), charts.over_time(SHAPES["ten years"])

    assert days is not None
    assert years is not None
    assert (days.unit, len(days.bars)) == ("day", 400)
    assert years.unit == "2 weeks"
    assert len(years.bars) <= 420


def test_one_event_with_a_wrong_clock_does_not_make_everything_else_a_thin_line():
    report = a_report(hours("2026-03-02", "2026-03-20"))
    past = msgspec.structs.replace(report.past, since=datetime(1999, 1, 1, tzinfo=UTC))
    chart = charts.over_time(msgspec.structs.replace(report, past=past))

    assert chart is not None
    assert len(chart.bars) == 19


def test_the_week_adds_up_and_its_largest_square_is_the_busiest():
    report = a_report(hours("2026-03-02", "2026-03-29")[:100], mails=2)
    squares = charts.week(report)

    assert len(squares) == 7 * 24
    assert sum(one.mails for one in squares) == report.mails
    assert max(one.side for one in squares) == 1
    assert all((one.mails == 0) == (one.side == 0) == (one.level == 0) for one in squares)


def test_each_bar_of_outcomes_is_whole():
    for bar in section(everything(), "goal").all("svg", class_="lying"):
        widths = [float(one.attributes["width"].rstrip("%")) for one in bar.all("rect", class_="fill")]
        assert sum(widths) == pytest.approx(100, abs=0.01)


def test_the_stairs_rise_to_all_who_got_there_and_end_with_the_window():
    report = everything()
    steps = charts.stairs(report)

    assert [one.label for one in steps] == ["15m", "1h", "6h", "1d", "2d", "3d", "7d"]
    assert [one.count for one in steps] == sorted(one.count for one in steps)
    assert steps[-1].count == report.conversion.mailed.after
    assert steps[-1].top == 0


def test_a_window_between_two_classes_ends_where_it_does():
    conversion = msgspec.structs.replace(
        everything().conversion, within=36 * 3_600_000, delays={"1 hour": 3, "2 days": 4}
    )
    steps = charts.stairs(everything(conversion=conversion))

    assert [(one.label, one.count) for one in steps][-2:] == [("1d", 3), ("1d12h", 7)]
