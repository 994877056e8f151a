"""Whatever rules there are and whatever people do: what the ledger explains, the archive explains in the same bytes."""

from collections import Counter

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.drawn import UNTIL, histories, lines_of, rule_books
from tests.lived import live
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.explaining import feed, ledger
from tidings.explaining.archive import history_of, of_person
from tidings.explaining.explain import explain
from tidings.explaining.explanation import encode
from tidings.explaining.trace import trace
from tidings.explaining.verify import end_of, verify
from tidings.history.gather import Window
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import load
from tidings.wire.events import millis

LAW = settings(max_examples=200, deadline=None, suppress_health_check=[*HealthCheck])
ALL = Window()
ENDINGS = [("sent", None, ""), ("suppressed", "no_consent", ""), ("dead_lettered", "render_failed", "line 3"), None]
"""How the mailer ended what was to be sent; None for not yet."""


class Lines(msgspec.Struct):
    """A piece of an archive that lies in memory: a `tidings.history.sources.Unit`."""

    held: list[bytes]
    source: str = "memory"
    size: int = 0

    def lines(self):
        return self.held


def rules_of(documents):
    return RuleSet({one["id"]: load(one) for one in documents}, {})


def lived(rules, events):
    """A store in which these events have happened."""
    store = SqliteStore(":memory:")
    live(store, Engine(rules.book()), events, millis(UNTIL), lambda one: ENDINGS[int(one.send_id[0], 16) % 4])
    return store


def verified(store, entry, rules, lines):
    found = of_person(entry.decision.person, [Lines(lines)], ALL)
    until = end_of(found.newest, None, entry.decision)
    return verify(entry, feed.of_store(store, entry.decision.person), rules, found.heard, until)


@LAW
@given(rule_books(), histories(), st.randoms(use_true_random=False))
def test_the_archive_explains_every_decision_in_the_very_bytes_of_the_ledger(documents, events, random):
    rules = rules_of(documents)
    store = lived(rules, events)
    entries = store.ledger()
    assume(entries)
    for entry in random.sample(entries, min(5, len(entries))):
        told = explain(entry.decision, entry, feed.of_store(store, entry.decision.person), rules)
        assert all(one.at is not None for one in told.evidence)
        result = verified(store, entry, rules, lines_of(events))
        assert result.verified, result.differences
        assert encode(told) == encode(result.told) == encode(result.again)
        assert ledger.entry_of(store, entry.send_id[:16]) == entry


@LAW
@given(rule_books(), histories(), st.data())
def test_without_an_event_that_counted_nothing_is_verified(documents, events, data):
    rules = rules_of(documents)
    store = lived(rules, events)
    entries = [one for one in store.ledger() if one.decision.evidence]
    assume(entries)
    entry = data.draw(st.sampled_from(entries))
    lost = data.draw(st.sampled_from(entry.decision.evidence))
    result = verified(store, entry, rules, lines_of(one for one in events if one.message_id != lost))
    assert not result.verified
    assert result.again is None or result.differences


@LAW
@given(rule_books(), histories(), st.data())
def test_a_trace_never_raises_and_says_that_it_fired_exactly_when_it_did(documents, events, data):
    rules = rules_of(documents)
    rule_id = data.draw(st.sampled_from(sorted(rules.rules)))
    person = data.draw(st.sampled_from(["u:ann", "u:bob", "a:x", "a:y"]))
    near = data.draw(st.sampled_from([None, UNTIL, *(one.timestamp for one in events)]))
    history = history_of(person, of_person(person, [Lines(lines_of(events))], ALL).heard)
    told = trace(rules, rule_id, person, history, millis(UNTIL), near)
    outcome = replay(Engine(rules.book()), person, history, millis(UNTIL))
    fired = [one for one in (*outcome.decisions, *outcome.outside) if one.rule_id == rule_id]
    assert (told.ending == "fired") == bool(fired)
    said = Counter(one.word for line in told.lines for one in line.said)
    assert said["fired"] + said["outside"] == len(fired)
    assert told.verdict
    assert {one.message_id for one in history} <= {line.message_id for line in told.lines}
