"""The bounded form of the decision: a person's whole history at once, through the same engine."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline import rulebooks
from pipeline.decide import Reporter
from pipeline.options import RulesSettings
from tidings.deciding import identity
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.rollout import rule_set
from tidings.wire.events import Event

JOINED = "joined"


class Follow(beam.DoFn):
    """(anonymous id, everything addressed to it) -> what it did, each keyed by the person that it belongs to."""

    def process(self, element: tuple[str, Iterable[Event]]) -> Iterator[tuple[str, Event]]:
        """One anonymous id."""
        yield from identity.follow(*element)


class Replay(beam.DoFn):
    """(person, all their events) -> decisions, faults as dead letters.

    Args:
        rules: where they are.
        until: how far the history reaches, in milliseconds.
        apart: whether who has joined an anonymous id goes to an output of its own, JOINED, event by event.
    """

    def __init__(self, rules: RulesSettings, until: int, *, apart: bool = False) -> None:
        self._rules = rules
        self._until = until
        self._apart = apart
        self._reporter = Reporter()
        self._engine: Engine | None = None

    def setup(self) -> None:
        """One rule book for the whole run."""
        rules = self._rules
        if rules.folder:
            self._engine = Engine(rule_set.from_folder(Path(rules.folder)).book(rules.time_scale))
        else:
            self._engine = rulebooks.engine(rules)

    def process(self, element: tuple[str, Iterable[Event]]) -> Iterator[Any]:
        """One person."""
        person, history = element
        if self._apart and any(one.type in identity.JOINING and identity.joins(one) for one in history):
            for event in history:
                yield TaggedOutput(JOINED, (person, event))
            return
        assert self._engine is not None
        yield from self._reporter.report(replay(self._engine, person, history, self._until), self._until)
