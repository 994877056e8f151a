"""Every story, through the engine as it runs live, through a replay, and through Beam: all tell the same ending."""

from collections import defaultdict
from datetime import datetime

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that
from apache_beam.utils.timestamp import Timestamp

from pipeline import graph
from pipeline.options import PipelineSettings, RulesSettings
from tests.journeys.stories import Story, all_stories, outcome_of
from tidings import events
from tidings.adapters.sqlite_store import SqliteStore
from tidings.engine import Engine
from tidings.events import millis
from tidings.replay import replay
from tidings.rulebook import RuleBook
from tidings.rules import load
from tidings.state import PersonState

STORIES = all_stories()


def engine_of(story: Story) -> Engine:
    return Engine(RuleBook([load(rule) for rule in story.rules]))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_engine_live_tells_the_story(story):
    engine, people, decisions = engine_of(story), {}, []
    for step in story.steps:
        if isinstance(step, datetime):
            for state in people.values():
                while state.wake_at <= millis(step):
                    decisions += engine.wake(state, state.wake_at).decisions
        else:
            state = people.setdefault(step.person, PersonState(step.person))
            decisions += engine.feed(state, [step], millis(step.received_at)).decisions
    assert outcome_of(decisions) == story.expected


@pytest.mark.parametrize("story", [one for one in STORIES if one.replays], ids=lambda story: story.name)
def test_a_replay_tells_the_story(story):
    engine, people, decisions = engine_of(story), defaultdict(list), []
    for event in story.events:
        people[event.person].append(event)
    for person, history in people.items():
        decisions += replay(engine, person, history, millis(story.until)).decisions
    assert outcome_of(decisions) == story.expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_beam_tells_the_story(story, tmp_path):
    url = f"sqlite:{tmp_path}/store.db"
    store = SqliteStore(f"{tmp_path}/store.db")
    for rule in story.rules:
        store.put_rule(rule["id"], rule)
    settings = PipelineSettings(rules=RulesSettings(store=url))
    stream = Stream()
    for step in story.steps:
        if isinstance(step, datetime):
            stream.advance_watermark_to(Timestamp(micros=millis(step) * 1000))
        else:
            message = PubsubMessage(events.encode(step), {"schema": events.SCHEMA})
            received = Timestamp(micros=millis(step.received_at) * 1000)
            stream.add_elements([beam.transforms.window.TimestampedValue(message, received)])
    stream.advance_watermark_to_infinity()

    def tells_the_story(decisions):
        assert outcome_of(decisions) == story.expected

    options = PipelineOptions(["--streaming", "--allow_unsafe_triggers"])
    with BeamPipeline(runner="BundleBasedDirectRunner", options=options) as pipeline:
        decided = graph.decide(graph.decode(pipeline | stream).main, settings)
        assert_that(decided.main, tells_the_story)
