import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.backtest.html import Element, parse
from tests.backtest.reports import NOBODY, a_report, a_row, everything, hours, nothing, one_mail
from tidings.backtest import axes, charts, page
from tidings.backtest.examples import Shown
from tidings.backtest.report import Change, Conversion, Outcome, Report
from tidings.difference import Counts

SHAPES = {
    "nobody": nothing(),
    "one": one_mail(),
    "a day": a_report(hours("2026-03-02", "2026-03-02")),
    "no mail": a_report(hours("2026-03-02", "2026-03-08"), mails=0),
    "a clock change": a_report(hours("2025-10-25", "2025-10-27", "Europe/Berlin"), zone="Europe/Berlin"),
    "a month": everything(),
    "400 days": a_report(hours("2025-02-01", "2026-03-07")[::24]),
    "ten years": a_report(hours("2016-02-01", "2026-03-07")[::24]),
}

shapes = pytest.mark.parametrize("report", SHAPES.values(), ids=SHAPES)


def drawn(report: Report) -> Element:
    return parse(page.render(report))


def section(report: Report, name: str) -> Element:
    return drawn(report).one("section", **{"aria-labelledby": name})


def heights(chart: Element, kind: str) -> float:
    return sum(float(one.attributes["height"]) for one in chart.all("rect", class_=kind))


def the_chart(root: Element, start: str = "Mails per") -> Element:
    (found,) = [one for one in root.all("svg") if one.attributes.get("aria-label", "").startswith(start)]
    return found


@shapes
def test_the_page_has_one_title_and_a_heading_for_each_section(report):
    root = drawn(report)

    assert root.one("h1").text == "Left something in the cart"
    assert root.one("html").attributes["lang"] == "en"
    assert len(root.all("main")) == len(root.all("header")) == len(root.all("footer")) == 1
    ids = [one.attributes["id"] for one in root.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in root.all("section"):
        assert one.attributes["aria-labelledby"] in ids
        assert len(one.all("h2")) == 1


@shapes
def test_the_sections_stand_in_the_order_in_which_they_are_read(report):
    names = [one.attributes["aria-labelledby"] for one in drawn(report).all("section")]

    expected = ["answer", "when", "goal", "collisions", "change", "rows", "examples", "unknown"]
    assert names == (["warnings"] if report.warnings else []) + expected


@shapes
def test_nothing_is_asked_of_a_network(report):
    written = page.render(report)
    root = parse(written)

    assert not [one.tag for one in root.all() if one.tag in {"script", "link", "img", "a", "object", "embed", "form"}]
    assert not [name for one in root.all() for name in one.attributes if name in {"src", "href"} or name[:2] == "on"]
    assert "://" not in re.sub(r'srcdoc="[^"]*"', "", written)
    assert "@import" not in written
    assert set(re.findall(r"url\(([^)]*)\)", written)) == {"#hatch", "#dots"}
    (policy,) = root.one("head").all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")


@shapes
def test_every_picture_has_a_name_or_is_only_for_the_eye(report):
    for one in drawn(report).all("svg"):
        inside = one.attributes.get("preserveaspectratio") == "none"  # the thin bars of a picture that has a name
        assert inside or one.attributes.get("aria-hidden") == "true" or len(one.attributes["aria-label"]) > 10


@shapes
def test_every_table_says_what_it_is_and_whose_its_cells_are(report):
    for table in drawn(report).all("table"):
        assert table.one("caption").text
        assert all(one.attributes.get("scope") in {"row", "col"} for one in table.all("th"))
        wide = [len(row.all("th")) + len(row.all("td")) for row in table.all("tr")]
        assert len(set(wide)) == 1


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


HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}</iframe></title></style>"


def test_whatever_is_called_hostile_stays_text():
    plain = everything()
    shown = Shown(
        person=HOSTILE, template=HOSTILE, at="2026-03-02T10:00:00+00:00", subject=HOSTILE, html=HOSTILE, text=HOSTILE
    )
    rule = msgspec.structs.replace(
        plain.rule, name=HOSTILE, id=HOSTILE, category=HOSTILE, trigger=HOSTILE, version=HOSTILE, sends=(HOSTILE,)
    )
    collisions = msgspec.structs.replace(
        plain.collisions, reasons={HOSTILE: 1}, capped_by={HOSTILE: 1}, lost={HOSTILE: 1}, won={}
    )
    report = everything(
        rule=rule,
        conversion=msgspec.structs.replace(plain.conversion, goal=HOSTILE),
        collisions=collisions,
        rows=(a_row(person=HOSTILE, entry_key=HOSTILE, template=HOSTILE, outcome=HOSTILE, change="added"),),
        examples=(shown, msgspec.structs.replace(shown, fault=HOSTILE)),
        unknown=(HOSTILE,),
        warnings=(HOSTILE,),
    )
    root = drawn(report)

    assert root.one("h1").text == HOSTILE
    assert root.one("pre", **{"aria-label": "The trigger, as YAML"}).text == HOSTILE
    assert root.one("iframe").attributes["srcdoc"].endswith(HOSTILE)
    assert {one.tag for one in root.all()} == {one.tag for one in drawn(plain).all()}


def test_a_mail_is_shown_in_a_frame_without_rights():
    frame = section(everything(), "examples").one("iframe")

    assert frame.attributes["sandbox"] == ""
    assert frame.attributes["title"] == "The mail: Your cart"
    assert "src" not in frame.attributes


def test_no_mail_can_get_in_front_of_the_policy_of_its_frame():
    html = '<!-- <head> --><img src="https://elsewhere.example/x.png">'
    shown = Shown(person="u:ann", template="t", at="2026-03-02T10:00:00+00:00", subject="s", html=html, text="t")
    document = section(everything(examples=(shown,)), "examples").one("iframe").attributes["srcdoc"]
    first, second = parse(document).all("meta")[:2]

    assert document.startswith("<!doctype html>")
    assert first.attributes == {"charset": "utf-8"}
    assert second.attributes["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in second.attributes["content"]
    assert document.endswith(html)


def test_a_mail_that_cannot_be_made_is_told_as_that():
    faulty = section(everything(), "examples").one("article", class_="faulty")

    assert "body.html, line 3: 'price' is undefined" in faulty.text
    assert not faulty.all("iframe")


def test_what_stays_unknown_is_told_word_for_word():
    assert "What anybody did before." in section(everything(), "unknown").text


STYLE = (Path(page.__file__).parent / "pages" / "style.css").read_text()
ON = {
    "card": ("ink", "soft", "blue"),
    "paper": ("ink", "soft"),
    "amber-soft": ("ink", "soft", "amber-ink"),
    "blue-soft": ("ink", "soft"),
    "pale": ("ink", "soft"),
    "sky": ("ink",),
    "data": ("on-data",),
    "amber": ("on-amber",),
}


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", text))


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(one * 2 for one in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ground", "letters"), [(ground, one) for ground, all_ in ON.items() for one in all_])
def test_every_letter_stands_out_from_its_ground(scheme, ground, letters):
    light, dark = STYLE.split("prefers-color-scheme: dark", 1)
    known = colours(light) if scheme == "light" else {**colours(light), **colours(dark)}
    lighter, darker = sorted((luminance(known[ground]), luminance(known[letters])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_a_paused_rule_compared_with_itself_differs_in_how_it_ends():
    change = Change(version="8be1d2ef", counts=Counts(changed=4))
    assert "4 differ" in section(msgspec.structs.replace(everything(), change=change), "change").text


def test_later_mails_of_what_had_fired_before_are_not_nobodys():
    report = msgspec.structs.replace(nothing(), mails=2)
    assert "2 later mails would have gone" in section(report, "answer").text
