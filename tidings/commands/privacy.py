"""The rights of people over their data: a copy of it, its end, and the list of addresses that are never mailed."""

import argparse
from importlib import import_module

SUBCOMMANDS: dict[str, str] = {
    "export": "everything that is kept about somebody, as one JSON file",
    "erase": "forget somebody, everywhere",
    "letters": "take the dead letters of forgotten people away",
    "archive": "take the archived events of forgotten people away",
    "receipts": "which requests were carried out, when",
    "suppress": "never mail an address again",
    "lift": "let an address be mailed again",
    "expire": "delete what has been kept long enough",
}
"""Every subcommand, and what it is for: a module `privacy_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    table = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    frame = argparse.ArgumentParser(
        prog="tidings privacy",
        description=f"{__doc__}\n\nsubcommands:\n{table}",
        epilog="example:\n  tidings privacy export --person u:123\n\n"
        "`tidings privacy SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    module = import_module(f"tidings.commands.privacy_{options.subcommand}")
    return int(module.run(module.parser().parse_args(options.rest)))
