"""The core with the rules that ship, against decoding the same JSON and nothing else."""

from pathlib import Path

import yaml

from benchmarks.timing import compare, row
from tidings.deciding.engine import Engine
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.rules.rule import load
from tidings.wire import events
from tidings.wire.events import millis

RULES = Path(__file__).parent.parent / "rules"
FOUR = ("product-viewed-three-times", "cart-abandoned", "pricing-after-demo", "welcome")


def run(path: Path) -> str:
    """A line for the table."""
    lines = path.read_bytes().splitlines()
    rules = [load(yaml.safe_load((RULES / f"{name}.yaml").read_text())) for name in FOUR]
    fired = 0

    def decode_only() -> None:
        for line in lines:
            events.decode(line)

    def decide() -> None:
        nonlocal fired
        engine, people, fired = Engine(RuleBook(rules)), {}, 0
        for line in lines:
            event = events.decode(line)
            state = people.setdefault(event.person, PersonState(event.person))
            now = millis(event.received_at)
            while state.wake_at <= now:
                fired += len(engine.wake(state, state.wake_at).decisions)
            fired += len(engine.feed(state, (event,), now).decisions)

    result = compare(decode_only, decide, rounds=3)
    return row(
        f"core, decode + `engine.feed`, {len(rules)} rules that ship, {fired} decisions",
        f"{len(lines) / result.candidate:,.0f} events/s",
        f"decode alone: {len(lines) / result.baseline:,.0f} events/s",
        result.ratio,
    )
