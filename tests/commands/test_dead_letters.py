"""`tidings dead-letters`, as an operator types it whom an alert has called."""

import json
import re
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from tests.commands.letter_desk import EVENT, SENDS, letter_desk
from tests.functions.mail_room import EVENTS, ago
from tests.sends import a_decision
from tidings.adapters.pubsub_server import PubSubServer
from tidings.commands.exits import Exit
from tidings.errors import PublishError
from tidings.ingest import intake
from tidings.ingest.tracking import Arrival, track
from tidings.ingest.tracking_body import Body
from tidings.mailing.ledger import OUTCOME_UNKNOWN
from tidings.permission.consent import address_digest
from tidings.records.store import Letter
from tidings.webhooks.reports import Report
from tidings.wire import decisions, topics
from tidings.wire.decisions import SCHEMA

LEASE = timedelta(minutes=1)
MOVED = {
    "schema": SCHEMA,
    "CloudPubSubDeadLetterSourceDeliveryCount": "20",
    "CloudPubSubDeadLetterSourceSubscription": "tidings-sends-deliver",
    "CloudPubSubDeadLetterSourceSubscriptionProject": "shop",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-01T12:00:00.000Z",
}


@pytest.fixture(scope="module")
def pubsub():
    with PubSubServer() as address:
        yield address


@pytest.fixture
def desk(tmp_path, pubsub, capsys):
    with letter_desk(tmp_path, pubsub, capsys) as one:
        yield one


def ended(desk, status="dead_lettered", reason=None, detail="", **fields):
    """A decision that has ended in the ledger."""
    decision = a_decision(**fields)
    held = desk.room.store.claim(decision, ago(minutes=2), LEASE).entry
    desk.room.store.finish(held, status, ago(minutes=2), reason, detail)
    return decision


def an_event(**fields):
    return track(json.dumps(EVENT | fields).encode(), Body(items=[]), Arrival(received_at=ago(minutes=5)), Counter())


# list, show, drop


def test_letters_are_counted_by_step_and_reason_and_stay_where_they_are(desk):
    assert desk.run("list")[:2] == (Exit.GOOD, "There are no dead letters.\n")
    for number in range(3):
        desk.bury("collect", "no_person", b"{}", at=ago(hours=number, minutes=1))
    desk.bury(
        "deliver", "render_failed", b"secret@example.com", {"userId": "ada"}, detail="no variable x", at=ago(days=2)
    )
    for _ in range(2):
        code, out, _ = desk.run("list")
        assert code == Exit.GOOD
        assert re.search(r"collect +no_person +3 ", out)
        assert re.search(r"\d+ +2d +deliver +render_failed +no variable x", out)
        assert "secret" not in out
        assert "ada" not in out
    told = json.loads(desk.run("list", "--json", "--limit", "1")[1])
    assert (told["letters"], [kind["count"] for kind in told["kinds"]], len(told["newest"])) == (4, [3, 1], 1)


def test_letters_are_chosen_by_step_reason_id_and_age(desk):
    for step, reason, hours in (("collect", "no_person", 0), ("decode", "no_person", 1), ("decode", "bad_time", 48)):
        desk.bury(step, reason, b"{}", at=ago(hours=hours, minutes=1))
    assert desk.listed() == [("collect", "no_person"), ("decode", "no_person"), ("decode", "bad_time")]
    assert desk.listed("--step", "decode", "--reason", "no_person") == [("decode", "no_person")]
    assert desk.listed("--reason", "no_person", "--reason", "bad_time", "--newer-than", "1h") == [
        ("collect", "no_person")
    ]
    assert desk.listed("--older-than", "30m", "--newer-than", "1d") == [("decode", "no_person")]
    assert desk.listed("--id", *desk.ids("bad_time")) == [("decode", "bad_time")]


def test_what_somebody_else_has_put_there_is_seen_and_can_be_dropped(desk):
    desk.room.publisher.publish(desk.room.settings.dead_letters_topic, [topics.Message(b"hello")])
    assert desk.listed() == [("unknown", "not_a_dead_letter")]
    assert desk.replayed("--all")[0]["stays"] == "nobody knows where a letter of the step unknown came from"
    assert desk.run("drop", "--step", "unknown", "--yes")[:2] == (Exit.GOOD, "1 dead letter dropped\n")
    assert desk.listed() == []


def test_one_letter_is_shown_and_its_payload_only_to_who_asks_for_it(desk):
    desk.bury_event(properties={"email": "bob@example.com"})
    [letter_id] = desk.ids("no_person")
    code, out, _ = desk.run("show", letter_id)
    assert code == Exit.GOOD
    assert re.search(r"^replay +goes to events$", out, re.MULTILINE)
    assert "bob" not in out
    assert json.loads(desk.run("show", letter_id, "--payload")[1])["userId"] == "bob"
    assert desk.room.messages(EVENTS) == [], "nothing was done"
    code, _, err = desk.run("show", "12")
    assert (code, err) == (Exit.REFUSED, "12: there is no such dead letter, or somebody else looks at it right now\n")


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_nothing_is_done_to_all_letters_unless_somebody_says_all(desk, command):
    desk.bury_event()
    assert desk.run(command)[0] == Exit.USAGE
    assert desk.run(command, "--all", "--step", "collect")[0] == Exit.USAGE
    assert desk.run(command, "--all", "--dry-run")[0] == Exit.GOOD
    assert desk.listed() == [("collect", "no_person")]
    assert desk.room.messages(EVENTS) == []


def test_nothing_is_dropped_unasked(desk):
    desk.bury_event()
    assert desk.run("drop", "--reason", "unreadable")[0] == Exit.REFUSED
    code, _, err = desk.run("drop", "--reason", "no_person")
    assert code == Exit.USAGE
    assert "Drop 1 dead letter for good?" in err
    assert desk.listed() == [("collect", "no_person")]


# replay: events


def test_an_event_that_the_front_door_would_take_by_now_goes_to_the_pipeline(desk):
    """Without its write key, as it was kept; with the type of its path and the time of its receipt."""
    received = ago(hours=1)
    said = {"type": "track", "sentAt": ago(hours=1).isoformat(), "globalPrivacyControl": "true"}
    data = json.dumps({name: value for name, value in EVENT.items() if name != "type"}).encode()
    desk.bury("collect", "id_too_long", data, said, at=received)
    assert desk.replayed("--step", "collect") == [
        {"step": "collect", "reason": "id_too_long", "to": "events", "stays": ""}
    ]
    [message] = desk.room.messages(EVENTS)
    event = intake.read_message(*message)
    assert (event.user_id, event.message_id, event.type, event.received_at) == ("bob", "m-1", "track", received)
    assert event.read("context") == {"globalPrivacyControl": True}
    assert (message.attributes["messageId"], desk.listed()) == ("m-1", [])


def test_an_event_that_is_still_bad_stays_and_says_why(desk):
    """Whether the front door would refuse it, or the decoder behind it."""
    desk.bury_event(userId="")
    desk.bury_event(event="Consent Given", properties={"category": 5})
    code, out, _ = desk.run("replay", "--all")
    assert code == Exit.REFUSED
    assert "1 dead letter of collect, no_person: not replayed: no_person: neither userId nor anonymousId" in out
    assert "1 dead letter of collect, no_person: not replayed: bad_consent: " in out
    assert (len(desk.listed()), desk.room.messages(EVENTS)) == (2, [])


@pytest.mark.parametrize(("step", "reason"), [("decode", "bad_consent"), ("decide", "engine_failed")])
def test_an_event_that_the_pipeline_could_not_use_goes_there_again_as_a_copy(desk, step, reason):
    """Dataflow would drop a messageId that it has just seen among the attributes; the engine goes by the event's."""
    message = topics.of_event(an_event())
    desk.bury(step, reason, *message)
    assert [one["to"] for one in desk.replayed("--reason", reason)] == ["events"]
    [replayed] = desk.room.messages(EVENTS)
    assert (replayed.data, replayed.attributes["copyOf"]) == (message.data, "m-1")
    assert replayed.attributes["messageId"] != "m-1"
    assert intake.read_message(*replayed).message_id == "m-1"


def test_an_event_that_other_rules_have_counted_is_not_counted_again(desk):
    desk.bury("decide", "type_mismatch", *topics.of_event(an_event()), detail="rule a: price is no number")
    [one] = desk.replayed("--all")
    assert "under another messageId" in one["stays"]
    desk.bury("decode", "not_ours", b"{}", {"schema": "theirs"})
    assert desk.replayed("--step", "decode")[0]["stays"].startswith("not_ours: ")


def test_what_was_cut_off_cannot_be_replayed(desk):
    """Pub/Sub takes ten million bytes."""
    desk.bury("decode", "unreadable", b'"' + b"x" * 9_600_000)
    assert desk.replayed("--all")[0]["stays"] == "it was too large to be kept whole"
    assert "cut off" in desk.run("show", *desk.ids("unreadable"))[1]


def test_nobody_who_was_erased_comes_back_by_a_dead_letter(desk):
    desk.bury_event(at=ago(hours=1))
    desk.bury_send(ended(desk, reason="render_failed", person="u:bob"), "render_failed")
    desk.room.forget("u:bob", at=ago(seconds=-1))
    assert {one["stays"][:37] for one in desk.replayed("--all")} == {"it speaks of somebody who was erased:"}
    assert (desk.room.messages(EVENTS), desk.room.messages(SENDS)) == ([], [])


# replay: sends


@pytest.mark.parametrize("reason", ["render_failed", "refused", "unknown_role", "gave_up"])
def test_a_mail_that_has_not_gone_out_is_opened_again_and_goes_to_the_mailer(desk, reason):
    decision = ended(desk, reason="render_failed" if reason == "render_failed" else None, detail="no variable x")
    desk.bury_send(decision, reason)
    assert [one["to"] for one in desk.replayed("--reason", reason)] == ["sends"]
    [message] = desk.room.messages(SENDS)
    assert decisions.read_message(*message) == decision
    entry = desk.room.entry(decision)
    assert entry.status == "waiting"
    assert entry.reopened_from.endswith("no variable x")
    assert desk.room.push(decision) == 204
    assert (desk.room.entry(decision).status, len(desk.room.mail.mails), desk.listed()) == ("sent", 1, [])


def test_a_mail_that_may_have_gone_out_is_sent_again_only_by_who_accepts_that(desk):
    """What counts is the ledger: a letter of an earlier failure says nothing about a later one."""
    decision = ended(desk, detail=OUTCOME_UNKNOWN)
    for reason in ("outcome_unknown", "render_failed"):
        desk.bury_send(decision, reason)
        desk.bury_send(a_decision(episode="expired"), reason)
    told = {(one["reason"], one["to"], one["stays"][:20]) for one in desk.replayed("--all")}
    doubt = "it may have gone out"
    assert told == {("outcome_unknown", "", doubt), ("render_failed", "", doubt), ("render_failed", "sends", "")}
    desk.room.messages(SENDS)
    assert {one["to"] for one in desk.replayed("--all", "--even-if-it-may-have-gone-out")} == {"sends"}
    assert (desk.room.entry(decision).repeats, len(desk.room.messages(SENDS))) == (1, 3)


def test_a_letter_whose_send_has_ended_since_goes_away(desk):
    desk.bury_send(ended(desk, "sent"), "render_failed")
    code, out, _ = desk.run("replay", "--all")
    assert (code, out) == (
        Exit.GOOD,
        "1 dead letter of deliver, render_failed: went away, for the send has ended since\n",
    )
    assert (desk.listed(), desk.room.messages(SENDS)) == ([], [])


def test_a_send_that_pubsub_moved_by_itself_goes_on_from_where_it_was(desk):
    decision = a_decision()
    desk.room.store.claim(decision, ago(minutes=2), LEASE)
    letter = topics.Message(decisions.encode(decision), MOVED)
    desk.room.publisher.publish(desk.room.settings.dead_letters_topic, [letter])
    assert desk.replayed("--step", "pubsub") == [
        {"step": "pubsub", "reason": "undeliverable", "to": "sends", "stays": ""}
    ]
    [message] = desk.room.messages(SENDS)
    assert desk.room.push_message(*message).status_code == 204
    assert desk.room.entry(decision).status == "sent"


def test_who_dies_before_a_letter_is_taken_away_replays_it_again_and_one_mail_goes_out(desk, monkeypatch):
    """The letter is still there; what was replayed is known by its send id."""
    decision = ended(desk, reason="render_failed")
    desk.bury_send(decision, "render_failed")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("tidings.adapters.pubsub_sifting._Held.take", die)
        assert desk.run("replay", "--all")[0] == Exit.INTERRUPTED
    assert [one["to"] for one in desk.replayed("--all")] == ["sends"]
    messages = desk.room.messages(SENDS)
    assert len(messages) == 2
    assert [desk.room.push_message(*one).status_code for one in messages] == [204, 204]
    assert len(desk.room.mail.mails) == 1


def test_a_send_that_was_opened_and_not_published_is_woken_by_the_sweep(desk, monkeypatch):
    decision = ended(desk, reason="render_failed")
    desk.bury_send(decision, "render_failed")

    def fail(*_):
        raise PublishError("tidings-sends: ServiceUnavailable")

    with monkeypatch.context() as away:
        away.setattr("tidings.adapters.pubsub.Publisher.publish", fail)
        code, out, err = desk.run("replay", "--all")
    assert (code, out, err) == (Exit.LATER, "", "tidings-sends: ServiceUnavailable\n")
    assert desk.listed() == [("deliver", "render_failed")]
    assert desk.room.client("deliver").post("/sweep").status_code == 204
    assert len(desk.room.messages(SENDS)) == 1


# replay: what came back about mail


def test_a_report_about_a_mail_that_the_ledger_knows_by_now_is_carried_out(desk):
    """The digest that was kept in place of the address says whether it is about the one that we wrote to."""
    room = desk.room
    digest = address_digest("ada@example.com", room.settings.secret)
    decision = a_decision()
    report = Report(
        provider="ses", event_id="e1", kind="bounced", at=ago(hours=1), send_id=decision.send_id,
        verdict="dead_address", address_digest=digest,
    )  # fmt: skip
    desk.bury("hooks", "unknown_send", msgspec.json.encode(report))
    assert desk.replayed("--all")[0]["stays"] == "the ledger still does not know the mail that it is about"
    held = room.store.claim(decision, ago(minutes=2), LEASE).entry
    room.store.hand_over(held, ago(minutes=2), Letter(provider="ses", address_digest=digest))
    room.store.finish(held, "sent", ago(minutes=2))
    assert [one["to"] for one in desk.replayed("--step", "hooks")] == ["reports"]
    assert room.store.suppression(digest).reason == "bounced"
    assert [event.event for event in room.events()] == ["Email Bounced"]
    assert desk.listed() == []


def test_a_mail_that_is_understood_by_now_is_carried_out_and_any_other_stays(desk):
    decision = ended(desk, "sent")
    bounce = b"From: MAILER-DAEMON@mx.example\r\nSubject: failure\r\n\r\nno such user\r\n"
    desk.bury("hooks", "unknown_mail", bounce, {"to": f"bounces+{decision.send_id}@mail.shop.example"})
    desk.bury("hooks", "unknown_mail", b"Subject: Green?\r\n\r\nDo you have it in green?\r\n")
    told = sorted((one["to"], one["stays"]) for one in desk.replayed("--reason", "unknown_mail"))
    assert told == [("", "it is still no bounce, and nothing else that is understood"), ("reports", "")]
    assert [one.kind for one in desk.room.store.feedback("u:ada", decision.send_id)] == ["bounced"]


def test_a_webhook_or_a_part_of_one_that_can_be_read_by_now_is_carried_out(desk):
    decision = ended(desk, "sent")
    item = {"event": "delivered", "sg_event_id": "s1", "timestamp": 1772000000, "tidings_send_id": decision.send_id}
    for data in (item, [item], [[]], {"event": "delivered"}, 5):
        desk.bury("hooks", "unreadable", json.dumps(data).encode(), {"provider": "sendgrid"})
    desk.bury("hooks", "unreadable", b"{", {"provider": "postmark"})
    desk.bury("hooks", "unreadable", json.dumps(item).encode())
    told = Counter((one["to"], one["stays"]) for one in desk.replayed("--all"))
    assert told == {
        ("reports", ""): 2,
        ("", "it still cannot be read"): 3,
        ("", "unreadable: the body cannot be read: DecodeError"): 1,
        ("", "it does not say of which provider it is"): 1,
    }
    assert [one.kind for one in desk.room.store.feedback("u:ada", decision.send_id)] == ["delivered"]
