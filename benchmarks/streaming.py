"""The live form's stateful step, against a step that only reads and writes one state cell, on the same runner.

Both read the file, decode, and stamp every event with its receipt, as Pub/Sub does; the FnApiRunner has no state cache.
It runs bounded input through first and fires all timers then, which is why the file's deadlines are all in the past.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import yaml
from apache_beam.coders import BytesCoder
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import TimestampedValue

from benchmarks.five_rules import FOLDER
from benchmarks.timing import compare, row
from pipeline import graph
from pipeline.options import PipelineSettings, RulesSettings
from tidings.adapters.sqlite_store import SqliteStore
from tidings.wire import decisions
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis


class OneCell(beam.DoFn):
    """Counts a person's events in one cell."""

    CELL = ReadModifyWriteStateSpec("count", BytesCoder())

    def process(
        self,
        element: tuple[str, Event],
        cell: Any = beam.DoFn.StateParam(CELL),  # noqa: B008 - Beam finds it by its default
    ) -> Iterator[Any]:
        """One event."""
        cell.write(int.to_bytes(int.from_bytes(cell.read() or b"", "big") + 1, 4, "big"))
        return iter(())


def run(path: Path) -> str:
    """A line for the table."""
    worker_handlers.STATE_CACHE_SIZE_MB = 0
    count = sum(1 for _ in path.open("rb"))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "decisions"
        result = compare(lambda: _one_cell(path), lambda: decide(path, output), rounds=3)
    return row(
        "live form: one stateful step, all five rules, FnApiRunner",
        f"{count / result.candidate:,.0f} events/s",
        f"a step that reads and writes one cell: {count / result.baseline:,.0f} events/s",
        result.ratio,
        at_least=0.5,
    )


def decide(path: Path, output: Path) -> list[Decision]:
    """The live form's `decide` over a file; decisions are written to `output`, one a line."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(f"{folder}/store.db")
        for one in FOLDER.glob("*.yaml"):
            store.put_rule(one.stem, yaml.safe_load(one.read_text()))
        store.close()
        settings = PipelineSettings(rules=RulesSettings(store=f"sqlite:{folder}/store.db", refresh_seconds=3600))
        with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
            decided = graph.decide(_events(pipeline, path), settings)
            lines = decided.main | beam.Map(decisions.encode).with_output_types(bytes)
            _ = lines | beam.io.WriteToText(str(output), shard_name_template="", coder=BytesCoder())
    return [decisions.decode(one) for one in output.read_bytes().splitlines()]


def _one_cell(path: Path) -> None:
    with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
        _ = _events(pipeline, path) | beam.ParDo(OneCell())


def _events(pipeline: beam.Pipeline, path: Path) -> Any:
    lines = pipeline | beam.io.ReadFromText(str(path), coder=BytesCoder())
    messages = lines | beam.Map(graph.line_to_message).with_output_types(PubsubMessage)
    return graph.decode(messages).main | beam.Map(_stamp).with_output_types(tuple[str, Event])


def _stamp(element: tuple[str, Event]) -> Any:
    return TimestampedValue(element, millis(element[1].received_at) / 1000)
