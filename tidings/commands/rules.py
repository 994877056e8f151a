"""Rules as code: YAML files in a repository against the documents in a store."""

import argparse

from tidings.commands import subcommands

SUBCOMMANDS: dict[str, str] = {
    "test": "play the stories beside the rules",
    "check": "look for faults in files, and for what is valid and yet wrong",
    "list": "what is in the store, and what the running system says of it",
    "push": "files -> store, with the difference, and a backtest if there are events",
    "pull": "store -> files",
    "diff": "compare files and store",
    "history": "every version that there has been",
    "rollback": "put an earlier version back",
}
"""Every subcommand, and what it is for: a module `tidings.commands.rules_<name>` with `parser()` and `run(options)`.

Its `parser()` returns the `ArgumentParser` of `tidings rules <name>`, whose description has a sentence and an example.
"""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    return subcommands.parser("rules", __doc__, SUBCOMMANDS, "tidings rules check rules")


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    return subcommands.run("rules", options)
