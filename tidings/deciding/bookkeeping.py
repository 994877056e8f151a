"""What the store is told of events and decisions, whoever runs the engine: the pipeline, or a simulation.

Of an event: the traits and the word on consent that it brings, and whose belongings go over to whom. All of that is
written before the engine hears of the event, so that no mail is asked for before its address is there.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tidings.deciding import identity
from tidings.deciding.erasure import Erased
from tidings.deciding.identity import Handover
from tidings.permission import consent
from tidings.records import belongings, profiles
from tidings.records.store import Activity, ConsentRecord, ProfileUpdate, Store
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis

GRACE = timedelta(seconds=60)
"""How long the mailer waits, from a decision on, for what is written at about the same time: profile, activity."""

Attempt = Callable[[Callable[..., Any]], Callable[..., Any]]


class Told:
    """Of whom the store was told within the hour that they object to the sale of their data.

    A browser says so with every page, and one record a person is enough: without this, every page view would cost a
    write. It is a shortcut and no knowledge. What it has forgotten, or never heard of because another worker did the
    writing, is written again, which changes nothing. It holds for an hour of the events' own time, so that somebody who
    was erased elsewhere and comes back is not taken for told for long.

    Args:
        most: about so many people are remembered, the latest ones.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._half = max(1, most // 2)
        self._latest: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def has(self, event: Event) -> bool:
        """Whether the store knows it of the event's person."""
        return _hour(event) in (self._latest.get(event.person), self._before.get(event.person))

    def add(self, event: Event) -> None:
        """The store knows it now."""
        if len(self._latest) >= self._half:
            self._before, self._latest = self._latest, {}
        self._latest[event.person] = _hour(event)

    def forget(self, person: str) -> None:
        """They were erased."""
        self._latest.pop(person, None)
        self._before.pop(person, None)


def _hour(event: Event) -> int:
    return millis(event.received_at) // 3_600_000


class News:
    """What some events bring, to be written in one go.

    Args:
        told: of whom the store needs not be told once more that they object to the sale of their data.
    """

    def __init__(self, told: Told | None = None) -> None:
        self._told = Told() if told is None else told
        self._objecting: dict[str, Event] = {}
        self._updates: list[ProfileUpdate] = []
        self._consent: list[ConsentRecord] = []
        self._joins: dict[tuple[str, str, bool], Event] = {}
        self._erased: dict[str, datetime] = {}

    def note(self, event: Event) -> None:
        """Take down what an event brings, once: not again for an anonymous id that hears of it as well.

        An erasure brings nothing. What came before it is taken back: the store has let go of the person, and what was
        still on its way must not bring them back.

        Raises:
            InvalidEventError: it brings what cannot be kept; `tidings.ingest.intake` refuses such events.
        """
        if isinstance(event, Erased):
            self._forget(event)
            return
        if (update := profiles.from_event(event)) is not None:
            self._updates.append(update)
        self._consent += consent.from_event(event)
        objection = consent.objection_to_sale(event)
        if objection is not None and event.person not in self._objecting and not self._told.has(event):
            self._objecting[event.person] = event
            self._consent.append(objection)
        if isinstance(event, Handover):
            self._joins.setdefault((event.anonymous, event.person, True), event)
        elif (anonymous := identity.joins(event)) is not None:
            self._joins.setdefault((anonymous, event.person, False), event)

    def write(self, store: Store, attempt: Attempt = lambda call: call) -> None:
        """Write it all; writing it again changes nothing.

        Args:
            store: where it goes.
            attempt: wraps each call, to try again while the store is away.

        Raises:
            StoreError: it is away.
        """
        for person, at in self._erased.items():
            for one in (person, *attempt(store.joined_to)(person)):  # who joined while nobody was looking
                attempt(let_go)(store, one, at)
        if self._updates:
            attempt(store.update_profiles)(self._updates)
        if self._consent:
            attempt(store.record_consent)(self._consent)
        for event in self._objecting.values():
            self._told.add(event)
        for (anonymous, person, is_last), by in self._joins.items():
            attempt(belongings.hand_over)(store, anonymous, person, by.timestamp, by.received_at, is_last=is_last)

    def _forget(self, event: Erased) -> None:
        gone = event.person
        self._told.forget(gone)
        self._objecting.pop(gone, None)
        self._updates = [one for one in self._updates if one.person != gone]
        self._consent = [one for one in self._consent if one.person != gone]
        self._joins = {ids: by for ids, by in self._joins.items() if gone not in ids}
        self._erased[gone] = event.timestamp


def let_go(store: Store, person: str, at: datetime) -> None:
    """Erase what was written of a person between their erasure at `at` and the message about it.

    That is much where the pipeline was down for an hour. Who has come back meanwhile is somebody new, and stays.

    Raises:
        StoreError: try again.
    """
    profile = store.profile(person)
    seen = [profile.last_seen] if profile is not None and profile.last_seen is not None else []
    did = [line.at for line in store.activity(person, limit=1)]
    said = [record.at for record in store.consent(person)]
    if any(one > at for one in (*seen, *did, *said)):
        return
    store.erase_person(person)


def without_erased(items: Sequence[Activity], store: Store, secret: str) -> list[Activity]:
    """These lines, but for decisions that were taken before their person was erased, and are written only now.

    Raises:
        StoreError: nobody can tell now.
    """
    decided = {one.person for one in items if one.kind == "decision"}
    erased = {person: store.erased_at(consent.person_digest(person, secret)) for person in decided}
    return [one for one in items if one.kind != "decision" or not (at := erased[one.person]) or one.at > at]


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
