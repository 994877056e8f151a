"""Where an axis has its ticks: at round numbers, and never so near that two labels touch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from math import ceil, log10
from typing import TypeVar

WIDE = 600
NARROW = 250
"""The narrowest that a chart gets on a wide screen and on a phone, in pixels, without its margins."""

_LETTER = 6.8
"""No letter of a date is wider at the size of the labels (12 px), in pixels."""
_AIR = 10

_Slot = TypeVar("_Slot", bound=date)


@dataclass(frozen=True)
class Tick:
    """A mark: `at` in percent of the length of the axis, or in units of its height."""

    at: float
    label: str


def room(label: str) -> float:
    """How wide a label is at the most, in pixels."""
    return len(label) * _LETTER


def fits(ticks: Sequence[Tick], width: float) -> bool:
    """Whether no two labels touch when the axis is so many pixels wide."""
    return all(
        (right.at - left.at) * width / 100 >= (room(left.label) + room(right.label)) / 2 + _AIR
        for left, right in pairwise(ticks)
    )


def counts(most: int) -> list[Tick]:
    """Three to five round numbers from 0 to at least `most`; `at` is the number itself."""
    rough = max(most, 1) / 4
    size = 10 ** int(log10(rough)) if rough >= 1 else 1
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough and size * factor % 1 == 0)
    return [Tick(number * step, f"{int(number * step):,}") for number in range(ceil(max(most, 1) / step) + 1)]


def days(slots: Sequence[date], width: float) -> list[Tick]:
    """As many dates as fit under bars that stand for days, or for some days from that one on."""
    if len(slots) < 2:
        return _ticks(slots, range(len(slots)), _day)
    mondays = [number for number, day in enumerate(slots) if day.weekday() == 0]
    every = [range(0, len(slots), step) for step in (1, 2)]
    months = [number for number, day in enumerate(slots) if number == 0 or day.month != slots[number - 1].month]
    months = months if slots[0].day == 1 else months[1:]
    candidates = [(which, _day) for which in (*every, mondays, mondays[::2])]
    for step in (1, 2, 3, 6, 12):
        candidates.append(([number for number in months if (slots[number].month - 1) % step == 0], _month))
    candidates.append(([0, len(slots) - 1], _month))
    return _first_that_fits((_ticks(slots, which, name) for which, name in candidates if len(which) > 1), width)


def hours(slots: Sequence[datetime], width: float) -> list[Tick]:
    """As many hours as fit; midnight is told as its day, and of an hour that is there twice the first is told."""
    first = [number for number, one in enumerate(slots) if number == 0 or one.hour != slots[number - 1].hour]
    candidates = ([number for number in first if slots[number].hour % step == 0] for step in (1, 2, 3, 4, 6, 12, 24))
    return _first_that_fits((_ticks(slots, which, _hour) for which in candidates), width)


def _first_that_fits(candidates: Iterable[list[Tick]], width: float) -> list[Tick]:
    return next((ticks for ticks in candidates if ticks and fits(ticks, width)), [])


def _ticks(slots: Sequence[_Slot], which: Iterable[int], name: Callable[[_Slot, bool], str]) -> list[Tick]:
    chosen = list(which)
    return [Tick((number + 0.5) * 100 / len(slots), name(slots[number], number == chosen[0])) for number in chosen]


def _day(day: date, first: bool) -> str:
    return f"{day.day} {day:%b}"


def _month(day: date, first: bool) -> str:
    return f"{day:%b %Y}" if first or day.month == 1 else f"{day:%b}"


def _hour(hour: datetime, first: bool) -> str:
    return f"{hour:%H:%M}" if hour.hour else f"{hour:%a} {hour.day} {hour:%b}"
