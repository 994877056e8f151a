"""Where templates are, and which one was meant: what the subcommands of `tidings templates` share."""

import argparse
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from tidings.checking import example_mail
from tidings.checking.example_mail import Example
from tidings.commands.exits import RefusedError
from tidings.documents import unknown
from tidings.rendering import source, template_names


def add(parser: argparse.ArgumentParser) -> None:
    """One message, and the facts to try it on."""
    parser.add_argument("name", metavar="NAME", help="the message")
    parser.add_argument("--templates", default="", metavar="DIR", help="where messages are (default: those that ship)")
    parser.add_argument("--locale", metavar="TAG", help="the language that the person reads, such as de or pt-BR")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="facts to try it on (default: its example.json)")


def folder_of(option: str) -> str:
    """A folder of templates as the command line names it.

    Raises:
        RefusedError: there is no such folder.
    """
    if option and not Path(option).is_dir():
        raise RefusedError(f"{option}: there is no such folder")
    return option


def known(names: Sequence[str], folder: str) -> list[str]:
    """These messages.

    Raises:
        RefusedError: one of them does not exist.
    """
    there = template_names(folder)
    for name in names:
        if name not in there:
            raise RefusedError(f"{name}: {unknown('template', name, there)}")
    return list(names)


def example(name: str, folder: str, facts: Path | None) -> Example:
    """The facts that a message is tried on.

    Raises:
        RefusedError: the file cannot be read.
        TemplateError: it holds something else.
    """
    file = str(facts or f"{name}/example.json")
    try:
        text = facts.read_text("utf-8") if facts else source(file, folder)
    except (OSError, UnicodeDecodeError):
        text = None
    if text is None:
        raise RefusedError(f"{file}: there is no such file, or it cannot be read")
    return example_mail.read(text, file)


def finder(folder: str) -> Callable[[str], str | None]:
    """From a file's name as a template says it, or as a fault does, to its path as seen from here."""
    root = Path(folder) if folder else Path(str(files("templates")))

    def find(name: str) -> str | None:
        for path in (root / name, root.parent / name):
            if path.exists():
                return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
        return None

    return find
