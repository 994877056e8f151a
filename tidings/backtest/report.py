"""What a backtest tells: one plain structure, from which the terminal, the page and the JSON are made."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from textwrap import indent
from typing import Any

import msgspec

from tidings.backtest import unknowns
from tidings.backtest.difference import Counts
from tidings.backtest.examples import Shown, show
from tidings.backtest.findings import DELAYS, Findings, Goals
from tidings.backtest.part import Row
from tidings.backtest.question import Question
from tidings.explaining.rules_told import trigger_yaml
from tidings.history.gather import Gathered


class _Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Names on the wire are in camelCase, as everywhere."""


class About(_Told, frozen=True, kw_only=True):
    """The rule in question. `current` is the version that runs now, if one does; `trigger` is YAML."""

    id: str
    name: str
    version: str
    current: str | None
    kind: str
    category: str
    trigger: str
    sends: tuple[str, ...]


class Stretch(_Told, frozen=True, kw_only=True):
    """The past that was asked. `since` is from when on decisions are told; `zone` of all days and hours."""

    oldest: datetime
    newest: datetime
    since: datetime
    until: datetime
    zone: str
    events: int
    people: int
    broken: int


class Ending(_Told, frozen=True, kw_only=True):
    """How often a send of the rule ended like this: `send`, or the reason why not."""

    step: int
    template: str
    ending: str
    count: int


class Day(_Told, frozen=True, kw_only=True):
    """Mails that would have gone on a day, and decisions that would not have become one."""

    day: date
    mails: int
    stopped: int


class Hour(_Told, frozen=True, kw_only=True):
    """The same of an hour, given with its offset: the hour that a clock change repeats is there twice."""

    hour: datetime
    mails: int
    stopped: int


class Outcome(_Told, frozen=True, kw_only=True):
    """See `Goals`; `missed` had the whole window and did not reach the goal."""

    firings: int
    before: int
    after: int
    missed: int
    open: int

    @classmethod
    def of(cls, goals: Goals) -> "Outcome":
        """The figures that are told of them."""
        return cls(firings=goals.firings, before=goals.before, after=goals.after, missed=goals.ceiling, open=goals.open)


class Conversion(_Told, frozen=True, kw_only=True):
    """Who reached the goal by themselves.

    Attributes:
        goal / within: the name of the event, and the window after the rule fired, in milliseconds.
        mailed / stopped: firings that would have brought a mail, and those that would not.
        delays: class -> mailed firings that reached the goal so long after the rule fired, in order of time.
    """

    goal: str
    within: int
    mailed: Outcome
    stopped: Outcome
    delays: dict[str, int]


class Collisions(_Told, frozen=True, kw_only=True):
    """What the rule and all that surrounds it do to each other.

    Attributes:
        reasons: why mails of this rule would not have gone.
        capped_by: other rule (or itself) -> mails of this one that found the cap used up by it.
        held: mails that waited for the morning.
        lost / won: other rule -> its mails that would no longer have gone; or would have gone then.
    """

    reasons: dict[str, int]
    capped_by: dict[str, int]
    held: int
    lost: dict[str, int]
    won: dict[str, int]


class Change(_Told, frozen=True, kw_only=True):
    """The difference to the current version, decision by decision; see `tidings.backtest.difference`."""

    version: str
    counts: Counts


class Report(_Told, frozen=True, kw_only=True):
    """A whole backtest.

    Attributes:
        firings: how often the rule fired for somebody in its audience.
        outside: how often for somebody who is not.
        fired_for: for how many people it did.
        mails: how many would have gone.
        busiest: the hour with the most of them.
        rows / all_rows: the first decisions, and how many there are; `tidings backtest --people` writes all of them.
        unknown: what this cannot know, in sentences.
        warnings: what looks wrong, in sentences.
        unheard: the names that the rule looks for and that no event has.
    """

    rule: About
    past: Stretch
    firings: int
    outside: int
    fired_for: int
    mails: int
    endings: tuple[Ending, ...]
    days: tuple[Day, ...]
    hours: tuple[Hour, ...]
    busiest: Hour | None
    conversion: Conversion
    collisions: Collisions
    change: Change | None
    rows: tuple[Row, ...]
    all_rows: int
    examples: tuple[Shown, ...]
    unknown: tuple[str, ...]
    warnings: tuple[str, ...]
    unheard: tuple[str, ...]


def make(
    question: Question,
    found: Findings,
    past: Gathered,
    until: datetime,
    rows: Sequence[Row],
    all_rows: int,
    templates: str,
) -> Report:
    """The report of what was found.

    Args:
        question: what was asked.
        found: the answer, added up.
        past: what the events were.
        until: how far they reach.
        rows: see `Report`.
        all_rows: see `Report`.
        templates: where the templates are; empty for those that ship.
    """
    assert past.oldest is not None
    assert past.newest is not None
    hours = _hours(found)
    stopped = Counter({ending: 0 for _, _, ending in found.endings})
    for (_, _, ending), count in found.endings.items():
        stopped[ending] += count
    mails = stopped.pop("send", 0)
    return Report(
        rule=_about(question),
        past=Stretch(
            oldest=past.oldest,
            newest=past.newest,
            since=question.since or past.oldest,
            until=until,
            zone=question.zone.key,
            events=past.events,
            people=found.everybody,
            broken=past.broken,
        ),
        firings=found.mailed.firings + found.stopped.firings,
        outside=found.outside,
        fired_for=found.people,
        mails=mails,
        endings=tuple(
            Ending(step=step, template=template, ending=ending, count=count)
            for (step, template, ending), count in sorted(found.endings.items())
        ),
        days=_days(hours),
        hours=hours,
        busiest=max(hours, key=lambda one: one.mails, default=None),
        conversion=Conversion(
            goal=question.goal,
            within=question.within,
            mailed=Outcome.of(found.mailed),
            stopped=Outcome.of(found.stopped),
            delays={name: found.delays[name] for name, _ in DELAYS if name in found.delays},
        ),
        collisions=Collisions(
            reasons=_largest_first(stopped),
            capped_by=_largest_first(found.capped_by),
            held=found.held,
            lost=_largest_first(found.lost),
            won=_largest_first(found.won),
        ),
        change=Change(version=question.current.version, counts=found.difference) if question.current else None,
        rows=tuple(rows),
        all_rows=all_rows,
        examples=tuple(show(one, templates) for one in found.examples),
        unknown=tuple(unknowns.sentences(question, found, past, until)),
        warnings=tuple(unknowns.warnings(question, found, past)),
        unheard=tuple(name for _, name in unknowns.unheard(question.names, past)),
    )


def _about(question: Question) -> About:
    rule = question.rule
    return About(
        id=rule.id,
        name=rule.name or rule.id,
        version=rule.version,
        current=question.current.version if question.current else None,
        kind=rule.kind,
        category=rule.category,
        trigger="trigger:\n" + indent(trigger_yaml(rule), "  ").rstrip(),
        sends=tuple(send.template for send in rule.sends),
    )


def _hours(found: Findings) -> tuple[Hour, ...]:
    names = {*found.hours, *found.stopped_hours}
    return tuple(
        Hour(hour=hour, mails=found.hours.get(name, 0), stopped=found.stopped_hours.get(name, 0))
        for hour, name in sorted((datetime.fromisoformat(name), name) for name in names)
    )


def _days(hours: Iterable[Hour]) -> tuple[Day, ...]:
    mails: Counter[date] = Counter()
    stopped: Counter[date] = Counter()
    for one in hours:
        mails[one.hour.date()] += one.mails
        stopped[one.hour.date()] += one.stopped
    return tuple(Day(day=day, mails=mails[day], stopped=stopped[day]) for day in sorted(mails))


def _largest_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def as_json(report: Report) -> bytes:
    """For machines."""
    plain: Any = msgspec.to_builtins(report)
    return msgspec.json.format(msgspec.json.encode(plain))
