"""Two ids become one person on Beam: two keys, two cells, and a message between them."""

import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput

from pipeline.coders import EventCoder
from pipeline.decode import ANONYMOUS, DEAD, Decode
from pipeline.options import PipelineSettings, RulesSettings
from pipeline.write import activity_of_event
from tests.deciding.anonymous import CART, VIEWS, X, added, identified, ordered, two_keys, viewed
from tests.people import an_engine, at, ms
from tests.pipeline.through_beam import decided_by_beam
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import identity
from tidings.deciding.identity import Handover, resolve
from tidings.deciding.replay import replay
from tidings.wire import dead_letter, events


@pytest.fixture
def settings(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    for rule in (CART, VIEWS):
        store.put_rule(rule["id"], rule)
    return PipelineSettings(rules=RulesSettings(store=f"sqlite:{tmp_path}/store.db"))


def said(decisions):
    return sorted((one.rule_id, one.person, one.due_at, one.send_id) for one in decisions)


HISTORIES = {
    "a cart left anonymously": [added("10:00", **X), identified("10:05")],
    "a cart begun anonymously and ordered": [added("10:00", **X), identified("10:05"), ordered("10:06")],
    "an order just before its cart is handed over": [added("10:00", **X), ordered("10:04"), identified("10:05")],
    "the third look came before the first two": [
        viewed("10:00", **X),
        viewed("10:01", **X),
        viewed("10:02"),
        identified("10:05"),
    ],
    "looks before, between and after": [
        viewed("10:00", **X),
        identified("10:01"),
        viewed("10:02", **X),
        viewed("10:03"),
    ],
    "an identify that is repeated": [added("10:00", **X), *(identified(f"10:0{minute}") for minute in range(1, 5))],
}


@pytest.mark.parametrize("overtaken_by", [0, 1])
@pytest.mark.parametrize("name", HISTORIES)
def test_the_handover_may_come_before_or_after_what_the_person_does_and_twice(settings, name, overtaken_by):
    """Beam decides what a replay of the resolved history decides, to the send id."""
    history = HISTORIES[name]
    steps = [*history, at("10:09"), at("12:00")]
    [(person, its)] = resolve(history).items()
    wanted = replay(an_engine(CART, VIEWS), person, its, ms("12:00")).decisions
    assert said(decided_by_beam(settings, steps, overtaken_by, copies=2)) == said(wanted)


def test_an_event_that_joins_comes_out_for_both_ids():
    identify = identified("10:00")
    message = PubsubMessage(events.encode(identify), {"schema": events.SCHEMA})
    assert [(key, event.message_id) for key, event in Decode().process(message)] == [
        ("u:ann", identify.message_id),
        ("a:x", identify.message_id),
    ]
    known, apart = Decode(apart=True).process(message)
    assert known[0] == "u:ann"
    assert (apart.tag, apart.value[0]) == (ANONYMOUS, "a:x")


def test_a_handover_comes_out_for_its_person_alone():
    _, _, handover = two_keys(CART)
    [(key, again)] = Decode().process(PubsubMessage(*identity.message(handover)))
    assert key == "u:ann"
    assert again == handover


def test_what_claims_to_be_a_handover_and_is_none_becomes_a_dead_letter():
    [output] = Decode().process(PubsubMessage(b"{}", {"schema": identity.SCHEMA}))
    assert isinstance(output, TaggedOutput)
    assert output.tag == DEAD
    assert dead_letter.read(output.value.data, output.value.attributes).reason == "not_a_handover"


def test_events_and_handovers_cross_a_shuffle_as_what_they_are():
    coder = EventCoder()
    _, _, handover = two_keys(CART)
    for event in (handover, added("10:00", **X)):
        again = coder.decode(coder.encode(event))
        assert again == event
        assert isinstance(again, Handover) == isinstance(event, Handover)


def test_the_feed_has_one_line_for_an_event_and_one_for_a_join():
    _, _, handover = two_keys(CART)
    identify = identified("10:05")
    lines = [
        line
        for element in (("u:ann", identify), ("a:x", identify), ("u:ann", handover))
        for line in activity_of_event(element)
    ]
    assert [(line.person, line.label, line.detail) for line in lines] == [
        ("u:ann", "identify", {"type": "identify"}),
        ("u:ann", "alias", {"type": "alias", "joined_by": "a:x"}),
    ]
