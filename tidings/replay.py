"""Runs one person's history through the engine, in the order in which it was received.

The bounded form of the pipeline uses it, the stories in `tests/journeys/`, and whatever has the whole past at hand.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from tidings.engine import Engine, Outcome
from tidings.events import Event, millis
from tidings.state import PersonState


def replay(engine: Engine, person: str, events: Iterable[Event], until: int) -> Outcome:
    """Everything that is decided for one person.

    Args:
        engine: the rules.
        person: as `Event.person`.
        events: of this person, in any order.
        until: how far the history reaches, in milliseconds: deadlines before it are decided, later ones are not.
    """
    state = PersonState(person)
    outcomes: list[Outcome] = []
    for event in sorted(events, key=_receipt):
        received_at = millis(event.received_at)
        outcomes += _wake(engine, state, min(received_at, until))
        outcomes.append(engine.feed(state, (event,), received_at))
    outcomes += _wake(engine, state, until)
    return Outcome(
        [decision for one in outcomes for decision in one.decisions],
        [fault for one in outcomes for fault in one.faults],
        sum(one.duplicates for one in outcomes),
    )


def _wake(engine: Engine, state: PersonState, until: int) -> Iterator[Outcome]:
    while state.wake_at <= until:
        yield engine.wake(state, state.wake_at)


def _receipt(event: Event) -> tuple[datetime, str]:
    return event.received_at, event.message_id
