"""Reports of every shape, and the pages that are made of them."""

import pytest

from tests.backtest.html import Element, parse
from tests.backtest.reports import a_report, everything, hours, nothing, one_mail
from tidings.backtest import page
from tidings.backtest.report import Report

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
