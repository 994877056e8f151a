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
from tests.people import a_rule, an_event, at, ms
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import identity
from tidings.deciding.identity import Handover
from tidings.wire import events
from tidings.wire.events import instant, millis

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


def element(data, received, schema=events.SCHEMA):
    message = PubsubMessage(data, {"schema": schema})
    return TimestampedValue(message, Timestamp(micros=received * 1000))


def run(settings, stream, expected_rules, expected_reasons):
    options = PipelineOptions(["--streaming"])
    with BeamPipeline(runner="BundleBasedDirectRunner", options=options) as pipeline:
        outputs = graph.decide(graph.decode(pipeline | stream).main, settings)
        assert_that(outputs.main | beam.Map(lambda one: one.rule_id), equal_to(expected_rules), label="decisions")
        reasons = outputs.dead | beam.Map(lambda one: one.attributes["reason"])
        assert_that(reasons, equal_to(expected_reasons), label="dead letters")


def test_poison_becomes_a_dead_letter_and_its_neighbours_pass(settings):
    """What another id hands over is looked into only inside the stateful step."""
    good = events.encode(an_event("V", "10:00", properties={"price": 120}))
    handover = Handover(
        message_id="h", type="alias", user_id="ann", previous_id="x", timestamp=at("10:00"), received_at=at("10:00"),
        state=b"of a version that nobody knows",
    )  # fmt: skip
    poison, about = identity.message(handover)
    texts = events.encode(an_event("V", "10:00", properties={"price": "120"}))
    now = ms("10:00")
    stream = Stream().add_elements([element(poison, now, about["schema"]), element(texts, now), element(good, now)])
    run(settings, stream.advance_watermark_to_infinity(), ["expensive"], ["engine_failed", "type_mismatch"])


def test_a_number_beyond_all_bounds_is_set_aside_and_a_trait_that_no_state_can_hold_counts_as_nothing(settings):
    """JSON knows no largest number, but Python and MessagePack do; that may not stop the step."""
    store = SqliteStore(settings.rules.store.removeprefix("sqlite:"))
    store.put_rule("rich", {**EXPENSIVE, "id": "rich", "audience": {"path": "traits.balance", "gt": 1}})
    infinite = events.encode(an_event("V", "10:00", properties={"price": "@"})).replace(b'"@"', b"1e999")
    huge = events.encode(an_event("", "09:00", type="identify", traits={"balance": "@"})).replace(b'"@"', b"9" * 40)
    now = ms("10:00")
    stream = Stream().add_elements([element(huge, now), element(infinite, now)])
    run(settings, stream.advance_watermark_to_infinity(), [], ["type_mismatch", "type_mismatch"])


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
