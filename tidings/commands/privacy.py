"""The rights of people over their data: a copy of it, its end, and the list of addresses that are never mailed."""

import argparse

from tidings.commands import subcommands

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
    return subcommands.parser("privacy", __doc__, SUBCOMMANDS, "tidings privacy export --person u:123")


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    return subcommands.run("privacy", options)
