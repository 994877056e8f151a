"""The bounded form, from a file to a file, on the FnApiRunner: against bytewax, and a plain pipeline."""

import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.events_file import UNTIL
from benchmarks.five_rules import FOLDER
from benchmarks.timing import compare, row
from pipeline import graph
from pipeline.main import main
from tidings.wire import decisions
from tidings.wire.decisions import Decision
from tidings.wire.events import instant


def run(path: Path) -> str:
    """A line for the table for each of them."""
    count = path.read_bytes().count(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "ours"

        def line(against: str, baseline: Callable[[], object], at_least: float) -> str:
            result = compare(baseline, lambda: decide(path, ours), rounds=5)
            return row(
                "bounded form, one process, FnApiRunner",
                f"{count / result.candidate:,.0f} events/s",
                f"{against}: {count / result.baseline:,.0f} events/s",
                result.ratio,
                at_least=at_least,
            )

        lines = [line("read, decode, group by person, count", lambda: _pass_through(path, Path(folder) / "count"), 0.8)]
        if find_spec("bytewax"):
            from benchmarks.five_rules import bytewax_flow  # noqa: PLC0415 - only when it is installed

            lines.insert(0, line("bytewax", lambda: bytewax_flow.run(path, Path(folder) / "flow.jsonl", UNTIL), 1.0))
        return "\n".join(lines)


def decide(path: Path, output: Path) -> list[Decision]:
    """Run the five rules over a file."""
    until = instant(UNTIL).isoformat()
    main(["--runner=FnApiRunner", f"--input={path}", f"--output={output}", f"--rules={FOLDER}", f"--until={until}"])
    return [decisions.decode(one) for one in Path(f"{output}-decisions.jsonl").read_bytes().splitlines()]


def _pass_through(path: Path, output: Path) -> None:
    """As anybody would write it: the same decoding, and no rules."""
    with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
        lines = pipeline | beam.io.ReadFromText(str(path), coder=beam.coders.BytesCoder())
        messages = lines | beam.Map(graph.line_to_message).with_output_types(PubsubMessage)
        counts = graph.decode(messages).main | beam.GroupByKey() | beam.MapTuple(_count)
        _ = counts | beam.io.WriteToText(str(output), shard_name_template="")


def _count(person: str, history: Iterable[Any]) -> str:
    return f"{person} {sum(1 for _ in history)}"
