"""How many dead letters there are, by step and reason, and the newest of them. None is taken away.

Nothing of a letter's payload is printed, and nothing else that could be about a person.
"""

import argparse
import heapq
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

from tidings.commands import arguments, letters, somebody
from tidings.commands.exits import Exit
from tidings.commands.replay import write_lines
from tidings.dead_letters.letters import Count, Found, Kind
from tidings.printable import printable

EXAMPLE = """  tidings dead-letters list
  tidings dead-letters list --step deliver --newer-than 1d --json --store firestore --project my-project"""


class Line(msgspec.Struct, frozen=True, order=True):
    """One letter, without its payload; a later one is greater."""

    at: datetime
    id: str
    step: str
    reason: str
    detail: str


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = letters.parser("list", __doc__, EXAMPLE)
    letters.add_selection(options, required=False)
    options.add_argument("--limit", type=int, default=10, metavar="N", help="how many of the newest (default 10)")
    options.add_argument("--json", action="store_true", help="print it as JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    now, count = arguments.now(), Count()
    wanted = letters.selection(options, now)
    newest: list[Line] = []

    def visit(found: Found) -> bool:
        if found in wanted:
            letter = found.letter
            count.add(letter)
            heapq.heappush(newest, Line(letter.at, found.id, letter.step, letter.reason, letter.detail))
            if len(newest) > max(options.limit, 0):
                heapq.heappop(newest)
        return False

    letters.look(options, somebody.installation(options, secret=False), visit)
    kinds, lines = count.kinds(), sorted(newest, reverse=True)
    if options.json:
        told = {"letters": sum(kind.count for kind in kinds), "kinds": kinds, "newest": lines}
        write_lines([msgspec.json.encode(told)], None)
    else:
        _show(kinds, lines, now)
    return Exit.GOOD


def _show(kinds: list[Kind], lines: list[Line], now: datetime) -> None:
    out = Console(highlight=False, markup=False)
    if not kinds:
        out.print("There are no dead letters.")
        return
    table = Table("step", "reason", "letters", "oldest (UTC)", "newest (UTC)", box=None, header_style="bold")
    table.columns[2].justify = "right"
    for kind in kinds:
        oldest, newest = letters.clock(kind.oldest), letters.clock(kind.newest)
        table.add_row(printable(kind.step), printable(kind.reason), f"{kind.count:,}", oldest, newest)
    out.print(table)
    if lines:
        table = Table("id", "age", "step", "reason", "detail", box=None, header_style="bold")
        for column in table.columns[:-1]:
            column.no_wrap = True
        for line in lines:
            texts = (line.step, line.reason, line.detail)
            table.add_row(line.id, letters.age(line.at, now), *map(printable, texts))
        out.print("\nThe newest:")
        out.print(table)
