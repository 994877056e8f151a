"""Reads the stories, and turns them into events, watermarks and expectations."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.people import an_event, at
from tidings.decisions import Decision
from tidings.events import Event

HERE = Path(__file__).parent
RULES = HERE.parent.parent / "rules"


@dataclass(frozen=True)
class Story:
    """One journey. `steps` holds events and watermarks, in the order in which the pipeline gets them."""

    name: str
    rules: list[dict[str, Any]]
    steps: list[Event | datetime]
    expected: list[tuple[str, str, datetime, str]]
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


def outcome_of(decisions: list[Decision]) -> list[tuple[str, str, datetime, str]]:
    """What a story's `expect` lists, of decisions."""
    return sorted((one.rule_id, one.person, one.due_at, one.entry_key) for one in decisions)


def _read(path: Path) -> Story:
    document = yaml.safe_load(path.read_text())
    return Story(
        name=path.stem,
        rules=[yaml.safe_load((RULES / f"{name}.yaml").read_text()) for name in document["rules"]],
        steps=[_step(one) for one in document["steps"]],
        expected=sorted(
            (one["rule"], f"u:{one['who']}", at(one["due"]), one.get("key", "")) for one in document["expect"]
        ),
        replays=document.get("replays", True),
    )


def _step(step: dict[str, Any]) -> Event | datetime:
    if "watermark" in step:
        return at(step["watermark"])
    more = {"message_id": step["id"]} if "id" in step else {}
    return an_event(
        step.get("did") or step["page"],
        step["at"],
        step.get("received"),
        type="track" if "did" in step else "page",
        user_id=step["who"],
        properties=step.get("with", {}),
        **more,
    )
