"""A report in the terminal: a few tables, and a small chart."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidings import durations
from tidings.backtest.report import Change, Outcome, Report
from tidings.printable import printable

_BAR = 40
_FEW = 2
"""So few days are shown hour by hour."""
_DAYS = 31
"""So many days of the chart are shown; what lies before them is on the page and in the JSON."""


def show(report: Report, console: Console | None = None) -> None:
    """Print it."""
    out = console or Console(highlight=False, emoji=False)
    rule, past = report.rule, report.past
    zone = ZoneInfo(past.zone)
    out.print(f"[bold]{_safe(rule.name)}[/] ({rule.id}, version {rule.version})")
    out.print(
        f"{past.events:,} events of {past.people:,} people, "
        f"{_clock(past.since, zone)} to {_clock(past.until, zone)} {past.zone}\n"
    )
    for warning in report.warnings:
        out.print(f"[yellow]{_safe(warning)}[/]")
    if not (report.firings or report.mails):  # a firing before `since` may send now
        out.print(
            "Nobody would have got it." + (f" {report.outside:,} were outside its audience." * bool(report.outside))
        )
    else:
        _when(report, out)
        if report.firings:
            _goal(report, out)
    _collisions(report, out)
    if report.change:
        _change(report.change, report, out, zone)
    _examples(report, out, zone)
    out.print("\n[bold]What this cannot know[/]")
    for sentence in report.unknown:
        out.print(f"- {_safe(sentence)}")


def _when(report: Report, out: Console) -> None:
    out.print(
        f"It would have fired [bold]{report.firings:,}[/] times for {report.fired_for:,} people"
        f"{f' (and {report.outside:,} times outside its audience)' if report.outside else ''}"
        f", and sent [bold]{report.mails:,}[/] mails"
        f"{f', at most {report.busiest.mails:,} in an hour' if report.busiest and report.mails else ''}.\n"
    )
    bars = [(f"{one.day:%a %d %b}", one.mails, one.stopped) for one in report.days[-_DAYS:]]
    if len(bars) <= _FEW:
        bars = [(f"{one.hour:%a %d %b %H:%M %z}", one.mails, one.stopped) for one in report.hours]
    most = max(mails + stopped for _, mails, stopped in bars)
    for name, mails, stopped in bars:
        width, rest = (round(count * _BAR / most) for count in (mails, stopped))
        out.print(f"  {name}  {mails:>8,}  [green]{'█' * width}[/][dim]{'░' * rest}[/]")
    if any(stopped for _, _, stopped in bars):
        out.print("  [dim]░ decided, and not sent[/]")


def _goal(report: Report, out: Console) -> None:
    conversion = report.conversion
    goal, window = _safe(conversion.goal), durations.text(conversion.within)
    out.print(f"\n[bold]{goal}[/] within {window} of the trigger, by themselves\n")
    both = (("with a mail", conversion.mailed), ("without one", conversion.stopped))
    columns = ["before mail", "after mail", "not at all", "not over"]
    rows = {name: _outcome(one) for name, one in both if one.firings}
    out.print(_table(["", "firings", *columns], rows))
    mailed = conversion.mailed
    if over := mailed.firings - mailed.open:
        out.print(
            f"\nOf {over:,} who would have got a mail{', and whose time is over' if mailed.open else ''}, "
            f"{mailed.before + mailed.after:,} did it anyway. "
            f"The most that it could have changed: [bold]{mailed.missed:,}[/] ({mailed.missed / over:.0%})."
        )


def _outcome(one: Outcome) -> list[str]:
    return [
        f"{one.firings:,}",
        *(f"{count:,} ({count / one.firings:.0%})" for count in (one.before, one.after, one.missed, one.open)),
    ]


def _collisions(report: Report, out: Console) -> None:
    found = report.collisions
    if not (found.reasons or found.held or found.lost or found.won):
        return
    out.print("\n[bold]What it runs into[/]\n")
    rows = {f"not sent: {reason}": [f"{count:,}", ""] for reason, count in found.reasons.items()}
    if "frequency_capped" in found.reasons and found.capped_by:
        blame = ", ".join(f"{rule} {count:,}" for rule, count in found.capped_by.items())
        rows["not sent: frequency_capped"][1] = f"after {blame}"
    if found.held:
        rows["held until the morning"] = [f"{found.held:,}", ""]
    for rule in {**found.lost, **found.won}:
        lost, won = found.lost.get(rule, 0), found.won.get(rule, 0)
        rows[f"{rule} would have sent"] = [f"{won - lost:+,}", f"{lost:,} fewer, {won:,} more"]
    out.print(_table(["", "mails", ""], rows))


def _change(change: Change, report: Report, out: Console, zone: ZoneInfo) -> None:
    counts = change.counts
    out.print(f"\n[bold]Compared with version {change.version}, which runs now[/]\n")
    if change.version == report.rule.version and not counts.changed:  # of a paused one, every ending changes
        out.print("It is this very version.")
        return
    how = [
        f"{count:,} {word} by {_mean(seconds, count)} on average"
        for word, count, seconds in (
            ("later", counts.later, counts.later_seconds),
            ("earlier", counts.earlier, counts.earlier_seconds),
        )
        if count
    ]
    rows = {
        "the same": [f"{counts.same:,}", ""],
        "moved in time": [f"{counts.moved:,}", ", ".join(how)],
        "with another ending": [f"{counts.changed:,}", ""],
        "added": [f"{counts.added:,}", ""],
        "removed": [f"{counts.removed:,}", ""],
    }
    out.print(_table(["", "decisions", ""], rows))
    shown = [row for row in report.rows if row.change not in ("", "same")][:5]
    for row in shown:
        by = f" by {_mean(abs(row.moved_seconds), 1)}" if row.moved_seconds else ""
        out.print(f"  {row.change}{by}: {_safe(row.person)} {_safe(row.entry_key)} due {_clock(row.due_at, zone)}")


def _mean(seconds: float, count: int) -> str:
    return durations.text(round(seconds / count) * 1000)


def _examples(report: Report, out: Console, zone: ZoneInfo) -> None:
    if report.examples:
        out.print("\n[bold]What it would have looked like[/]\n")
    for one in report.examples:
        what = f"[red]{_safe(one.fault)}[/]" if one.fault else _safe(one.subject)
        out.print(f"  {_safe(one.person)}  {_clock(datetime.fromisoformat(one.at), zone)}  {one.template}: {what}")


def _table(header: Iterable[str], rows: Mapping[str, Iterable[str]]) -> Table:
    """The first column names the rows; figures stand to the right."""
    first, *others = header
    table = Table(first, *others, box=None, header_style="dim", padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    if not others[-1]:
        table.columns[-1].justify = "left"
    table.columns[0].no_wrap = True
    for name, cells in rows.items():
        table.add_row(_safe(name), *cells)
    return table


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _safe(text: str) -> str:
    return escape(printable(text))
