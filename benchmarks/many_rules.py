"""What an event costs when there are many rules: most of which name other events, or all of which name this one."""

from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from benchmarks.events_file import UNTIL
from benchmarks.five_rules import FOLDER, core
from benchmarks.timing import compare, row
from tidings.deciding.engine import Engine
from tidings.deciding.rulebook import RuleBook
from tidings.rules.rule import load

LINES = 20_000


def run(path: Path) -> str:
    """Two lines for the table."""
    with path.open("rb") as file:
        lines = [line.rstrip() for line in islice(file, LINES)]
    ours = _documents("one", "two")
    others = [_elsewhere(number) for number in range(990)]
    ten, thousand, hundred = _engine(ours), _engine([*ours, *others]), _engine([_same_event(n) for n in range(100)])
    idle = compare(lambda: core.run(ten, lines, UNTIL), lambda: core.run(thousand, lines, UNTIL))
    busy = compare(lambda: core.run(ten, lines, UNTIL), lambda: core.run(hundred, lines, UNTIL), rounds=3)

    def cost(seconds: float) -> str:
        return f"{seconds / len(lines) * 1e6:.1f} µs an event"

    return "\n".join(
        [
            row(
                "1,000 rules, 990 of which name other events",
                cost(idle.candidate),
                f"10 rules: {cost(idle.baseline)}",
                idle.candidate / idle.baseline,
                at_most=1.5,
            ),
            row(
                "100 rules that count the same event",
                cost(busy.candidate),
                f"10 rules: {cost(busy.baseline)}",
                busy.candidate / busy.baseline,
            ),
        ]
    )


def _engine(documents: list[dict[str, Any]]) -> Engine:
    return Engine(RuleBook([load(one) for one in documents]))


def _documents(*copies: str) -> list[dict[str, Any]]:
    """The five rules, once under each name."""
    documents = [yaml.safe_load(one.read_text()) for one in sorted(FOLDER.glob("*.yaml"))]
    return [{**one, "id": f"{one['id']}-{copy}"} for one in documents for copy in copies]


def _elsewhere(number: int) -> dict[str, Any]:
    """A rule about events that nobody in the file ever does."""
    triggers: list[dict[str, Any]] = [
        {"performed": {"event": f"Film {number} Watched", "times": 3, "within": "1h", "by": "properties.film_id"}},
        {"not_performed": {"after": f"Film {number} Rented", "none_of": [f"Film {number} Watched"], "within": "1d"}},
    ]
    return {**_rule(f"elsewhere-{number}"), "trigger": triggers[number % 2]}


def _same_event(number: int) -> dict[str, Any]:
    trigger = {"performed": {"event": "Product Viewed", "times": 3 + number % 5, "within": f"{10 + number}m"}}
    return {**_rule(f"views-{number}"), "trigger": trigger}


def _rule(rule_id: str) -> dict[str, Any]:
    return {"id": rule_id, "status": "live", "frequency_cap": "off", "send": {"template": "welcome"}}
