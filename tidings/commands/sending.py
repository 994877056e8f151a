"""The mail that goes out: how much of it, what has stopped it, and stop or go by hand."""

import argparse
from importlib import import_module

SUBCOMMANDS: dict[str, str] = {
    "status": "whether mail is stopped and why, what became of it, and what is left of each limit",
    "pause": "let marketing mail wait, or all mail",
    "resume": "let it go on, and count bounces and complaints anew",
}
"""Every subcommand, and what it is for: a module `sending_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    table = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    frame = argparse.ArgumentParser(
        prog="tidings sending",
        description=f"{__doc__}\n\nsubcommands:\n{table}",
        epilog="example:\n  tidings sending status\n\n`tidings sending SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    module = import_module(f"tidings.commands.sending_{options.subcommand}")
    return int(module.run(module.parser().parse_args(options.rest)))
