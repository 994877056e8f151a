"""Every story, through the engine as it runs live, a replay, and both forms of the pipeline: one ending for all."""

from datetime import datetime

import pytest
import yaml

from pipeline.main import main
from pipeline.options import PipelineSettings, RulesSettings
from tests.journeys.stories import Story, all_stories, outcome_of
from tests.pipeline.through_beam import decided_by_beam
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import identity
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.rules.rule import load
from tidings.rules.segments import load_all
from tidings.wire import events
from tidings.wire.decisions import decode
from tidings.wire.events import millis

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


@pytest.mark.parametrize("story", [one for one in STORIES if one.replays], ids=lambda story: story.name)
def test_the_bounded_pipeline_tells_the_story(story, tmp_path):
    for name, documents in (("rules", story.rules), ("rules/segments", story.segments)):
        (tmp_path / name).mkdir()
        for one in documents:
            (tmp_path / name / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
    (tmp_path / "events.jsonl").write_bytes(b"".join(events.encode(one) + b"\n" for one in story.events))
    options = [f"--input={tmp_path}/events.jsonl", f"--output={tmp_path}/out", f"--until={story.until.isoformat()}"]
    main(["--runner=FnApiRunner", f"--rules={tmp_path}/rules", *options])
    lines = (tmp_path / "out-decisions.jsonl").read_bytes().splitlines()
    assert outcome_of([decode(line) for line in lines]) == story.expected
