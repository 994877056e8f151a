"""The pipeline as it runs on one machine: real Pub/Sub protocol, real store, a process that is killed."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.people import an_event
from tests.pipeline.live import Live
from tests.support import eventually
from tidings.adapters.pubsub import Message
from tidings.adapters.pubsub_server import PubSubServer
from tidings.deciding import erasure
from tidings.permission.consent import address_digest, is_erased
from tidings.records.store import ERASED

RULES = Path(__file__).parents[2] / "rules"


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Fifteen minutes are one second here."""
    with PubSubServer(path=None) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        live = Live(tmp_path, time_scale=900)
        for path in RULES.glob("*.yaml"):
            live.store.put_rule(path.stem, yaml.safe_load(path.read_text()))
        yield live
        live.store.close()


def now(ahead: float = 0.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=ahead)


def added(who, when=None, **more):
    return an_event("Product Added", when or now(), user_id=who, properties={"cart_id": f"cart of {who}", **more})


def ordered(who, when=None):
    return an_event("Order Completed", when or now(), user_id=who, properties={"cart_id": f"cart of {who}"})


def test_events_become_sends_profiles_consent_activity_and_dead_letters(live):
    with live.pipeline():
        live.publish(
            an_event("", now(), type="identify", user_id="ann", traits={"email": "ann@shop.example", "plan": "pro"}),
            an_event("Consent Given", now(), user_id="ann", properties={"words": "Yes, write to me"}),
            an_event("Signed Up", now(), user_id="ann"),
            added("ann"),
        )
        live.publish_raw(
            Message(b"not ours", {}),
            Message(b"broken", {"schema": "tidings.event.v1"}),
        )
        eventually(lambda: sorted(live.sends()) == [("cart-abandoned", "u:ann"), ("welcome", "u:ann")], seconds=40)
        assert sorted(eventually(live.dead_letters)) == ["not_ours", "unreadable"]
        profile = live.store.profile("u:ann")
        assert profile.traits == {"email": "ann@shop.example", "plan": "pro"}
        [record] = live.store.consent("u:ann")
        assert (record.given, record.category, record.words) == (True, "marketing", "Yes, write to me")
        labels = eventually(
            lambda: len(found := {(one.kind, one.label) for one in live.store.activity("u:ann")}) == 6 and found
        )
        assert ("event", "Signed Up") in labels
        assert ("decision", "cart-abandoned") in labels


def test_after_a_pause_the_backlog_is_read_before_anything_is_called_missing(live):
    """The order lies behind six hundred other messages, and the deadline has long passed by the clock on the wall."""
    live.publish(added("ann"), added("bob"))
    live.publish(*(an_event("Noise", now(), user_id=f"p{number}") for number in range(600)))
    live.publish(ordered("ann"))
    time.sleep(2)  # the deadline, one second of event time, passes while nobody looks: that is the test
    with live.pipeline():
        eventually(lambda: ("cart-abandoned", "u:bob") in live.sends(), seconds=40)
        live.publish(added("eve"))
        eventually(lambda: ("cart-abandoned", "u:eve") in live.sends(), seconds=40)
    assert sorted(live.sends()) == [("cart-abandoned", "u:bob"), ("cart-abandoned", "u:eve")]


def test_killing_the_pipeline_loses_no_decision_and_a_repeat_has_the_same_identity(live):
    with live.pipeline():
        live.publish(an_event("Signed Up", now(), user_id="first"))
        eventually(lambda: ("welcome", "u:first") in live.sends())
        live.publish(*(an_event("Signed Up", now(), user_id=f"p{number}") for number in range(50)))
    with live.pipeline():
        eventually(lambda: len(set(live.sends())) == 51, seconds=60)
    by_person = {
        one.person: {other.send_id for other in live.decided if other.person == one.person} for one in live.decided
    }
    assert all(len(ids) == 1 for ids in by_person.values())


def test_an_edit_changes_what_happens_and_a_bad_edit_is_reported_on_the_document(live):
    rule = yaml.safe_load((RULES / "welcome.yaml").read_text())
    with live.pipeline():
        edited = {**rule, "trigger": {"performed": {"event": "Account Created"}}}
        live.store.put_rule("welcome", edited)
        eventually(lambda: by_id(live, "welcome").last_good == edited, seconds=10)
        live.publish(an_event("Account Created", now(), user_id="ann"))
        eventually(lambda: ("welcome", "u:ann") in live.sends(), seconds=10)

        live.store.put_rule(
            "welcome", {**rule, "trigger": {"performed": {"event": "Account Created", "within": "soon"}}}
        )
        report = eventually(
            lambda: (found := by_id(live, "welcome").report) and not found["valid"] and found, seconds=10
        )
        assert report["faults"][0]["path"] == "trigger.performed.within"
        assert report["faults"][0]["value"] == "soon"
        live.publish(an_event("Account Created", now(), user_id="bob"))
        eventually(lambda: ("welcome", "u:bob") in live.sends(), seconds=10)


def test_who_is_erased_is_forgotten_by_the_running_pipeline_and_does_not_come_back_by_an_import(
    live, monkeypatch, tmp_path
):
    """Their cart brings no mail, nothing is written for the erasure, and their address stays out of the store."""
    secret, address = "a secret of the tests", "ann@shop.example"
    monkeypatch.setenv("TIDINGS_SECRET", secret)
    live.store.suppress(address_digest(address, secret), ERASED, now())
    with live.pipeline():
        live.publish(added("ann"))
        live.publish_raw(erasure.message("u:ann", now()))
        live.publish(added("bob"))
        eventually(lambda: ("cart-abandoned", "u:bob") in live.sends(), seconds=40)
        import_ = {"type": "identify", "user_id": "ann", "traits": {"email": address.upper(), "username": address}}
        live.publish(an_event("", now(), **import_), added("ann"))
        eventually(lambda: ("cart-abandoned", "u:ann") in live.sends(), seconds=40)
        assert sorted(live.sends()) == [("cart-abandoned", "u:ann"), ("cart-abandoned", "u:bob")]
        assert live.dead_letters() == []
        labels = [one.label for one in live.store.activity("u:ann") if one.kind == "event"]
    assert sorted(labels) == ["Product Added", "identify"]
    traits = live.store.profile("u:ann").traits
    assert is_erased(traits["email"])
    assert traits["username"] == traits["email"]
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert address.encode() not in kept.lower()


def test_what_somebody_did_before_we_knew_them_becomes_theirs(live):
    """Address, consent, cart and two looks while unknown; then an identify; then what the same browser does alone."""
    looks = {"properties": {"product_id": "lamp", "name": "Lamp"}}
    with live.pipeline():
        live.publish(
            an_event("", now(), type="identify", anonymous_id="x", traits={"email": "ann@shop.example"}),
            an_event("Consent Given", now(), anonymous_id="x", properties={"words": "Yes, write to me"}),
            an_event("Product Added", now(), anonymous_id="x", properties={"cart_id": "c1", "name": "Lamp"}),
            *(an_event("Product Viewed", now(), anonymous_id="x", **looks) for _ in range(2)),
            an_event("", now(), type="identify", user_id="ann", anonymous_id="x"),
            an_event("Product Viewed", now(), user_id="ann", **looks),
        )
        mails = {("cart-abandoned", "u:ann"), ("product-viewed-three-times", "u:ann")}
        eventually(lambda: mails <= {*live.sends()}, seconds=40)
        assert live.store.profile("u:ann").traits == {"email": "ann@shop.example"}
        assert [one.given for one in live.store.consent("u:ann")] == [True]
        live.publish(an_event("Product Added", now(), anonymous_id="x", properties={"cart_id": "c2", "name": "Rug"}))
        eventually(lambda: [one.entry_key for one in live.decided if live.sends()][-1] == "c2", seconds=40)
    assert {one.person for one in live.decided} == {"u:ann"}
    first_mails = [one.entry_key for one in live.decided if one.rule_id == "cart-abandoned" and one.step == 0]
    assert sorted(set(first_mails)) == ["c1", "c2"]
    assert len({one.send_id for one in live.decided}) == len(live.decided)


def by_id(live, rule_id):
    return next(one for one in live.store.rules() if one.rule_id == rule_id)
