"""Beam, unmodified, reads from the embedded server and writes to it."""

from collections.abc import Iterator

import pytest
from apache_beam import Map, Pipeline
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub, WriteToPubSub
from apache_beam.options.pipeline_options import PipelineOptions

from tests.pubsub_bench import Bench, bench
from tidings.adapters.pubsub_server import PubSubServer


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with PubSubServer() as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        with bench() as ready:
            yield ready


def answer(message: PubsubMessage) -> PubsubMessage:
    return PubsubMessage(message.data.upper(), dict(message.attributes) | {"seen": "yes"})


def test_a_streaming_pipeline_gets_what_is_published_and_publishes_what_it_makes_of_it(pubsub: Bench) -> None:
    events, sends = pubsub.topic("events"), pubsub.topic("sends")
    source, outcome = pubsub.subscription(events, "pipeline"), pubsub.subscription(sends, "deliver")
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    pipeline = Pipeline(options=options)
    read = pipeline | ReadFromPubSub(subscription=source, with_attributes=True)
    _ = read | Map(answer) | WriteToPubSub(sends, with_attributes=True)
    running = pipeline.run()
    try:
        pubsub.publish(events, b"before and", b"after it runs", schema="tidings.event.v1")
        received = pubsub.pull(outcome, 2, seconds=120)
    finally:
        running.cancel()
    assert {one.message.data for one in received} == {b"BEFORE AND", b"AFTER IT RUNS"}
    assert {tuple(sorted(one.message.attributes.items())) for one in received} == {
        (("schema", "tidings.event.v1"), ("seen", "yes"))
    }
