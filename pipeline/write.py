"""The steps that write to the store. Each buffers a bundle and commits it in one go."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from google.api_core.retry import Retry, if_exception_type

from pipeline import rulebooks, secret
from pipeline.metrics import counter
from pipeline.options import RulesSettings
from tidings.deciding import bookkeeping
from tidings.deciding.bookkeeping import News
from tidings.deciding.erasure import Erased
from tidings.errors import StoreError
from tidings.ingest.overtaken import Overtaken
from tidings.ingest.reimports import Reimports
from tidings.records.store import Activity
from tidings.wire.events import Event

_patiently = Retry(predicate=if_exception_type(StoreError), initial=0.2, maximum=10.0, timeout=120.0)
"""A store that is away for a moment must not cost a bundle: the local runner gives up after four tries."""


class UpdateProfiles(beam.DoFn):
    """Writes what events say of profiles and consent, and only then lets them pass.

    So a decision is never taken, and no mail asked for, before the address that the same visit brought is there. An
    address that was erased is taken out of the event first, for this step and all behind it: see
    `tidings.ingest.reimports`. An event of somebody who was erased since it was received passes not at all: see
    `tidings.ingest.overtaken`.

    Args:
        rules: where the store is.
        secret_or_name: see `PipelineSettings.secret`.
    """

    def __init__(self, rules: RulesSettings, secret_or_name: str = "") -> None:
        self._rules = rules
        self._secret = secret_or_name
        self._readdressed = counter("erased_addresses")
        self._forgotten = counter("erased_events")

    def start_bundle(self) -> None:
        """Start with empty hands."""
        self._waiting: list[WindowedValue] = []
        self._news = News(rulebooks.told(self._rules))
        found = secret.resolve(self._secret)
        store = rulebooks.store(self._rules)
        self._overtaken = Overtaken(store, found, _patiently) if found else None
        self._reimports = Reimports(store, found, _patiently) if found else None

    def process(self, element: tuple[str, Event], timestamp: Any = beam.DoFn.TimestampParam) -> None:
        """Hold the event back, note what it brings."""
        key, event = element
        if self._overtaken is not None and self._overtaken.has(key, event, datetime.now(UTC)):
            self._forgotten.inc()
            return
        if isinstance(event, Erased):  # what stands before it is forgotten, and must leave no line in the feed either
            kept = [one for one in self._waiting if one.value[0] != key]
            self._forgotten.inc(len(self._waiting) - len(kept))
            self._waiting = kept
        if self._reimports is not None:
            event, given = self._reimports.cleaned(event), event
            self._readdressed.inc(key == event.person and event is not given)
        self._waiting.append(WindowedValue((key, event), timestamp, (GlobalWindow(),)))
        if key == event.person:  # otherwise it came for its person as well
            self._news.note(event)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Commit, then let the events go on."""
        self._news.write(rulebooks.store(self._rules), _patiently)
        yield from self._waiting


class WriteActivity(beam.DoFn):
    """Writes what a person did, and what was decided for them, into the feed that a support agent reads.

    Arguments as of `UpdateProfiles`. With a secret it can tell who was erased after something was decided for them.
    """

    def __init__(self, rules: RulesSettings, secret_or_name: str = "") -> None:
        self._rules = rules
        self._secret = secret_or_name

    def start_bundle(self) -> None:
        """Start with empty hands."""
        self._items: list[Activity] = []

    def process(self, item: Activity) -> None:
        """Note it."""
        self._items.append(item)

    def finish_bundle(self) -> None:
        """Commit."""
        store, found = rulebooks.store(self._rules), secret.resolve(self._secret)
        items = _patiently(bookkeeping.without_erased)(self._items, store, found) if found else self._items
        if items:
            _patiently(store.append_activity)(items)


def activity_of_event(element: tuple[str, Event]) -> Iterator[Activity]:
    """Its line of the feed, once; nothing of an erasure."""
    person, event = element
    if person == event.person and not isinstance(event, Erased):
        yield bookkeeping.activity_of_event(event)
