"""Rules as code: YAML files in a repository against the documents in a store."""

import argparse
from importlib import import_module

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
    table = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    frame = argparse.ArgumentParser(
        prog="tidings rules",
        description=f"{__doc__}\n\nsubcommands:\n{table}",
        epilog="example:\n  tidings rules check rules\n\n`tidings rules SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    module = import_module(f"tidings.commands.rules_{options.subcommand}")
    return int(module.run(module.parser().parse_args(options.rest)))
