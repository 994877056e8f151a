"""What could not be used, and is kept for seven days: how much of it and why; put it back, or throw it away."""

import argparse
from importlib import import_module

SUBCOMMANDS: dict[str, str] = {
    "list": "how many of which kind, and the newest of them",
    "show": "one of them, and whether it can be replayed",
    "replay": "put them back where they came from",
    "drop": "throw them away",
}
"""Every subcommand, and what it is for: a module `dead_letters_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    table = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    frame = argparse.ArgumentParser(
        prog="tidings dead-letters",
        description=f"{__doc__}\n\nsubcommands:\n{table}",
        epilog="example:\n  tidings dead-letters list\n\n"
        "`tidings dead-letters SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    module = import_module(f"tidings.commands.dead_letters_{options.subcommand}")
    return int(module.run(module.parser().parse_args(options.rest)))
