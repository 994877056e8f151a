"""A report as one HTML page that opens without a network: styles, charts and mails are all in it, and no script."""

from datetime import datetime
from functools import cache, partial
from zoneinfo import ZoneInfo

import jinja2

from tidings.backtest import charts, wording
from tidings.backtest.report import Outcome, Report

_FRAME = (
    '<!doctype html><meta charset="utf-8">'
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
    '<meta http-equiv="x-dns-prefetch-control" content="off"><base target="_blank">'
)
"""What comes before a mail in its frame. A browser takes the mail's own head for a part of this one, so that no mail
can get in front of the policy; and links would open a new page, which a frame without rights cannot."""


def render(report: Report) -> str:
    """The page."""
    mailed, stopped = report.conversion.mailed, report.conversion.stopped
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            rule=report.rule,
            past=report.past,
            goal=report.conversion.goal,
            within=wording.duration(report.conversion.within / 1000),
            mailed=mailed,
            stopped=stopped,
            outcomes=[(name, _outcomes(one), one.firings) for name, one in (("mailed", mailed), ("stopped", stopped))],
            chart=charts.over_time(report),
            squares=charts.week(report),
            stairs=charts.stairs(report),
            heights={"bars": charts.HEIGHT, "stairs": charts.STAIRS},
            steps=_steps(report),
            differing=[row for row in report.rows if row.change not in ("", "same")],
            clock=partial(_clock, ZoneInfo(report.past.zone)),
        )
    )


def _outcomes(one: Outcome) -> dict[str, int]:
    return {"before": one.before, "after": one.after, "missed": one.missed, "open": one.open}


def _steps(report: Report) -> dict[tuple[int, str], dict[str, int]]:
    """Step and template -> how its sends ended."""
    steps: dict[tuple[int, str], dict[str, int]] = {}
    for one in report.endings:
        steps.setdefault((one.step, one.template), {})[one.ending] = one.count
    return steps


def _clock(zone: ZoneInfo, at: datetime | str) -> str:
    return wording.clock(datetime.fromisoformat(at) if isinstance(at, str) else at, zone)


def _framed(html: str) -> str:
    """A mail as the document of its frame. What comes back is text, to be escaped like any other."""
    return _FRAME + html


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tidings.backtest", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n": wording.number,
        "ending": wording.ending,
        "duration": wording.duration,
        "framed": _framed,
    }
    environment.globals |= {
        "share": wording.share,
        "times": wording.times,
        "shares": charts.shares,
        "changes": wording.CHANGES,
    }
    return environment
