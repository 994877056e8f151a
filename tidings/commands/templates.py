"""The messages: look for faults in them, look at them, and send one to yourself."""

import argparse
from importlib import import_module

SUBCOMMANDS: dict[str, str] = {
    "check": "render every message on its example, in every language, and say what is wrong with it",
    "preview": "write a message as HTML, text and mail, with screenshots if you like",
    "send-test": "send a message to an address of yours",
}
"""Every subcommand, and what it is for: a module `templates_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    table = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    frame = argparse.ArgumentParser(
        prog="tidings templates",
        description=f"{__doc__}\n\nsubcommands:\n{table}",
        epilog="example:\n  tidings templates check\n\n`tidings templates SUBCOMMAND --help` has the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    frame.add_argument("subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of the above")
    frame.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return frame


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    module = import_module(f"tidings.commands.templates_{options.subcommand.replace('-', '_')}")
    return int(module.run(module.parser().parse_args(options.rest)))
