"""Runs one person's history through the engine, in the order in which it was received.

The bounded form of the pipeline uses it, the stories in `tests/journeys/`, and whatever has the whole past at hand.
"""

from collections.abc import Iterable, Iterator

from tidings.deciding import identity
from tidings.deciding.engine import Engine, Outcome
from tidings.deciding.state import PersonState
from tidings.wire.events import Event, millis, receipt


def replay(
    engine: Engine, person: str, events: Iterable[Event], until: int, known: PersonState | None = None
) -> Outcome:
    """Everything that is decided for one person, and for the anonymous ids that joined them, until they did.

    Args:
        engine: the rules.
        person: as `Event.person`.
        events: of this person, in any order; `tidings.deciding.identity.resolve` says whose an anonymous event is.
        until: how far the history reaches, in milliseconds: deadlines before it are decided, later ones are not.
        known: what was known of the person before; changed in place. Nothing when left out.
    """
    themselves = PersonState(person) if known is None else known
    everybody = {person: themselves}
    outcomes: list[Outcome] = []
    for event in sorted(events, key=receipt):
        received_at = millis(event.received_at)
        for state in everybody.values():
            if state.wake_at <= received_at:
                outcomes += _wake(engine, state, min(received_at, until))
        if event.user_id and event.type not in identity.JOINING:  # nearly always
            outcomes.append(engine.feed(themselves, (event,), received_at))
        else:
            outcomes += _take(engine, everybody, event, received_at)
    for state in everybody.values():
        outcomes += _wake(engine, state, until)
    return Outcome(
        [decision for one in outcomes for decision in one.decisions],
        [fault for one in outcomes for fault in one.faults],
        sum(one.duplicates for one in outcomes),
        sum(one.crowded_out for one in outcomes),
        [decision for one in outcomes for decision in one.outside],
    )


def _take(engine: Engine, everybody: dict[str, PersonState], event: Event, now: int) -> Iterator[Outcome]:
    """One event, and whatever goes onward because of it, as if the events topic took no time."""
    arriving = [event]
    for one in arriving:
        for key in identity.addressees(one):
            known = everybody.setdefault(key, PersonState(key))
            outcome, onward = identity.take(engine, known, one, now)
            yield outcome
            arriving += onward


def _wake(engine: Engine, state: PersonState, until: int) -> Iterator[Outcome]:
    while state.wake_at <= until:
        yield engine.wake(state, state.wake_at)
