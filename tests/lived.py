"""A store in which something has happened, event by event, written as the running system writes it."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from tidings.deciding import identity
from tidings.deciding.bookkeeping import News, activity_of_decision, activity_of_event
from tidings.deciding.engine import Engine
from tidings.deciding.erasure import Erased
from tidings.deciding.state import PersonState
from tidings.records.store import FinalStatus, Store
from tidings.wire.decisions import Decision, Reason
from tidings.wire.events import Event, millis

Ending = tuple[FinalStatus, Reason | None, str] | None
"""Status, reason and detail of what was to be sent; None for not yet."""


def live(
    store: Store, engine: Engine, events: Iterable[Event], until: int, ending: Callable[[Decision], Ending]
) -> list[Decision]:
    """Let `events` happen, in order of receipt, with a watermark that follows them; returns what was decided."""
    people: dict[str, PersonState] = {}
    decided: list[Decision] = []

    def wake(watermark: int) -> None:
        for state in people.values():
            while state.wake_at <= watermark:
                end(engine.wake(state, state.wake_at).decisions)

    def end(decisions: Iterable[Decision]) -> None:
        for one in decisions:
            decided.append(one)
            store.append_activity([activity_of_decision(one)])
            held = store.claim(one, one.decided_at, timedelta(minutes=1)).entry
            ended = ending(one) if one.outcome == "send" else (one.outcome, one.reason, "")
            if ended is not None:
                status, reason, detail = ended
                store.finish(held, status, one.decided_at + timedelta(seconds=3), reason, detail)

    for event in events:
        wake(millis(event.received_at))
        arriving = [event]
        for one in arriving:
            news = News()
            news.note(one)
            news.write(store)
            for key in identity.addressees(one):
                if key == one.person and not isinstance(one, Erased):
                    store.append_activity([activity_of_event(one)])
                state = people.setdefault(key, PersonState(key))
                outcome, onward = identity.take(engine, state, one, millis(event.received_at))
                end(outcome.decisions)
                arriving += onward
    wake(until)
    return decided
