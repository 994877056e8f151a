"""Let marketing mail wait, or all mail, until somebody says `tidings sending resume`. Nothing is lost."""

import argparse

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit
from tidings.mailing import breaker

EXAMPLE = """example:
  tidings sending pause --why "the list of the fair is bad"
  tidings sending pause --all --store firestore --project my-project

Workers notice within five seconds. Marketing mail that has waited for longer than give_up_after of sending.yaml is not
sent any more."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings sending pause",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--all", action="store_true", help="transactional mail as well")
    options.add_argument("--why", default="", metavar="TEXT", help="for whoever asks for the status; names nobody")
    rule_files.add_store(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Stop; returns the exit code."""
    with arguments.opened(options) as store:
        breaker.stop(store, "all" if options.all else "marketing", "operator", options.why, arguments.now())
    print("All mail waits." if options.all else "Marketing mail waits; transactional mail goes on.")
    return Exit.GOOD
