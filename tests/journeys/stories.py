"""Reads the journeys: stories of `tidings.simulating.stories`, with watermarks between what happens."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.people import DAY, at
from tidings.documents import parse
from tidings.rules.rule import load
from tidings.simulating.stories import endings_of
from tidings.simulating.story_documents import Ending, Expected, Given
from tidings.wire.events import Event

HERE = Path(__file__).parent
RULES = HERE.parent.parent / "rules"


@dataclass(frozen=True)
class Story:
    """One journey. `steps` holds events and watermarks, in the order in which the pipeline gets them.

    `expected` holds what `outcome_of` says of the decisions.
    """

    name: str
    rules: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    steps: list[Event | datetime]
    expected: list[Ending]
    replays: bool

    @property
    def events(self) -> list[Event]:
        return [step for step in self.steps if isinstance(step, Event)]

    @property
    def until(self) -> datetime:
        return max(step for step in self.steps if isinstance(step, datetime))


def all_stories() -> list[Story]:
    """Every story in this folder."""
    return [_read(path) for path in sorted(HERE.glob("*.yaml"))]


outcome_of = endings_of


def _read(path: Path) -> Story:
    document = parse(path.read_text())
    rules = {rule["id"]: rule for rule in _documents(document["rules"], RULES)}
    expected = [(Expected.model_validate(one), load(rules[one["rule"]])) for one in document["expect"]]
    return Story(
        name=path.stem,
        rules=list(rules.values()),
        segments=_documents(document.get("segments", []), RULES / "segments"),
        steps=[_step(one, number) for number, one in enumerate(document["steps"], start=1)],
        expected=sorted(ending for one, rule in expected for ending in one.endings(DAY.date(), rule)),
        replays=document.get("replays", True),
    )


def _documents(named: list[str | dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rules or segments that ship, by their names, or such as only this story has."""
    return [one if isinstance(one, dict) else parse((folder / f"{one}.yaml").read_text()) for one in named]


def _step(step: dict[str, Any], number: int) -> Event | datetime:
    return at(step["watermark"]) if "watermark" in step else Given.model_validate(step).event(DAY.date(), number)
