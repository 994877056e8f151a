"""The figures of a report as shapes: what stands where, in percent across and in pixels down. No text is laid out here.

Widths are in percent, so that a chart is as wide as its place and its letters stay as large as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from tidings import durations
from tidings.backtest import axes
from tidings.backtest.axes import Tick
from tidings.backtest.findings import DELAYS
from tidings.backtest.report import Report

HEIGHT = 220
"""Of a chart of bars, in pixels."""
STAIRS = 180
"""Of the staircase."""

_HOURLY_DAYS = 3
_MOST_BARS = 420
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Bar:
    """Two counts on top of each other. `x` and `width` in percent, heights in pixels."""

    label: str
    mails: int
    stopped: int
    x: float
    width: float
    mails_height: float
    stopped_height: float


@dataclass(frozen=True)
class BarChart:
    """Bars over time.

    Attributes:
        unit: what one bar stands for: `hour`, `day`, `week` or `2 weeks`.
        slot: how much room a bar has, in percent.
        dense: whether the bars touch each other.
        wide / narrow: the ticks below, for the two widths of `axes`.
        up: the ticks at the side; `at` is in pixels from above.
    """

    unit: str
    bars: tuple[Bar, ...]
    slot: float
    dense: bool
    wide: tuple[Tick, ...]
    narrow: tuple[Tick, ...]
    up: tuple[Tick, ...]


@dataclass(frozen=True)
class Square:
    """An hour of a weekday, Monday first; `side` from 0 to 1, `level` from 0 to 5."""

    weekday: int
    hour: int
    mails: int
    side: float
    level: int


@dataclass(frozen=True)
class Segment:
    """A piece of a bar that lies on its side, in percent."""

    name: str
    count: int
    x: float
    width: float


@dataclass(frozen=True)
class Stair:
    """How many had reached the goal by then; `share` of 1, `top` in pixels from above."""

    label: str
    count: int
    share: float
    x: float
    width: float
    top: float


def over_time(report: Report) -> BarChart | None:
    """Hour by hour when the past is at most three days long, and else day by day; by weeks beyond 420 days."""
    if not report.hours:
        return None
    zone = ZoneInfo(report.past.zone)
    first, last = (at.astimezone(zone).date() for at in (report.past.since, report.past.until))
    first, last = min(first, report.days[0].day), max(last, report.days[-1].day)
    if (last - first).days < _HOURLY_DAYS:
        return _hourly(report, first, last, zone)
    if (last - first).days >= _MOST_BARS:  # one event with a wrong clock must not make everything else a thin line
        first, last = report.days[0].day, report.days[-1].day
    size = 1 if (last - first).days < _MOST_BARS else 7 * -(-(last - first).days // (7 * _MOST_BARS))
    first -= timedelta(days=first.weekday() if size > 1 else 0)
    slots = [first + timedelta(days=number) for number in range(0, (last - first).days + 1, size)]
    mails: Counter[int] = Counter()
    stopped: Counter[int] = Counter()
    for one in report.days:
        mails[(one.day - first).days // size] += one.mails
        stopped[(one.day - first).days // size] += one.stopped
    unit = "day" if size == 1 else "week" if size == 7 else f"{size // 7} weeks"
    names = [f"{'' if size == 1 else 'from '}{day:%a} {day.day} {day:%b %Y}" for day in slots]
    counts = [(mails[number], stopped[number]) for number in range(len(slots))]
    return _chart(unit, names, counts, axes.days(slots, axes.WIDE), axes.days(slots, axes.NARROW))


def _hourly(report: Report, first: date, last: date, zone: ZoneInfo) -> BarChart:
    counts = {one.hour.isoformat(): (one.mails, one.stopped) for one in report.hours}
    slots = sorted({*counts, *_hours(first, last, zone)}, key=datetime.fromisoformat)
    times = [datetime.fromisoformat(name) for name in slots]
    twice = Counter(one.replace(tzinfo=None) for one in times)
    names = [
        f"{one:%a} {one.day} {one:%b %Y, %H:%M}" + (f" ({one:%z})" if twice[one.replace(tzinfo=None)] > 1 else "")
        for one in times
    ]
    pairs = [counts.get(name, (0, 0)) for name in slots]
    return _chart("hour", names, pairs, axes.hours(times, axes.WIDE), axes.hours(times, axes.NARROW))


def _hours(first: date, last: date, zone: ZoneInfo) -> Iterable[str]:
    """All hours of these days by the clocks of the zone, each with its offset."""
    at, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, last + timedelta(days=1)))
    instant, until = at.timestamp(), end.timestamp()
    while instant < until:
        yield datetime.fromtimestamp(instant, zone).replace(minute=0, second=0).isoformat()
        instant += _HOUR.total_seconds() / 2  # some clocks are set by half an hour


def _chart(
    unit: str, names: Sequence[str], counts: Sequence[tuple[int, int]], wide: Iterable[Tick], narrow: Iterable[Tick]
) -> BarChart:
    slot = 100 / len(names)
    gap = 0.22 if len(names) <= 80 else 0.12 if len(names) <= 160 else 0
    up = axes.counts(max(map(sum, counts)))
    scale = HEIGHT / up[-1].at
    bars = (
        Bar(name, mails, stopped, (number + gap / 2) * slot, (1 - gap) * slot, mails * scale, stopped * scale)
        for number, (name, (mails, stopped)) in enumerate(zip(names, counts, strict=True))
    )
    sides = tuple(Tick(HEIGHT - one.at * scale, one.label) for one in up)
    return BarChart(unit, tuple(bars), slot, not gap, tuple(wide), tuple(narrow), sides)


def week(report: Report) -> tuple[Square, ...]:
    """Weekday by hour; nothing when the past is so short that the hours are shown one by one."""
    chart = over_time(report)
    if chart is None or chart.unit == "hour" or not report.mails:
        return ()
    mails: Counter[tuple[int, int]] = Counter()
    for one in report.hours:
        mails[one.hour.weekday(), one.hour.hour] += one.mails
    most = max(mails.values())
    return tuple(
        Square(day, hour, count, (0.3 + 0.7 * (count / most) ** 0.5) if count else 0, -(-5 * count // most))
        for day in range(7)
        for hour in range(24)
        for count in [mails[day, hour]]
    )


def shares(counts: Mapping[str, int]) -> tuple[Segment, ...]:
    """One bar of 100 percent; what is not there has no segment."""
    total = sum(counts.values()) or 1
    ends = [0, *accumulate(counts.values())]
    return tuple(
        Segment(name, count, start * 100 / total, count * 100 / total)
        for (name, count), start in zip(counts.items(), ends, strict=False)
        if count
    )


def stairs(report: Report) -> tuple[Stair, ...]:
    """The share of the firings with a mail that had reached the goal so long after the rule had fired."""
    conversion = report.conversion
    firings = conversion.mailed.firings
    if not firings or not conversion.delays:
        return ()
    minutes = conversion.within / 60_000
    inside = [(name, last) for name, last in DELAYS if last < minutes]
    rest = sum(conversion.delays.values()) - sum(conversion.delays.get(name, 0) for name, _ in inside)
    labels = [*(durations.text(last * 60_000) for _, last in inside), durations.text(conversion.within)]
    sums = list(accumulate([*(conversion.delays.get(name, 0) for name, _ in inside), rest]))
    top, width = sums[-1], 100 / len(sums)
    return tuple(
        Stair(label, count, count / firings, number * width, width, STAIRS * (1 - count / top))
        for number, (label, count) in enumerate(zip(labels, sums, strict=True))
    )
