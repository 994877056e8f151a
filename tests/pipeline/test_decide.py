"""The stateful step on Beam: poison, faults, drain."""

import time

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from pipeline import graph
from pipeline.options import PipelineSettings, RulesSettings
from tests.people import a_rule, an_event, ms
from tidings import events
from tidings.adapters.sqlite_store import SqliteStore
from tidings.events import instant, millis

EXPENSIVE = a_rule(
    id="expensive", trigger={"performed": {"event": "V", "where": {"path": "properties.price", "gt": 100}}}
)
QUIET = a_rule(id="quiet", trigger={"not_performed": {"after": "A", "none_of": ["B"], "within": "15m"}})


@pytest.fixture
def settings(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    store.put_rule("expensive", EXPENSIVE)
    store.put_rule("quiet", QUIET)
    return PipelineSettings(rules=RulesSettings(store=f"sqlite:{tmp_path}/store.db"))


def element(data, received):
    message = PubsubMessage(data, {"schema": events.SCHEMA})
    return TimestampedValue(message, Timestamp(micros=received * 1000))


def run(settings, stream, expected_rules, expected_reasons):
    options = PipelineOptions(["--streaming"])
    with BeamPipeline(runner="BundleBasedDirectRunner", options=options) as pipeline:
        outputs = graph.decide(graph.decode(pipeline | stream).main, settings)
        assert_that(outputs.main | beam.Map(lambda one: one.rule_id), equal_to(expected_rules), label="decisions")
        reasons = outputs.dead | beam.Map(lambda one: one.attributes["reason"])
        assert_that(reasons, equal_to(expected_reasons), label="dead letters")


def test_poison_becomes_a_dead_letter_and_its_neighbours_pass(settings):
    """A number beyond all bounds inside raw properties is found only when a rule looks, inside the stateful step."""
    good = events.encode(an_event("V", "10:00", properties={"price": 120}))
    poison = events.encode(an_event("V", "10:00", properties={"price": "@"})).replace(b'"@"', b"1e999")
    texts = events.encode(an_event("V", "10:00", properties={"price": "120"}))
    now = ms("10:00")
    stream = Stream().add_elements([element(poison, now), element(texts, now), element(good, now)])
    run(settings, stream.advance_watermark_to_infinity(), ["expensive"], ["engine_failed", "type_mismatch"])


def test_a_drain_does_not_send_what_is_not_due(settings):
    """Draining moves the watermark to the end of time; a deadline that the wall clock has not reached is not due."""
    now = int(time.time() * 1000)
    event = an_event("A", instant(now))
    stream = Stream().advance_watermark_to(Timestamp(micros=now * 1000))
    stream = stream.add_elements([element(events.encode(event), now)])
    stream = stream.advance_watermark_to(Timestamp(micros=(now + 3_600_000) * 1000))
    run(settings, stream.advance_watermark_to_infinity(), [], [])


def test_the_same_step_sends_it_when_the_hour_is_really_over(settings):
    event = an_event("A", "10:00")
    stream = Stream().advance_watermark_to(Timestamp(micros=ms("10:00") * 1000))
    stream = stream.add_elements([element(events.encode(event), millis(event.received_at))])
    stream = stream.advance_watermark_to(Timestamp(micros=ms("11:00") * 1000))
    run(settings, stream.advance_watermark_to_infinity(), ["quiet"], [])
