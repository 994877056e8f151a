"""The bounded form on the FnApiRunner, against a pipeline that reads, decodes, groups by person and counts."""

import tempfile
from pathlib import Path

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.events_file import START
from benchmarks.timing import compare
from pipeline import graph, local_runner
from pipeline.options import PipelineSettings, RulesSettings
from tidings.events import millis

RULES = Path(__file__).parent.parent / "rules"


def run(path: Path) -> str:
    """A line for the table."""
    local_runner.prepare()
    count = len(path.read_bytes().splitlines())
    until = millis(START) + 24 * 3_600_000

    with tempfile.TemporaryDirectory() as folder:
        settings = PipelineSettings(
            rules=RulesSettings(folder=str(RULES)), input=str(path), output=f"{folder}/out", until=until
        )

        def candidate() -> None:
            with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
                graph.build(pipeline, settings)

        def baseline() -> None:
            with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
                messages = (
                    pipeline
                    | beam.io.ReadFromText(str(path), coder=beam.coders.BytesCoder())
                    | beam.Map(graph.line_to_message).with_output_types(PubsubMessage)
                )
                counts = graph.decode(messages).main | beam.GroupByKey() | beam.MapTuple(_count)
                _ = counts | beam.io.WriteToText(f"{folder}/counts")

        result = compare(baseline, candidate, rounds=3)
    return (
        f"| bounded pipeline, FnApiRunner | {count / result.candidate:,.0f} events/s "
        f"| read, decode, group, count: {count / result.baseline:,.0f} events/s | {result.ratio:.2f}x |"
    )


def _count(person: str, history: object) -> str:
    return f"{person} {sum(1 for _ in history)}"  # type: ignore[attr-defined]
