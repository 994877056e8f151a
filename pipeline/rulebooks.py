"""The engine of this worker process: one, shared by all bundles, renewed when a rule is edited.

A module global behind a lock: `setup()` is called per bundle by Beam's local runner, and `beam.utils.shared` keeps only
one object alive.
"""

import logging
import threading
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import yaml

from pipeline.metrics import counter
from pipeline.options import RulesSettings
from tidings.adapters.stores import open_store
from tidings.engine import Engine
from tidings.errors import StoreError
from tidings.rule_source import RuleSource
from tidings.rulebook import RuleBook
from tidings.rules import load
from tidings.store import Store

_lock = threading.Lock()
_workers: "dict[RulesSettings, _Worker]" = {}
_unreachable = counter("rules_unreachable")


class _Worker:
    """What one process keeps for one setting."""

    def __init__(self, settings: RulesSettings) -> None:
        self.store = open_store(settings.store, settings.project)
        self._source = RuleSource(self.store, template_names(), settings.time_scale)
        self._refresh_seconds = settings.refresh_seconds
        self._book: RuleBook | None = None
        self._engine = Engine(RuleBook([]))
        self._next_look = 0.0

    def engine(self) -> Engine:
        """The engine for the next bundle. The first call must reach the store; later ones fall back on what they have.

        Raises:
            StoreError: the store was never reached.
        """
        if time.monotonic() >= self._next_look:
            try:
                book = self._source.refresh(datetime.now(UTC))
            except StoreError as error:
                if self._book is None:
                    raise
                logging.getLogger(__name__).warning("rules stay as they were, the store is away: %s", error)
                _unreachable.inc()
            else:
                if book is not self._book:
                    self._book, self._engine = book, Engine(book)
            self._next_look = time.monotonic() + self._refresh_seconds
        return self._engine


def _worker(settings: RulesSettings) -> _Worker:
    if settings not in _workers:
        _workers[settings] = _Worker(settings)
    return _workers[settings]


def engine(settings: RulesSettings) -> Engine:
    """The engine with the rules as they are now; one immutable book, to be kept for a whole bundle."""
    with _lock:
        return _worker(settings).engine()


def store(settings: RulesSettings) -> Store:
    """The store that the rules come from; profiles and activity live there too."""
    with _lock:
        return _worker(settings).store


def engine_from_folder(folder: str, time_scale: float) -> Engine:
    """The engine with the rules of a folder of YAML files.

    Raises:
        InvalidRuleError: a document is not valid. In the bounded form a person is waiting who can mend it.
    """
    rules = [
        load(yaml.safe_load(path.read_text(encoding="utf-8")), path.stem) for path in sorted(Path(folder).glob("*.yaml"))
    ]
    return Engine(RuleBook(rules, time_scale))


def template_names() -> frozenset[str]:
    """The messages that can be sent."""
    return frozenset(one.name for one in files("templates").iterdir() if one.is_dir() and one.name[:1] not in "_.")
