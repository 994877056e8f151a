"""What a person's past costs: bytes of state, and the time that one more event takes."""

import statistics
from pathlib import Path

from benchmarks.events_file import day_of
from benchmarks.five_rules import core
from benchmarks.timing import compare, row
from tidings.deciding import state as states
from tidings.deciding.state import PersonState

NAMES = [f"user-{number}" for number in range(100)]


def run(path: Path) -> str:
    """Three lines for the table."""
    people: dict[str, PersonState] = {}
    core.follow(core.engine(), path.read_bytes().splitlines(), people)
    return "\n".join(
        [
            _bytes("state of the people in the file, when it ends", list(people.values())),
            _bytes("state of people with 100 events a day, after 30 days", _after(30)),
            _cost(),
        ]
    )


def _bytes(what: str, people: list[PersonState]) -> str:
    sizes = sorted(len(states.encode(state)) for state in people)
    median, high = statistics.median(sizes), sizes[int(len(sizes) * 0.99)]
    return row(what, f"median {median:,.0f} bytes, p99 {high:,}", "1 KB", median / 1024, at_most=1.0)


def _after(days: int) -> list[PersonState]:
    """People who did 100 things a day, for so many days."""
    people: dict[str, PersonState] = {}
    engine = core.engine()
    for day in range(days):
        core.follow(engine, day_of(NAMES, 100, day), people)
    return list(people.values())


def _cost() -> str:
    """The same number of events, on the second day and on the ninetieth."""
    saved = {days: [states.encode(one) for one in _after(days)] for days in (1, 90)}

    def one_day_more(days: int) -> None:
        people = {one.person: one for one in map(states.decode, saved[days])}
        core.follow(core.engine(), lines[days], people)

    lines = {days: day_of(NAMES, 100, days) for days in saved}
    result = compare(lambda: one_day_more(1), lambda: one_day_more(90), rounds=9)
    events = len(lines[1])
    return row(
        "one event of a person with 90 days of history",
        f"{result.candidate / events * 1e6:.1f} µs",
        f"with 1 day of history: {result.baseline / events * 1e6:.1f} µs",
        result.candidate / result.baseline,
        at_most=1.1,
    )
