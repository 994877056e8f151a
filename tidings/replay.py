"""Runs one person's history through the engine, in the order in which it was received.

The bounded form of the pipeline uses it, the stories in `tests/journeys/`, and whatever has the whole past at hand.
"""

from collections.abc import Iterable

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
    total = Outcome([], [], 0)
    for event in sorted(events, key=_receipt):
        received_at = millis(event.received_at)
        total = _wake(engine, state, min(received_at, until), total)
        total = _add(total, engine.feed(state, (event,), received_at))
    return _wake(engine, state, until, total)


def _wake(engine: Engine, state: PersonState, until: int, total: Outcome) -> Outcome:
    while state.wake_at <= until:
        total = _add(total, engine.wake(state, state.wake_at))
    return total


def _add(one: Outcome, other: Outcome) -> Outcome:
    one.decisions.extend(other.decisions)
    one.faults.extend(other.faults)
    return one._replace(duplicates=one.duplicates + other.duplicates)


def _receipt(event: Event) -> tuple[int, str]:
    return millis(event.received_at), event.message_id
