"""Play past events through the rules, and write what they decide. Nothing is sent."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tidings.commands import arguments
from tidings.commands.exits import Exit, RefusedError
from tidings.history import run as histories
from tidings.history.decided import Decide, Tally, merged
from tidings.history.gather import Gathered
from tidings.rollout.rule_set import RuleSet

EXAMPLE = """example:
  tidings replay 'events/*.jsonl.gz' --rules rules --since 2026-03-02 --until 2026-03-09 > decisions.jsonl

Decisions go to standard output (or --output), one a line in order of time, as on the sends topic; the summary goes to
standard error."""

_LISTED = 20
_OUTCOMES = ("send", "shadow")


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings replay",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_events(options)
    arguments.add_rules(options)
    options.add_argument("--output", type=Path, metavar="FILE", help="where decisions go (default: standard output)")
    options.add_argument("--quiet", action="store_true", help="no summary")
    return options


def run(options: argparse.Namespace) -> int:
    """Replay; returns the exit code."""
    times = arguments.Times(options)
    rules = arguments.rules(options, arguments.now())
    units = arguments.units(options.events, times.window)
    told = Tally()
    with (
        arguments.progress() as progress,
        histories.gathered(units, times.window, arguments.processes(options), progress) as past,
    ):
        refuse_broken(past.found, strict=options.strict)
        for tally in past.each_part(Decide(rules, past.until, times.since, past.folder)):
            told.add(tally)
        write_lines(merged(past.folder), options.output)
        found = past.found
    if not options.quiet:
        _summarise(told, found, rules)
    return Exit.GOOD


def refuse_broken(found: Gathered, *, strict: bool) -> None:
    """Say which lines are no events.

    Raises:
        RefusedError: there are some, and `strict` does not allow it.
    """
    for one in found.faults[:_LISTED]:
        print(one, file=sys.stderr)
    if found.broken > _LISTED:
        print(f"... and {found.broken - _LISTED:,} more lines", file=sys.stderr)
    if strict and found.broken:
        raise RefusedError(f"{found.broken:,} of {found.lines:,} lines are no events")


def write_lines(lines: Iterable[bytes], output: Path | None) -> None:
    """One a line, to a file, which is there whole or not at all; or to standard output.

    Raises:
        RefusedError: it cannot be written.
    """
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(line + b"\n" for line in lines)
        sys.stdout.buffer.flush()
        return
    try:
        if output.is_dir():
            raise RefusedError(f"{output}: is a folder, and no file")
        if output.exists() and not output.is_file():  # a pipe, a terminal: nobody may put a file in its place
            with output.open("wb") as file:
                file.writelines(line + b"\n" for line in lines)
            return
        unfinished = output.with_name(f"{output.name}.part")
        try:
            with unfinished.open("wb") as file:
                file.writelines(line + b"\n" for line in lines)
            unfinished.rename(output)
        finally:
            unfinished.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RefusedError(f"{output}: {error.strerror}") from None


def _summarise(told: Tally, found: Gathered, rules: RuleSet) -> None:
    console = Console(stderr=True, emoji=False)
    endings = sorted({ending for _, ending in told.endings}, key=lambda one: (one not in _OUTCOMES, one))
    table = Table("rule", *endings, *(["outside"] if told.outside else []), box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in sorted({*rules.book().rules, *(rule for rule, _ in told.endings)}):
        counts = [told.endings.get((name, ending), 0) for ending in endings]
        if told.outside:
            counts.append(told.outside.get(name, 0))
        table.add_row(name, *(f"{count:,}" if count else "-" for count in counts))
    console.print(table)
    assert found.oldest is not None
    assert found.newest is not None
    console.print(
        f"\n{found.events:,} events of {told.people:,} people, received {found.oldest:%Y-%m-%d %H:%M} to "
        f"{found.newest:%Y-%m-%d %H:%M} UTC",
        highlight=False,
    )
    asides = {
        "lines are no events": found.broken,
        "events lie outside the stretch of time": found.outside,
        "events had come before": told.duplicates,
        "entry keys were too many": told.crowded_out,
    }
    for what, count in asides.items():
        if count:
            console.print(f"{count:,} {what}", highlight=False)
    for (rule, detail), count in sorted(told.mismatches.items()):
        console.print(f"{count:,} events could not be read by {rule}: {detail}", highlight=False, markup=False)
