"""The core on a file: decode and decide, event by event in order of receipt, on one core and without Beam."""

from collections.abc import Iterable

import yaml

from benchmarks.five_rules import FOLDER
from tidings.deciding.engine import Engine
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.rules.rule import load
from tidings.wire import events
from tidings.wire.decisions import Decision
from tidings.wire.events import millis


def engine() -> Engine:
    """The engine with the five rules."""
    return Engine(RuleBook([load(yaml.safe_load(one.read_text()), one.stem) for one in sorted(FOLDER.glob("*.yaml"))]))


def follow(engine: Engine, lines: Iterable[bytes], people: dict[str, PersonState]) -> list[Decision]:
    """Everything decided while the file is read. `people` is filled with what is remembered of each."""
    decisions: list[Decision] = []
    for line in lines:
        event = events.decode(line)
        person = event.person
        state = people.get(person)
        if state is None:
            state = people[person] = PersonState(person)
        now = millis(event.received_at)
        while state.wake_at <= now:
            decisions += engine.wake(state, state.wake_at).decisions
        decisions += engine.feed(state, (event,), now).decisions
    return decisions


def run(engine: Engine, lines: Iterable[bytes], until: int) -> list[Decision]:
    """Everything decided up to `until`, in milliseconds."""
    people: dict[str, PersonState] = {}
    decisions = follow(engine, lines, people)
    for state in people.values():
        while state.wake_at <= until:
            decisions += engine.wake(state, state.wake_at).decisions
    return decisions
