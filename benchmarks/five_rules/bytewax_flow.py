"""The hand-written rules in bytewax, with one stateful operator a person. Only when bytewax is installed.

bytewax is no dependency: `python -m pip install bytewax` into the environment that runs the benchmarks
(0.21.1 is the version that was tried).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.files import FileSink, FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import run_main

from benchmarks.five_rules.firings import Firing
from benchmarks.five_rules.handwritten import Person


class _Rules(StatefulBatchLogic[dict[str, Any], Firing, None]):
    """One person; whatever a batch of the source holds of them comes in one call."""

    def __init__(self, until: int) -> None:
        self._until = until
        self._person: Person | None = None

    def on_batch(self, values: list[dict[str, Any]]) -> tuple[Iterable[Firing], bool]:
        """Events in order of receipt."""
        if self._person is None:
            self._person = Person(values[0]["userId"])
        fired: list[Firing] = []
        for event in values:
            self._person.take(event, fired)
        return fired, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[Firing], bool]:
        """What is still open."""
        fired: list[Firing] = []
        if self._person is not None:
            self._person.wait_until(self._until, fired)
        return fired, StatefulBatchLogic.DISCARD

    def snapshot(self) -> None:
        """Nothing is recovered in a benchmark."""


def run(source: Path, output: Path, until: int) -> None:
    """Read the file, decide, write one firing a line; one worker, in this thread."""
    flow = Dataflow("five_rules")
    lines = op.input("read", flow, FileSource(source, batch_size=1000))
    events = op.map("decode", lines, orjson.loads)
    keyed = op.key_on("by_person", events, lambda event: event["userId"])
    fired = op.stateful_batch("decide", keyed, lambda _: _Rules(until))
    written = op.map("to_line", fired, lambda item: (item[0], orjson.dumps(item[1]._asdict()).decode()))
    op.output("write", written, FileSink(output))
    run_main(flow)
