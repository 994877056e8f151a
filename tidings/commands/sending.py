"""The mail that goes out: how much of it, what has stopped it, and stop or go by hand."""

import argparse

from tidings.commands import subcommands

SUBCOMMANDS: dict[str, str] = {
    "status": "whether mail is stopped and why, what became of it, and what is left of each limit",
    "pause": "let marketing mail wait, or all mail",
    "resume": "let it go on, and count bounces and complaints anew",
}
"""Every subcommand, and what it is for: a module `sending_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    return subcommands.parser("sending", __doc__, SUBCOMMANDS, "tidings sending status")


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    return subcommands.run("sending", options)
