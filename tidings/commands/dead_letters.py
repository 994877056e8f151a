"""What could not be used, and is kept for seven days: how much of it and why; put it back, or throw it away."""

import argparse

from tidings.commands import subcommands

SUBCOMMANDS: dict[str, str] = {
    "list": "how many of which kind, and the newest of them",
    "show": "one of them, and whether it can be replayed",
    "replay": "put them back where they came from",
    "drop": "throw them away",
}
"""Every subcommand, and what it is for: a module `dead_letters_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    return subcommands.parser("dead-letters", __doc__, SUBCOMMANDS, "tidings dead-letters list")


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    return subcommands.run("dead-letters", options)
