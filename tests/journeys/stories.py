"""Reads the stories, and turns them into events, watermarks and expectations."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.people import an_event, at
from tidings.decisions import Decision
from tidings.documents import parse
from tidings.events import Event
from tidings.rules import load

Ending = tuple[str, str, datetime, str, int, str, str]
"""Rule, person, due, entry key, step, template, and how it ends: `send`, `shadow` or the reason why not."""

HERE = Path(__file__).parent
RULES = HERE.parent.parent / "rules"


KINDS = {"did": "track", "page": "page", "identify": "identify", "alias": "alias"}
IDS = {"who": "user_id", "anonymous": "anonymous_id", "id": "message_id"}
"""What a step may be, and what it may carry: the field of a story, and what an event calls it."""


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


def outcome_of(decisions: list[Decision]) -> list[Ending]:
    """What a story's `expect` lists, of decisions."""
    return sorted(
        (one.rule_id, one.person, one.due_at, one.entry_key, one.step, one.template, one.reason or one.outcome)
        for one in decisions
    )


def _read(path: Path) -> Story:
    document = parse(path.read_text())
    rules = {rule["id"]: rule for rule in _documents(document["rules"], RULES)}
    return Story(
        name=path.stem,
        rules=list(rules.values()),
        segments=_documents(document.get("segments", []), RULES / "segments"),
        steps=[_step(one) for one in document["steps"]],
        expected=sorted(ending for one in document["expect"] for ending in _endings(one, rules[one["rule"]])),
        replays=document.get("replays", True),
    )


def _documents(named: list[str | dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rules or segments that ship, by their names, or such as only this story has."""
    return [one if isinstance(one, dict) else parse((folder / f"{one}.yaml").read_text()) for one in named]


def _endings(expected: dict[str, Any], rule: dict[str, Any]) -> list[Ending]:
    """One run of a rule: its sends, which are the only one or those that `sends` names, each with how it ends."""
    templates = [send.template for send in load(rule).sends]
    sends = expected.get("sends", templates[:1])
    return [
        (
            expected["rule"],
            f"u:{expected['who']}" if "who" in expected else f"a:{expected['anonymous']}",
            at(expected["due"]),
            expected.get("key", ""),
            templates.index(template),
            template,
            expected.get("ends", "send"),
        )
        for template in sends
    ]


def _step(step: dict[str, Any]) -> Event | datetime:
    if "watermark" in step:
        return at(step["watermark"])
    [(kind, what)] = [(KINDS[field], step[field]) for field in KINDS if field in step]
    more = {IDS[field]: step[field] for field in IDS if field in step}
    if kind == "alias":
        more["previous_id"] = what
    if kind == "identify":
        more["traits"] = what
    name = what if kind in ("track", "page") else ""
    return an_event(name, step["at"], step.get("received"), type=kind, properties=step.get("with", {}), **more)
