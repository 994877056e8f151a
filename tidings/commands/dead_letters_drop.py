"""Throw dead letters away for good. An event that the front door refused is kept nowhere else."""

import argparse

from tidings.commands import arguments, asking, letters, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.dead_letters.letters import Found

EXAMPLE = """  tidings dead-letters drop --step collect --older-than 2d
  tidings dead-letters drop --id 10284712 --yes

exit codes: 0 they are gone; 1 there were none, or the answer was no"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = letters.parser("drop", __doc__, EXAMPLE)
    letters.add_selection(options, required=True)
    options.add_argument("--dry-run", action="store_true", help="count them, and do nothing")
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Drop; returns the exit code."""
    now = arguments.now()
    wanted = letters.selection(options, now)
    found = somebody.installation(options, secret=False)
    count = 0

    def visit(one: Found) -> bool:
        nonlocal count
        count += one in wanted
        return False

    if options.dry_run or not options.yes:
        letters.look(options, found, visit, until=now)
        if not count:
            raise RefusedError("There is no such dead letter.")
        if options.dry_run:
            print(f"{letters.many(count)} would be dropped")
            return Exit.GOOD
        if not asking.confirmed(f"Drop {letters.many(count)} for good?", options):
            raise RefusedError("nothing was dropped")
    gone = letters.look(options, found, lambda one: one in wanted, until=now).taken
    print(f"{letters.many(gone)} dropped")
    return Exit.GOOD if gone else Exit.REFUSED
