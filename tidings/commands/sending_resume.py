"""Let mail go on that the circuit breaker or somebody has stopped, and count bounces and complaints anew."""

import argparse

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit
from tidings.mailing import breaker

EXAMPLE = """example:
  tidings sending resume
  tidings sending resume --store firestore --project my-project

What waits goes out within a quarter of an hour. Look first which list or rule it was: `tidings sending status`."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings sending resume",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rule_files.add_store(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Go on; returns the exit code."""
    with arguments.opened(options) as store:
        was = breaker.standing(store).stopped
        if was == "nothing":
            print("Nothing was stopped.")
            return Exit.GOOD
        breaker.resume(store, arguments.now())
    print("Mail goes on.")
    return Exit.GOOD
