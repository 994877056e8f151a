"""A command that is a folder of others: its help, and the way to each of them."""

import argparse
from collections.abc import Mapping
from importlib import import_module


def parser(command: str, about: str | None, subcommands: Mapping[str, str], example: str) -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser.

    Args:
        command: as it is typed, such as `dead-letters`.
        about: one sentence.
        subcommands: name -> what it is for.
        example: a whole line.
    """
    table = "\n".join(f"  {name:<10} {purpose}" for name, purpose in subcommands.items())
    frame = argparse.ArgumentParser(
        prog=f"tidings {command}",
        description=f"{about}\n\nsubcommands:\n{table}",
        epilog=f"example:\n  {example}\n\n`tidings {command} SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=subcommands, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(command: str, options: argparse.Namespace) -> int:
    """Hand over to the subcommand, the module `<command>_<subcommand>` of this folder; returns its exit code."""
    module = import_module(f"tidings.commands.{command}_{options.subcommand}".replace("-", "_"))
    return int(module.run(module.parser().parse_args(options.rest)))
