"""Questions to whoever sits at the terminal, and differences shown in colour."""

import argparse
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from tidings.settings import SettingsError

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


class NobodyToAskError(SettingsError):
    """A question that nobody can answer: there is no terminal."""


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Whether to ask at all."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def confirmed(question: str, options: argparse.Namespace) -> bool:
    """Whether the answer is yes.

    Raises:
        NobodyToAskError: there is no terminal, and no `--yes`.
    """
    if options.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():  # None: it is closed
        raise NobodyToAskError(f"{question} Nobody can answer: this is no terminal. Say --yes, or --dry-run to look")
    sys.stdout.flush()
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_difference(lines: Iterable[str]) -> None:
    """A unified diff, coloured where somebody looks at it."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        head = line.startswith(("--- ", "+++ "))
        console.print(Text(line, "bold" if head else _COLOURS.get(line[:1], "")))
