"""`tidings replay` and `tidings backtest` on a longer and longer past: events a second, and the memory of a process.

Against the bare engine: the same events decoded and grouped in memory, then `tidings.deciding.replay.replay` in a loop
and nothing else. Each command runs in processes of its own, as somebody would type it. `TIDINGS_BENCH_EVENTS` says how
long the pasts are (100000,1000000,5000000 when it is not set; 5 million take 1.5 GB of disk, twice).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import events_file
from benchmarks.events_file import UNTIL
from benchmarks.five_rules import FOLDER
from benchmarks.timing import row
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.rollout.rule_set import from_folder
from tidings.wire import events
from tidings.wire.events import Event, instant

LENGTHS = os.environ.get("TIDINGS_BENCH_EVENTS", "100000,1000000,5000000")
_MOST_IN_MEMORY = 1_000_000
"""The bare engine is measured on so many of the events at most: it holds them all."""

_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""The largest of a command's processes, in KiB (Linux)."""


class Cost(NamedTuple):
    """Seconds, and megabytes of the largest process."""

    seconds: float
    megabytes: float


def run(path: Path) -> str:
    """Lines for the table; the file of the other benchmarks is not used."""
    del path
    lines: list[str] = []
    peaks: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for count in map(int, LENGTHS.split(",")):
        past = events_file.ensure(count, people=count // 20)
        bare = _bare(past)
        for name, arguments in _commands(past).items():
            for processes in (1, 2):
                cost = _cost([*arguments, f"--processes={processes}"])
                peaks[name, processes][count] = cost.megabytes
                speed = count / cost.seconds
                lines.append(
                    row(
                        f"`{name}`, {count:,} events, {_on(processes)}",
                        f"{speed:,.0f} events/s, {cost.megabytes:,.0f} MB",
                        f"bare engine: {bare:,.0f} events/s",
                        speed / bare,
                    )
                )
    return "\n".join([*lines, *_growth(peaks)])


def _growth(peaks: dict[tuple[str, int], dict[int, float]]) -> list[str]:
    lines = []
    for (name, processes), by_count in peaks.items():
        few, most = sorted(by_count)[-2:] if len(by_count) > 1 else (0, 0)
        if few:
            what = f"memory of `{name}`, {most:,} events, {_on(processes)}"
            against = f"{few:,} events: {by_count[few]:,.0f} MB"
            lines.append(row(what, f"{by_count[most]:,.0f} MB", against, by_count[most] / by_count[few], at_most=1.5))
    return lines


def _commands(past: Path) -> dict[str, list[str]]:
    folder, until = f"--rules={FOLDER}", f"--until={instant(UNTIL).isoformat()}"
    return {
        "replay": ["replay", str(past), folder, until],
        "backtest": ["backtest", "cart-abandoned", str(past), folder, until, "--json"],
    }


def _cost(arguments: Sequence[str]) -> Cost:
    command = [sys.executable, "-m", "tidings", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        told = subprocess.run(
            [sys.executable, "-c", _MEASURE, *command],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": folder},
        )
        return Cost(time.perf_counter() - started, int(told.stdout) / 1024)


def _bare(past: Path) -> float:
    """Events a second of the engine alone."""
    people: dict[str, list[Event]] = defaultdict(list)
    count = 0
    with past.open("rb") as file:
        for line in file:
            event = events.decode(line)
            people[event.person].append(event)
            count += 1
            if count == _MOST_IN_MEMORY:
                break
    engine = Engine(from_folder(FOLDER).book())
    started = time.perf_counter()
    for person, history in people.items():
        replay(engine, person, history, UNTIL)
    return count / (time.perf_counter() - started)


def _on(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"
