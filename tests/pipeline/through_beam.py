"""The live steps on Beam's `TestStream`, with the round that messages make through the events topic."""

from collections.abc import Sequence
from datetime import datetime

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from pipeline import graph
from pipeline.decide import ONWARD
from pipeline.options import PipelineSettings
from tidings.ingest import intake
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis

Step = Event | datetime | TimestampedValue

_decided: list[Decision] = []
_onward: list[TimestampedValue] = []


def decided_by_beam(
    settings: PipelineSettings, steps: Sequence[Event | datetime], overtaken_by: int = 0, copies: int = 1
) -> list[Decision]:
    """What the live steps decide about these events (and watermarks), handed over in this order.

    A stream cannot be added to while it flows. So it flows again, with what came out for the events topic put in behind
    the event that caused it, until nothing new comes out.

    Args:
        settings: where the rules are.
        steps: events, and watermarks.
        overtaken_by: how many later steps get ahead of a message that goes round.
        copies: how often such a message is delivered.
    """
    flowing: list[Step] = list(steps)
    gone_round: set[str] = set()
    while True:
        _flow(settings, flowing)
        news = {one.value.attributes["messageId"]: one for one in _onward}
        news = {name: one for name, one in news.items() if name not in gone_round}
        if not news:
            return list(_decided)
        for name, one in news.items():
            cause = max(place for place, step in enumerate(flowing) if _published(step) == one.timestamp)
            flowing[cause + 1 + overtaken_by : cause + 1 + overtaken_by] = [one] * copies
            gone_round.add(name)


def _flow(settings: PipelineSettings, steps: Sequence[Step]) -> None:
    _decided.clear()
    _onward.clear()
    stream = Stream()
    for step in steps:
        if isinstance(step, datetime):
            stream.advance_watermark_to(_published(step))
        else:
            stream.add_elements([step if isinstance(step, TimestampedValue) else _received(step)])
    stream.advance_watermark_to_infinity()
    options = PipelineOptions(["--streaming", "--allow_unsafe_triggers"])
    with BeamPipeline(runner="BundleBasedDirectRunner", options=options) as pipeline:
        outputs = graph.decide(graph.decode(pipeline | stream).main, settings)
        _ = outputs.main | "Catch decisions" >> beam.Map(_catch_decision)
        _ = outputs[ONWARD] | "Catch what goes onward" >> beam.Map(_catch_onward)


def _published(step: Step) -> Timestamp:
    if isinstance(step, TimestampedValue):
        return step.timestamp
    return Timestamp(micros=millis(step if isinstance(step, datetime) else step.received_at) * 1000)


def _received(event: Event) -> TimestampedValue:
    data, schema = intake.to_message(event)
    return TimestampedValue(PubsubMessage(data, {"schema": schema}), _published(event))


def _catch_decision(decision: Decision) -> None:
    _decided.append(decision)


def _catch_onward(message: PubsubMessage, published: Timestamp = beam.DoFn.TimestampParam) -> None:
    _onward.append(TimestampedValue(message, published))
