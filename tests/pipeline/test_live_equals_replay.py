"""The promise that everything else stands on: what was decided live is what a replay of the same events decides."""

from unittest.mock import patch

from hypothesis import HealthCheck, given, settings

from pipeline import rulebooks
from pipeline.options import PipelineSettings, RulesSettings
from tests.drawn import UNTIL, histories, rule_books
from tests.people import an_engine
from tests.pipeline.through_beam import decided_by_beam
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.wire import decisions
from tidings.wire.events import millis

SETTINGS = PipelineSettings(rules=RulesSettings(store="sqlite::memory:"))


def as_a_stream(events):
    """Every event as it is received, with a watermark that follows it exactly."""
    watermark = None
    for event in events:
        if event.received_at != watermark:
            yield (watermark := event.received_at)
        yield event


def decided_by_a_replay(engine, events):
    everybody = resolve(events).items()
    return [one for person, its in everybody for one in replay(engine, person, its, millis(UNTIL)).decisions]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule_books(), histories(erasures=True))
def test_streaming_through_beam_decides_what_a_replay_decides(documents, events):
    """Every decision, to the last byte: id, instants, evidence, gates, and what the template is shown."""
    engine = an_engine(*documents)
    with patch.object(rulebooks, "engine", lambda _: engine):  # these very rules, without a store to read them from
        live = decided_by_beam(SETTINGS, [*as_a_stream(events), UNTIL])
    replayed = decided_by_a_replay(engine, events)
    assert sorted(map(decisions.encode, live)) == sorted(map(decisions.encode, replayed))
