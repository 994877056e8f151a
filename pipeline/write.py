"""The steps that write to the store. Each buffers a bundle and commits it in one go."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from google.api_core.retry import Retry, if_exception_type

from pipeline import rulebooks
from pipeline.options import RulesSettings
from tidings import belongings, consent, identity, profiles
from tidings.decisions import Decision
from tidings.errors import StoreError
from tidings.events import Event
from tidings.identity import Handover
from tidings.store import Activity, ConsentRecord, ProfileUpdate

_patiently = Retry(predicate=if_exception_type(StoreError), initial=0.2, maximum=10.0, timeout=120.0)
"""A store that is away for a moment must not cost a bundle: the local runner gives up after four tries."""


class UpdateProfiles(beam.DoFn):
    """Writes what events say of profiles and consent, and only then lets them pass.

    So a decision is never taken, and no mail asked for, before the address that the same visit brought is there.
    """

    def __init__(self, rules: RulesSettings) -> None:
        self._rules = rules

    def start_bundle(self) -> None:
        """Start with empty hands."""
        self._waiting: list[WindowedValue] = []
        self._updates: list[ProfileUpdate] = []
        self._consent: list[ConsentRecord] = []
        self._joins: dict[tuple[str, str, bool], datetime] = {}

    def process(self, element: tuple[str, Event], timestamp: Any = beam.DoFn.TimestampParam) -> None:
        """Hold the event back, note what it brings."""
        key, event = element
        self._waiting.append(WindowedValue(element, timestamp, (GlobalWindow(),)))
        if key != event.person:
            return  # it came for its person as well
        if (update := profiles.from_event(event)) is not None:
            self._updates.append(update)
        self._consent += consent.from_event(event)
        if isinstance(event, Handover):
            self._joins.setdefault((event.anonymous, event.person, True), event.timestamp)
        elif (anonymous := identity.joins(event)) is not None:
            self._joins.setdefault((anonymous, event.person, False), event.timestamp)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Commit, then let the events go on."""
        store = rulebooks.store(self._rules)
        if self._updates:
            _patiently(store.update_profiles)(self._updates)
        if self._consent:
            _patiently(store.record_consent)(self._consent)
        for (anonymous, person, is_last), at in self._joins.items():
            _patiently(belongings.hand_over)(store, anonymous, person, at, is_last=is_last)
        yield from self._waiting


class WriteActivity(beam.DoFn):
    """Writes what a person did, and what was decided for them, into the feed that a support agent reads."""

    def __init__(self, rules: RulesSettings) -> None:
        self._rules = rules

    def start_bundle(self) -> None:
        """Start with empty hands."""
        self._items: list[Activity] = []

    def process(self, item: Activity) -> None:
        """Note it."""
        self._items.append(item)

    def finish_bundle(self) -> None:
        """Commit."""
        if self._items:
            _patiently(rulebooks.store(self._rules).append_activity)(self._items)


def activity_of_event(element: tuple[str, Event]) -> Iterator[Activity]:
    """One line of the feed: that something happened. What the event carried stays in the archive."""
    person, event = element
    if person != event.person:
        return
    detail: dict[str, Any] = {"type": event.type}
    if isinstance(event, Handover):
        detail["joined_by"] = event.anonymous
    yield Activity(
        activity_id=f"e-{event.message_id}",
        person=person,
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
    at: datetime = decision.due_at
    return Activity(
        activity_id=f"d-{decision.send_id}",
        person=decision.person,
        at=at,
        kind="decision",
        label=decision.rule_id,
        detail=detail,
    )
