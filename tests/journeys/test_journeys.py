"""Every story, through the engine as it runs live, through a replay, and through Beam: all tell the same ending."""

from datetime import datetime

import pytest

from pipeline.options import PipelineSettings, RulesSettings
from tests.journeys.stories import Story, all_stories, outcome_of
from tests.pipeline.through_beam import decided_by_beam
from tidings import identity
from tidings.adapters.sqlite_store import SqliteStore
from tidings.engine import Engine
from tidings.events import millis
from tidings.replay import replay
from tidings.rulebook import RuleBook
from tidings.rules import load
from tidings.segments import load_all
from tidings.state import PersonState

STORIES = all_stories()


def engine_of(story: Story) -> Engine:
    groups = load_all({segment["id"]: segment for segment in story.segments})
    return Engine(RuleBook([load(rule, segments=groups) for rule in story.rules], segments=groups.values()))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_engine_live_tells_the_story(story):
    engine, people, decisions = engine_of(story), {}, []
    for step in story.steps:
        if isinstance(step, datetime):
            for state in people.values():
                while state.wake_at <= millis(step):
                    decisions += engine.wake(state, state.wake_at).decisions
        else:
            arriving = [step]
            for event in arriving:
                for key in identity.addressees(event):
                    state = people.setdefault(key, PersonState(key))
                    outcome, onward = identity.take(engine, state, event, millis(step.received_at))
                    decisions += outcome.decisions
                    arriving += onward
    assert outcome_of(decisions) == story.expected


@pytest.mark.parametrize("story", [one for one in STORIES if one.replays], ids=lambda story: story.name)
def test_a_replay_tells_the_story(story):
    engine, decisions = engine_of(story), []
    for person, history in identity.resolve(story.events).items():
        decisions += replay(engine, person, history, millis(story.until)).decisions
    assert outcome_of(decisions) == story.expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_beam_tells_the_story(story, tmp_path):
    url = f"sqlite:{tmp_path}/store.db"
    store = SqliteStore(f"{tmp_path}/store.db")
    for rule in story.rules:
        store.put_rule(rule["id"], rule)
    for segment in story.segments:
        store.put_segment(segment["id"], segment)
    decisions = decided_by_beam(PipelineSettings(rules=RulesSettings(store=url)), story.steps)
    assert outcome_of(decisions) == story.expected
