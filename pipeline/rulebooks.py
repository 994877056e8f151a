"""The engine of this worker process: one, shared by all bundles, renewed when a rule is edited.

A module global behind a lock: `setup()` is called per bundle by Beam's local runner, and `beam.utils.shared` keeps only
one object alive.
"""

import logging
import random
import threading
import time
from datetime import UTC, datetime
from importlib.resources import files

from google.api_core.retry import Retry, if_exception_type

from pipeline.options import RulesSettings
from tidings.adapters.stores import open_store
from tidings.backtest import shadows
from tidings.deciding.bookkeeping import Told
from tidings.deciding.engine import Engine
from tidings.errors import InvalidRuleError, StoreError
from tidings.records.store import Store
from tidings.rollout.rule_source import RuleSource

log = logging.getLogger(__name__)

_lock = threading.Lock()
_workers: "dict[RulesSettings, _Worker]" = {}
_LOOKS_PER_COMPARISON = 60
"""Every so many looks for edits, one whether a shadow is to be compared: five minutes, at five seconds a look."""
_patiently = Retry(predicate=if_exception_type(StoreError), initial=0.2, maximum=10.0, timeout=120.0)


class _Worker:
    """What one process keeps for one setting: the store, the engine, and a thread that looks for edits.

    A thread, because an edit is to be checked and reported on even when no event comes by. Another one compares shadows
    with their live rules: it reads thousands of entries, and no edit should wait for that.

    Attributes:
        fault: what has ended the thread, if anything has: rules that nobody renews any more must not run on in silence.

    Raises:
        StoreError: the store cannot be reached, so there are no rules yet.
    """

    def __init__(self, settings: RulesSettings) -> None:
        self.store = open_store(settings.store, settings.project)
        self.told = Told()
        self._source = RuleSource(self.store, template_names(), settings.time_scale)
        self._refresh_seconds = settings.refresh_seconds
        self._reporting = threading.Lock()
        self._book = self._source.refresh(datetime.now(UTC))
        self.engine = Engine(self._book)
        self.fault: Exception | None = None
        threading.Thread(target=self._watch, name="rules", daemon=True).start()
        threading.Thread(target=self._compare_for_ever, name="shadows", daemon=True).start()

    def _watch(self) -> None:
        while self.fault is None:
            time.sleep(self._refresh_seconds)
            try:
                self._look()
            except (StoreError, InvalidRuleError) as error:
                log.error("rules stay as they were: %s", error)
            except Exception as error:  # noqa: BLE001 - nothing is swallowed: the next bundle raises it
                self.fault = error

    def _look(self) -> None:
        with self._reporting:
            book = self._source.refresh(datetime.now(UTC))
        if book is not self._book:
            self._book, self.engine = book, Engine(book)

    def _compare_for_ever(self) -> None:
        """Each process at times of its own, so that one of them finds it due, and the others find it done."""
        every = self._refresh_seconds * _LOOKS_PER_COMPARISON
        time.sleep(every * random.random())  # noqa: S311 - this is no secret
        while self.fault is None:
            try:
                self._compare()
            except StoreError as error:
                log.error("shadows are compared later: %s", error)
            time.sleep(every)

    def _compare(self) -> None:
        rules = self._source.rule_set.rules
        pairs = {rule.id: live for rule in rules.values() if (live := rules.get(rule.shadow_of or "")) is not None}
        ours = [rules[name] for name in pairs]
        for rule in shadows.due(ours, self.store.rules(), datetime.now(UTC)) if ours else ():
            comparison = shadows.latest(self.store, rule, pairs[rule.id], datetime.now(UTC))
            with self._reporting:
                shadows.write(self.store, comparison)


def _worker(settings: RulesSettings) -> _Worker:
    """The worker of this setting; a new one after a fault was raised, because the cause may have been mended."""
    if settings in _workers and (fault := _workers[settings].fault) is not None:
        del _workers[settings]
        raise fault
    if settings not in _workers:
        _workers[settings] = _patiently(_Worker)(settings)
    return _workers[settings]


def engine(settings: RulesSettings) -> Engine:
    """The engine with the rules as they are now; one immutable book, to be kept for a whole bundle.

    What has ended the search for edits, if it was no fault with a name, is raised here, once.
    """
    with _lock:
        return _worker(settings).engine


def store(settings: RulesSettings) -> Store:
    """The store that the rules come from; profiles and activity live there too."""
    with _lock:
        return _worker(settings).store


def told(settings: RulesSettings) -> Told:
    """Whom this process need not tell that store of again; see there."""
    with _lock:
        return _worker(settings).told


def template_names() -> frozenset[str]:
    """The messages that can be sent."""
    return frozenset(one.name for one in files("templates").iterdir() if one.is_dir() and one.name[:1] not in "_.")
