"""What the store is told of events and decisions, whoever runs the engine: the pipeline, or a simulation.

Of an event: the traits and the word on consent that it brings, and whose belongings go over to whom. All of that is
written before the engine hears of the event, so that no mail is asked for before its address is there.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tidings import belongings, consent, identity, profiles
from tidings.decisions import Decision
from tidings.events import Event
from tidings.identity import Handover
from tidings.store import Activity, ConsentRecord, ProfileUpdate, Store

GRACE = timedelta(seconds=60)
"""How long the mailer waits, from a decision on, for what is written at about the same time: profile, activity."""

Attempt = Callable[[Callable[..., None]], Callable[..., None]]


class News:
    """What some events bring, to be written in one go."""

    def __init__(self) -> None:
        self._updates: list[ProfileUpdate] = []
        self._consent: list[ConsentRecord] = []
        self._joins: dict[tuple[str, str, bool], datetime] = {}

    def note(self, event: Event) -> None:
        """Take down what an event brings, once: not again for an anonymous id that hears of it as well.

        Raises:
            InvalidEventError: it brings what cannot be kept; `tidings.intake` refuses such events.
        """
        if (update := profiles.from_event(event)) is not None:
            self._updates.append(update)
        self._consent += consent.from_event(event)
        if isinstance(event, Handover):
            self._joins.setdefault((event.anonymous, event.person, True), event.timestamp)
        elif (anonymous := identity.joins(event)) is not None:
            self._joins.setdefault((anonymous, event.person, False), event.timestamp)

    def write(self, store: Store, attempt: Attempt = lambda call: call) -> None:
        """Write it all; writing it again changes nothing.

        Args:
            store: where it goes.
            attempt: wraps each call, to try again while the store is away.

        Raises:
            StoreError: it is away.
        """
        if self._updates:
            attempt(store.update_profiles)(self._updates)
        if self._consent:
            attempt(store.record_consent)(self._consent)
        for (anonymous, person, is_last), at in self._joins.items():
            attempt(belongings.hand_over)(store, anonymous, person, at, is_last=is_last)


def activity_of_event(event: Event) -> Activity:
    """One line of the feed: that something happened. What the event carried stays in the archive."""
    detail: dict[str, Any] = {"type": event.type}
    if isinstance(event, Handover):
        detail["joined_by"] = event.anonymous
    return Activity(
        activity_id=f"e-{event.message_id}",
        person=event.person,
        at=event.timestamp,
        kind="event",
        label=event.label,
        detail=detail,
    )


def activity_of_decision(decision: Decision) -> Activity:
    """One line of the feed: that a rule decided something, and from what."""
    detail = {
        "send_id": decision.send_id,
        "outcome": decision.outcome,
        "rule_version": decision.rule_version,
        "entry_key": decision.entry_key,
        "evidence": list(decision.evidence),
    }
    return Activity(
        activity_id=f"d-{decision.send_id}",
        person=decision.person,
        at=decision.due_at,
        kind="decision",
        label=decision.rule_id,
        detail=detail,
    )
