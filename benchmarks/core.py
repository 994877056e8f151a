"""The core alone: the five rules from YAML, against the same five rules written by hand."""

from pathlib import Path

from benchmarks.events_file import UNTIL
from benchmarks.five_rules import core, handwritten
from benchmarks.timing import compare, row


def run(path: Path) -> str:
    """A line for the table."""
    lines = path.read_bytes().splitlines()
    engine = core.engine()
    result = compare(lambda: handwritten.run(lines, UNTIL), lambda: core.run(engine, lines, UNTIL))
    return row(
        "core, five rules, one core",
        f"{len(lines) / result.candidate:,.0f} events/s",
        f"written by hand: {len(lines) / result.baseline:,.0f} events/s",
        result.ratio,
        at_least=1.0,
    )
