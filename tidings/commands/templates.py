"""The messages: look for faults in them, look at them, and send one to yourself."""

import argparse

from tidings.commands import subcommands

SUBCOMMANDS: dict[str, str] = {
    "check": "render every message on its example, in every language, and say what is wrong with it",
    "preview": "write a message as HTML, text and mail, with screenshots if you like",
    "send-test": "send a message to an address of yours",
}
"""Every subcommand, and what it is for: a module `templates_<name>` with `parser()` and `run(options)`."""


def parser() -> argparse.ArgumentParser:
    """The name of a subcommand; the rest is for its own parser."""
    return subcommands.parser("templates", __doc__, SUBCOMMANDS, "tidings templates check")


def run(options: argparse.Namespace) -> int:
    """Hand over to the subcommand; returns its exit code."""
    return subcommands.run("templates", options)
