"""Where a command finds its stories, and how it tells of them."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tidings.commands.exits import RefusedError
from tidings.simulating import stories
from tidings.simulating.playing import Difference
from tidings.simulating.stories import Story
from tidings.simulating.story_documents import Ending


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which of them."""
    parser.add_argument("-k", dest="only", metavar="TEXT", help="only stories whose sentence or file holds this text")


def read(paths: Sequence[Path], only: str | None) -> list[Story]:
    """The stories of these files and folders, those that hold the text `only`.

    Raises:
        RefusedError: there are none, or no such file.
        InvalidRuleError: one of them cannot be read, or is none.
    """
    found = [story for path in _files(paths) for story in stories.load_file(path)]
    chosen = [one for one in found if only is None or only.lower() in f"{one.file} {one.title}".lower()]
    if not chosen:
        where = ", ".join(str(path) for path in paths)
        raise RefusedError(f"no stories in {where}" + (f" that hold {only!r}" if found else ""))
    return chosen


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.yaml"))
        elif path.exists():
            yield path
        elif path.suffix:
            raise RefusedError(f"{path}: there is no such file")


def person(key: str) -> str:
    """How a story calls somebody."""
    return key[2:] if key.startswith("u:") else f"anonymous {key[2:]}"


def ending(story: Story, one: Ending) -> str:
    """One line."""
    key = f" for {one.key}" if one.key else ""
    return f"{story.when(one.due)}  {one.rule}: {one.template}{key}, {one.ends}"


def lines(story: Story, differences: Iterable[Difference]) -> Iterator[str]:
    """What is otherwise, person by person."""
    for one in differences:
        yield f"  {person(one.person)}"
        yield from (f"    expected, and did not come:  {ending(story, missing)}" for missing in one.missing)
        yield from (f"    came, and was not expected:  {ending(story, came)}" for came in one.unexpected)
        yield from (f"    {hint}" for hint in one.hints)


def as_json(story: Story, differences: Iterable[Difference]) -> list[dict[str, Any]]:
    """The same for a machine."""

    def plain(one: Ending) -> dict[str, Any]:
        return {**one._asdict(), "due": one.due.isoformat(), "at": story.when(one.due)}

    return [
        {
            "person": one.person,
            "missing": [plain(ending) for ending in one.missing],
            "unexpected": [plain(ending) for ending in one.unexpected],
            "hints": list(one.hints),
        }
        for one in differences
    ]
