"""Reports to draw: one that lacks nothing, and whatever a test changes about it."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tidings.backtest.difference import Counts
from tidings.backtest.examples import Shown
from tidings.backtest.part import Row
from tidings.backtest.report import (
    About,
    Change,
    Collisions,
    Conversion,
    Day,
    Ending,
    Hour,
    Outcome,
    Report,
    Stretch,
)

WEEK = 7 * 24 * 3_600_000
NOBODY = Outcome(firings=0, before=0, after=0, missed=0, open=0)


def hours(first: str, last: str, zone: str = "UTC") -> list[datetime]:
    """Every hour of these days by the clocks of the zone, with its offset."""
    place = ZoneInfo(zone)
    at, end = (datetime.combine(day, datetime.min.time(), place).astimezone(UTC) for day in _days(first, last))
    count = int((end - at) / timedelta(hours=1))
    return [_fixed((at + timedelta(hours=number)).astimezone(place)) for number in range(count)]


def _days(first: str, last: str) -> tuple[date, date]:
    return date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)


def _fixed(at: datetime) -> datetime:
    """As a report has it: with an offset, and without a zone."""
    return datetime.fromisoformat(at.isoformat())


def a_row(**fields: Any) -> Row:
    """A decision that becomes a mail."""
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    whole = {"person": "u:ann", "entry_key": "c1", "step": 0, "template": "cart-abandoned", "due_at": at}
    return Row(**{"decided_at": at, "outcome": "send", **whole, **fields})


def a_report(past: Iterable[datetime], mails: int = 3, stopped: int = 1, zone: str = "UTC", **fields: Any) -> Report:
    """A report of hours with so many mails each, and as many that are not sent; everything else adds up to it."""
    told = tuple(Hour(hour=one, mails=mails, stopped=stopped) for one in past)
    sent, kept = mails * len(told), stopped * len(told)
    per_day: dict[date, tuple[int, int]] = {}
    for one in told:
        known = per_day.get(one.hour.date(), (0, 0))
        per_day[one.hour.date()] = (known[0] + mails, known[1] + stopped)
    start = told[0].hour if told else datetime(2026, 3, 2, tzinfo=UTC)
    end = told[-1].hour + timedelta(minutes=59) if told else start + timedelta(days=1)
    missed, after = sent // 2, sent // 3
    report = Report(
        rule=About(
            id="cart-abandoned",
            name="Left something in the cart",
            version="8be1d2ef",
            current=None,
            kind="marketing",
            category="cart",
            trigger="trigger:\n  performed:\n    event: Product Added",
            sends=("cart-abandoned",),
        ),
        past=Stretch(
            oldest=start, newest=end, since=start, until=end, zone=zone, events=1_234_567, people=98_765, broken=0
        ),
        firings=sent + kept,
        outside=0,
        fired_for=sent + kept,
        mails=sent,
        endings=(
            Ending(step=0, template="cart-abandoned", ending="send", count=sent),
            Ending(step=0, template="cart-abandoned", ending="frequency_capped", count=kept),
        ),
        days=tuple(Day(day=day, mails=one, stopped=other) for day, (one, other) in sorted(per_day.items())),
        hours=told,
        busiest=told[0] if told else None,
        conversion=Conversion(
            goal="Order Completed",
            within=WEEK,
            mailed=Outcome(firings=sent, before=0, after=after, missed=missed, open=sent - after - missed),
            stopped=Outcome(firings=kept, before=0, after=0, missed=kept, open=0),
            delays={"1 hour": after - after // 2, "2 days": after // 2},
        ),
        collisions=Collisions(
            reasons={"frequency_capped": kept} if kept else {}, capped_by={}, held=0, lost={}, won={}
        ),
        change=None,
        rows=(),
        all_rows=0,
        examples=(),
        unknown=("What anybody did before.",),
        warnings=(),
        unheard=(),
    )
    return msgspec.structs.replace(report, **fields)


def nothing() -> Report:
    """A report of a rule that fired for nobody."""
    conversion = Conversion(goal="Order Completed", within=WEEK, mailed=NOBODY, stopped=NOBODY, delays={})
    return a_report([], endings=(), conversion=conversion)


def one_mail() -> Report:
    """A report of a single firing, not over yet."""
    alone = Outcome(firings=1, before=0, after=0, missed=0, open=1)
    conversion = Conversion(goal="Order Completed", within=WEEK, mailed=alone, stopped=NOBODY, delays={})
    return a_report(hours("2026-03-02", "2026-03-02")[9:10], mails=1, stopped=0, conversion=conversion)


def everything(**fields: Any) -> Report:
    """A report in which every section has something to say."""
    whole = a_report(hours("2026-03-02", "2026-03-29"))
    changed = Counts(same=5, moved=3, changed=2, added=1, removed=4, later=2, earlier=1)
    changed.later_seconds, changed.earlier_seconds = 3600.0, 90.0
    filled: dict[str, Any] = {
        "outside": 12,
        "collisions": Collisions(
            reasons={"frequency_capped": 600, "holdout": 72},
            capped_by={"welcome": 400, "cart-abandoned": 250},
            held=33,
            lost={"welcome": 7},
            won={"purchase-intent": 2, "welcome": 9},
        ),
        "change": Change(version="6bdb7801", counts=changed),
        "rows": (
            a_row(change="moved", moved_seconds=-90.0),
            a_row(change="removed", person="u:bob"),
            a_row(change="same", outcome="suppressed", reason="frequency_capped"),
        ),
        "all_rows": 9_535,
        "examples": (
            Shown(
                person="u:ann",
                template="cart-abandoned",
                at="2026-03-02T10:00:00+00:00",
                subject="Your cart",
                html="<p>Hello</p>",
                text="Hello",
            ),
            Shown(
                person="u:bob",
                template="cart-abandoned",
                at="2026-03-03T10:00:00+00:00",
                fault="body.html, line 3: 'price' is undefined",
            ),
        ),
        "warnings": ("No event called Product Aded is among these events; did you mean Product Added?",),
    }
    return msgspec.structs.replace(whole, **{**filled, **fields})
