"""A shadow and its live rule, compared by what the ledger says that both have decided."""

from datetime import timedelta

import msgspec
import pytest

from tests.people import a_rule, an_event, at, ms
from tests.sends import a_decision
from tidings.adapters.sqlite_store import SqliteStore
from tidings.backtest.shadows import compare_in, due, latest, write
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.deciding.rulebook import RuleBook
from tidings.rollout.rule_source import RuleSource
from tidings.rollout.versions import follow
from tidings.rules.rule import load

LIVE = a_rule(id="cart", trigger={"performed": {"event": "A"}})
SHADOW = {**LIVE, "id": "cart-again", "status": "shadow", "shadow_of": "cart"}


CART, AGAIN = load(LIVE), load(SHADOW)


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    store.put_rule("cart", LIVE)
    store.put_rule("cart-again", SHADOW)
    yield store
    store.close()


def decide(store, rule_id, person, clock, written=None, **fields):
    """An entry of the ledger: fell due at this time, and was written then, or later."""
    outcome = "send" if rule_id == "cart" else "shadow"
    names = {"rule_id": rule_id, "send_id": f"{rule_id} {person} {clock}", "due_at": at(clock), "decided_at": at(clock)}
    version = (CART if rule_id == "cart" else AGAIN).version
    decision = a_decision(person, **{"outcome": outcome, "rule_version": version, **names, **fields})
    return store.claim(decision, at(written or clock), timedelta(minutes=1)).entry


def counts(found):
    told = found.report()
    return {name: told[name] for name in ("same", "moved", "changed", "added", "removed") if told[name]}


def test_every_decision_is_the_same_moved_changed_added_or_removed(store):
    for rule in ("cart", "cart-again"):
        decide(store, rule, "u:same", "10:00", evidence=("m1",))
    decide(store, "cart", "u:moved", "10:15", evidence=("m2",))
    decide(store, "cart-again", "u:moved", "10:30", evidence=("m2",))
    decide(store, "cart", "u:changed", "11:00")
    decide(store, "cart-again", "u:changed", "11:00", outcome="suppressed", reason="quiet_hours_missed")
    decide(store, "cart", "u:removed", "12:00")
    decide(store, "cart-again", "u:added", "12:00")
    found = compare_in(store, AGAIN, CART, at("09:00"), at("13:00"))
    assert counts(found) == {"same": 1, "moved": 1, "changed": 1, "added": 1, "removed": 1}
    [moved] = found.difference.of("moved")
    assert moved.moved == timedelta(minutes=15)


def test_to_send_and_to_send_in_the_shadow_is_the_same(store):
    for rule in ("cart", "cart-again"):
        decide(store, rule, "u:ann", "10:00")
    assert counts(compare_in(store, AGAIN, CART, at("09:00"), at("11:00"))) == {"same": 1}


def test_what_became_of_a_mail_does_not_count(store):
    """The shadow's never meets consent, or a mail server."""
    held = decide(store, "cart", "u:ann", "10:00")
    decide(store, "cart-again", "u:ann", "10:00")
    store.finish(held, "suppressed", at("12:00"), "no_consent")
    assert counts(compare_in(store, AGAIN, CART, at("09:00"), at("11:00"))) == {"same": 1}


def test_what_fell_due_outside_does_not_count(store):
    for clock in ("08:59", "13:01"):
        decide(store, "cart", "u:ann", clock)
    assert counts(compare_in(store, AGAIN, CART, at("09:00"), at("13:00"))) == {}


def test_what_moves_across_the_edge_is_moved_and_not_added(store):
    decide(store, "cart", "u:ann", "08:50", evidence=("m1",))
    decide(store, "cart-again", "u:ann", "09:05", evidence=("m1",))
    assert counts(compare_in(store, AGAIN, CART, at("09:00"), at("13:00"))) == {"moved": 1}


def test_when_there_is_more_than_is_looked_at_it_says_so_and_claims_nothing_about_the_rest(store):
    """The shadow has decided less, so more of its past is seen; without the same past of the other it means nothing."""
    for minute in range(10):
        decide(store, "cart", f"u:{minute}", f"10:0{minute}")
        if minute % 2 == 0:
            decide(store, "cart-again", f"u:{minute}", f"10:0{minute}")
    found = compare_in(store, AGAIN, CART, at("09:00"), at("11:00"), at_most=6)
    assert counts(found) == {"same": 3, "removed": 3}
    assert found.since == at("10:04")
    assert found.report()["at_most"] == 10_000
    whole = compare_in(store, AGAIN, CART, at("09:00"), at("11:00"), at_most=11)
    assert counts(whole) == {"same": 5, "removed": 5}
    assert whole.report()["at_most"] is None


def test_a_comparison_lands_on_the_document_and_is_due_again_after_an_hour(store):
    RuleSource(store).refresh(at("09:00"))
    decide(store, "cart", "u:ann", "09:30")
    rules = [load(LIVE), load(SHADOW)]
    [rule] = due(rules, store.rules(), at("10:00"))
    before = store.rules()[1]
    write(store, latest(store, rule, CART, at("10:00")))
    after = store.rules()[1]
    assert after.report == {
        **before.report,
        "shadow": {
            "compared_with": "cart",
            "since": at("10:00").replace(day=2).isoformat(),
            "until": at("10:00").isoformat(),
            "same": 0,
            "moved": 0,
            "changed": 0,
            "added": 0,
            "removed": 1,
            "open": 0,
            "at_most": None,
        },
    }
    assert (after.document, after.last_good) == (before.document, before.last_good)
    assert due(rules, store.rules(), at("10:59")) == []
    assert due(rules, store.rules(), at("11:00")) == [rule]


@pytest.mark.parametrize(
    "said", ["much", {"compared_with": "other", "until": "2025-03-03T10:00:00Z"}, {"until": 3}, None]
)
def test_a_report_that_is_about_another_rule_or_spoilt_makes_it_due(store, said):
    RuleSource(store).refresh(at("09:00"))
    [_, record] = store.rules()
    store.report_rule("cart-again", {**record.report, "shadow": said}, record.last_good)
    assert [one.id for one in due([load(SHADOW)], store.rules(), at("10:01"))] == ["cart-again"]


def test_what_is_no_shadow_or_not_reported_on_yet_is_not_due(store):
    assert due([load(SHADOW)], store.rules(), at("10:00")) == []
    RuleSource(store).refresh(at("09:00"))
    draft = {**SHADOW, "status": "draft"}
    assert due([load(LIVE), load(draft)], store.rules(), at("10:00")) == []


def test_a_report_can_be_kept_as_json(store):
    found = compare_in(store, AGAIN, CART, at("09:00"), at("11:00"))
    assert msgspec.json.decode(msgspec.json.encode(found.report())) == found.report()


def waits(name, within, **fields):
    """The cart rule, or a shadow of it, with another wait."""
    trigger = {"not_performed": {"after": "Add", "none_of": ["Order"], "within": within}}
    shadow = {"status": "shadow", "shadow_of": "cart"} if name != "cart" else {}
    return a_rule(id=name, trigger=trigger, entry_key="properties.cart", **shadow, **fields)


def lived(store, documents, events, since="08:00", until="18:00"):
    """Both rules run from `since` on; what the engine decides lands in the ledger at that time. Returns both rules."""
    rules = [load(one) for one in documents]
    for rule, document in zip(rules, documents, strict=True):
        store.put_rule(rule.id, document, follow(None, "rule", rule.id, rule.version, document, at(since), "push"))
    engine = Engine(RuleBook(rules))
    for one in replay(engine, "u:ann", events, ms(until)).decisions:
        store.claim(one, one.decided_at, timedelta(minutes=1))
    return rules


def added(*clocks):
    return [an_event("Add", clock, properties={"cart": clock}) for clock in clocks]


def test_the_cap_that_the_live_mail_has_used_up_is_none_for_the_shadow(store):
    """In the place of the live rule it would have sent; its own mail uses up the cap for the one after that."""
    live, shadow = lived(store, [waits("cart", "15m"), waits("shadow", "15m")], added("09:00", "10:00"))
    outcomes = [one.decision.reason or one.decision.outcome for one in store.ledger_of_rule("shadow", at("08:00"), 9)]
    assert outcomes == ["frequency_capped", "frequency_capped"]  # the live rule goes first
    assert counts(compare_in(store, shadow, live, at("08:00"), at("18:00"))) == {"same": 2}


def test_a_shadow_that_has_just_begun_misses_nothing_of_what_was_before_it(store):
    cart, again = waits("cart", "15m", frequency_cap="off"), waits("again", "15m", frequency_cap="off")
    [live] = lived(store, [cart], added("09:00", "09:50"))
    shadow = load(again)
    store.put_rule("again", again, follow(None, "rule", "again", shadow.version, again, at("10:00"), "push"))
    found = compare_in(store, shadow, live, at("08:00"), at("18:00"))
    assert (counts(found), found.since, found.open) == ({}, at("10:00"), 1)  # the second cart was left before it began


def test_what_a_slower_shadow_has_not_decided_yet_is_open_and_not_removed(store):
    cart, again = waits("cart", "15m", frequency_cap="off"), waits("again", "45m", frequency_cap="off")
    live, shadow = lived(store, [cart, again], added("09:00", "17:30"))
    found = compare_in(store, shadow, live, at("08:00"), at("18:00"))
    assert (counts(found), found.open) == ({"moved": 1}, 1)
