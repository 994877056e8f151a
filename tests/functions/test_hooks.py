"""What providers report is kept, told and obeyed: with a real store, real Pub/Sub, and requests that are signed."""

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from msgspec.structs import replace

from functions.hooks import BODY_BYTES, Hooks
from tests.functions.mail_room import DEAD_LETTERS, EVENTS, MailRoom, ago
from tests.sends import a_decision
from tests.webhooks import requests
from tests.webhooks.requests import MAILGUN_KEY, POSTMARK_KEY, PROVIDERS, TOPIC, Request, about, basic, sample, signed
from tidings import sending
from tidings.adapters.pubsub import Message, Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.consent import address_digest, permission
from tidings.decisions import Decision
from tidings.errors import TemporaryError
from tidings.feedback import Feedback
from tidings.settings import SettingsError
from tidings.store import Letter
from tidings.tokens import sign_unsubscribe, unsubscribe_subject
from tidings.webhooks.clerk import AT_ONCE

ADDRESS = "ada@example.com"
LINKS = ("https://shop.example/lamp", "http://www.sendgrid.com/")
INBOUND_KEY = "postfix:another long pass-word"

HARD = {"sendgrid": "captured: bounce", "ses": "Bounce", "mailgun": "captured: no such account", "postmark": "Bounce"}
SPAM = {
    "sendgrid": "spamreport",
    "ses": "Complaint",
    "mailgun": "complained",
    "postmark": "SpamComplaint",
}
SOFT = {
    "sendgrid": "blocked",
    "ses": "Bounce, Permanent General 5.7.1",
    "mailgun": "failed, permanent, suppressed",
    "postmark": "Bounce, Blocked smtp;550 5.7.1 blocked",
}
DELIVERED = {"sendgrid": "delivered", "ses": "Delivery", "mailgun": "delivered", "postmark": "Delivery"}
LEFT = {
    "sendgrid": "unsubscribe",
    "ses": "Subscription",
    "mailgun": "unsubscribed",
    "postmark": "SubscriptionChange by the person",
}


def at_ada(provider: str, name: str, decision: Decision) -> Any:
    """A sample, as if it were about this mail to Ada."""
    recipient = {"noreply@example.com": ADDRESS, "jane@example.com": ADDRESS}
    text = json.dumps(sample(provider, name))
    for other, ours in recipient.items():
        text = text.replace(other, ours)
    return about(provider, json.loads(text), decision.send_id, ADDRESS)


class Amazon:
    """Amazon's side: a certificate, and what was confirmed."""

    def __init__(self) -> None:
        self.confirmed: list[str] = []
        self.is_away = False

    def certificate(self, url: str) -> bytes:
        if self.is_away:
            raise TemporaryError("away")
        return requests.certificate(url)

    def confirm(self, url: str) -> None:
        self.confirmed.append(url)


class HalfDeaf(Publisher):
    """Publishes once where it is heard, and then where it is not."""

    def __init__(self, *publishers: Publisher) -> None:
        self._left = list(publishers)

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self._left.pop(0).publish(topic, messages)


class Desk:
    """Hooks on the room's store. Every part can be replaced."""

    def __init__(self, room: MailRoom, **parts: Any) -> None:
        self.room = room
        self.now = datetime.now(UTC)
        self.amazon = Amazon()
        keys = {
            "sendgrid": requests.sendgrid_pair()[1],
            "ses": TOPIC,
            "mailgun": MAILGUN_KEY,
            "postmark": POSTMARK_KEY,
            "inbound": INBOUND_KEY,
        }
        settings = replace(room.settings, hooks=parts.pop("hooks", keys))
        parts = {"store": room.store, "publisher": room.publisher, "amazon": self.amazon, **parts}
        self._hooks = Hooks(settings, **parts, clock=lambda: self.now)
        self._app = flask.Flask("hooks")

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> flask.Response:
        with self._app.test_request_context(path, method=method, data=body, headers=dict(headers or {})):
            return self._hooks(flask.request)

    def bring(self, provider: str, content: Any) -> int:
        """Sign the content now and post it; the status."""
        return self.send(provider, signed(provider, content, self.now))

    def send(self, provider: str, request: Request) -> int:
        return self.post(f"/hooks/{provider}", *request).status_code

    def mail_in(self, mail: bytes, to: str = "") -> int:
        return self.post(f"/hooks/inbound?to={to}", mail, {"Authorization": basic(INBOUND_KEY)}).status_code


@pytest.fixture
def desk(room: MailRoom) -> Desk:
    return Desk(room)


@pytest.fixture
def sent(room: MailRoom) -> Decision:
    """A mail to Ada that the ledger knows to have been sent."""
    return a_sent_mail(room)


def a_sent_mail(room: MailRoom, provider: str = "sendgrid", **fields: Any) -> Decision:
    decision = a_decision(**fields)
    now = datetime.now(UTC)
    room.store.claim(decision, now, timedelta(minutes=1))
    digest = "" if decision.to != "person" else digest_of(room)
    letter = Letter(provider=provider, subject="Still looking?", links=LINKS, address_digest=digest)
    room.store.hand_over(decision.send_id, now, letter)
    room.store.finish(decision.send_id, "sent", now)
    return decision


def digest_of(room: MailRoom, address: str = ADDRESS) -> str:
    return address_digest(address, room.settings.secret)


def feedback(room: MailRoom, decision: Decision) -> list[Feedback]:
    return room.store.feedback(decision.person, decision.send_id)


def suppressed(room: MailRoom, address: str = ADDRESS) -> str | None:
    found = room.store.suppression(digest_of(room, address))
    return found.reason if found else None


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def counted(room: MailRoom, provider: str, at: datetime) -> dict[str, int]:
    return room.store.tallies([sending.tally_name(provider, at)])[0]


# What a report does


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_delivery_is_kept_and_told(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    assert desk.bring(provider, at_ada(provider, DELIVERED[provider], sent)) == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.source, kept.person) == ("delivered", provider, "u:ada")
    (event,) = room.events()
    assert (event.event, event.user_id, event.timestamp) == ("Email Delivered", "ada", kept.at)
    assert event.objects["properties"]["email_id"] == sent.send_id
    assert suppressed(room) is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_dead_address_is_never_mailed_again(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """Under its digest, and counted where the breaker looks."""
    assert desk.bring(provider, at_ada(provider, HARD[provider], sent)) == 200
    assert suppressed(room) == "bounced"
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail["permanent"]) == ("bounced", True)
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["permanent"]) == ("Email Bounced", True)
    assert counted(room, "sendgrid", desk.now) == {"hard_bounced": 1}
    second = a_decision(episode="e2")
    assert room.push(second) == 204
    assert room.ending(second)[:2] == ("suppressed", "suppressed_address")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_is_kept_and_told_and_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, provider: str
) -> None:
    assert desk.bring(provider, at_ada(provider, SOFT[provider], sent)) == 200
    assert [one.detail["permanent"] for one in feedback(room, sent)] == [False]
    assert [event.event for event in room.events()] == ["Email Bounced"]
    assert suppressed(room) is None
    assert counted(room, "sendgrid", desk.now) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_complaint_suppresses_and_withdraws(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """Whoever calls a mail spam has not agreed to it any more, whatever address they use."""
    assert desk.bring(provider, at_ada(provider, SPAM[provider], sent)) == 200
    assert suppressed(room) == "complained"
    assert permission("marketing", "reminders", room.store.consent("u:ada")) == "opted_out"
    record = room.store.consent("u:ada")[-1]
    assert (record.category, record.action, record.source) == ("marketing", "withdrawn", provider)
    assert sorted(str(event.event) for event in room.events()) == ["Email Marked as Spam", "Unsubscribed"]
    assert counted(room, "sendgrid", desk.now) == {"complained": 1}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_leaves_at_the_provider_has_left(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """One consent record and one event, and the address stays as it is."""
    assert desk.bring(provider, at_ada(provider, LEFT[provider], sent)) == 200
    assert permission("marketing", "cart", room.store.consent("u:ada")) == "opted_out"
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["source"]) == ("Unsubscribed", provider)
    assert [one.kind for one in feedback(room, sent)] == ["unsubscribed"]
    assert suppressed(room) is None


@pytest.mark.parametrize(
    ("provider", "name"), [("sendgrid", "group_unsubscribe"), ("ses", "Subscription of one topic")]
)
def test_who_leaves_one_group_leaves_one_category(
    desk: Desk, room: MailRoom, sent: Decision, provider: str, name: str
) -> None:
    assert desk.bring(provider, at_ada(provider, name, sent)) == 200
    records = room.store.consent("u:ada")
    assert permission("marketing", "reminders", records) == "opted_out"
    assert permission("marketing", "cart", records) is None


def test_a_deferral_is_kept_and_is_nobodys_business(desk: Desk, room: MailRoom, sent: Decision) -> None:
    assert desk.bring("ses", at_ada("ses", "DeliveryDelay", sent)) == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail) == ("deferred", {"status": "4.4.1", "verdict": "temporary"})
    assert room.events() == []


@pytest.mark.parametrize(
    ("provider", "name", "agent"),
    [
        ("sendgrid", "open that a machine made", "prefetch"),
        ("sendgrid", "open that no machine made", "unknown"),
        ("mailgun", "opened by generic", "scanner"),
        ("ses", "Open", "unknown"),
        ("postmark", "Open", "unknown"),
    ],
)
def test_what_a_provider_saw_of_opens_is_kept_and_moves_nothing(
    desk: Desk, room: MailRoom, sent: Decision, provider: str, name: str, agent: str
) -> None:
    """Nobody looked at who it was, so it counts for nobody."""
    assert desk.bring(provider, at_ada(provider, name, sent)) == 200
    (kept,) = room.store.feedback("u:ada", sent.send_id, origins=True)
    assert (kept.kind, kept.agent) == ("opened", agent)
    assert kept.origin is not None
    assert kept.origin.ip
    assert room.events() == []


def test_a_click_is_kept_by_the_number_of_our_link(desk: Desk, room: MailRoom, sent: Decision) -> None:
    assert desk.bring("sendgrid", at_ada("sendgrid", "click", sent)) == 200
    assert [one.detail for one in feedback(room, sent)] == [{"link": 2}]
    assert room.events() == []


def test_one_request_may_bring_everything_at_once(desk: Desk, room: MailRoom, sent: Decision) -> None:
    content = at_ada("sendgrid", "all in one request", sent)
    for number, event in enumerate(content):
        event["sg_event_id"] = str(number)
    assert desk.bring("sendgrid", content) == 200
    assert len(feedback(room, sent)) == 9


# Again, and again


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_report_that_comes_again_does_nothing_more(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    request = signed(provider, at_ada(provider, SPAM[provider], sent), desk.now)
    assert [desk.send(provider, request) for _ in range(3)] == [200, 200, 200]
    assert len(feedback(room, sent)) == 1
    assert len(room.events()) == 2
    assert counted(room, "sendgrid", desk.now) == {"complained": 1}


def test_a_bounce_that_is_told_by_two_ways_is_counted_once(desk: Desk, room: MailRoom, sent: Decision) -> None:
    """Amazon tells its topic, and sends a mail to the return path as well; the breaker must not see two."""
    for provider in ("sendgrid", "ses"):
        assert desk.bring(provider, at_ada(provider, HARD[provider], sent)) == 200
    assert len(feedback(room, sent)) == 2
    assert counted(room, "sendgrid", desk.now) == {"hard_bounced": 1}


def test_a_complaint_that_comes_again_does_not_undo_a_change_of_mind(
    desk: Desk, room: MailRoom, sent: Decision
) -> None:
    content = at_ada("postmark", "SpamComplaint", sent)
    desk.bring("postmark", content)
    desk.now += timedelta(hours=1)
    room.consent("u:ada", "marketing", given=True, at=desk.now)
    desk.now += timedelta(hours=1)
    assert desk.bring("postmark", content) == 200
    assert permission("marketing", "", room.store.consent("u:ada")) is None


def test_a_complaint_is_known_again_however_often_the_mail_was_opened_since(
    desk: Desk, room: MailRoom, sent: Decision
) -> None:
    content = at_ada("postmark", "SpamComplaint", sent)
    desk.bring("postmark", content)
    opened = Feedback(
        feedback_id="", person=sent.person, send_id=sent.send_id, at=desk.now, kind="opened", source="engage"
    )
    room.store.append_feedback([replace(opened, feedback_id=f"hit-{number}") for number in range(1001)])
    desk.now += timedelta(hours=1)
    room.consent("u:ada", "marketing", given=True, at=desk.now)
    desk.now += timedelta(hours=1)
    assert desk.bring("postmark", content) == 200
    assert permission("marketing", "", room.store.consent("u:ada")) is None


def test_of_a_long_request_that_fails_half_way_what_was_done_is_kept(
    desk: Desk, room: MailRoom, sent: Decision
) -> None:
    """A provider that waits no longer than its patience would otherwise begin with the first one again, for ever."""
    (delivered,) = at_ada("sendgrid", "delivered", sent)
    many = [{**delivered, "sg_event_id": f"event-{number}"} for number in range(AT_ONCE)]
    last = {**delivered, "sg_event_id": "last", "event": "group_unsubscribe"}
    deaf = Publisher("a-project-without-topics", timeout=1)
    half = Desk(room, publisher=HalfDeaf(room.publisher, deaf))
    assert half.bring("sendgrid", [*many, last]) == 503
    assert len(feedback(room, sent)) == AT_ONCE
    assert desk.bring("sendgrid", [*many, last]) == 200
    assert len(feedback(room, sent)) == AT_ONCE + 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_could_not_be_told_is_asked_for_again_and_then_told_once(
    room: MailRoom, sent: Decision, provider: str
) -> None:
    """503 until all of it is kept and published; the suppression holds from the first try on."""
    deaf = Desk(room, publisher=Publisher("a-project-without-topics", timeout=1))
    request = signed(provider, at_ada(provider, HARD[provider], sent), deaf.now)
    response = deaf.post(f"/hooks/{provider}", *request)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert suppressed(room) == "bounced"
    assert feedback(room, sent) == []
    later = Desk(room)
    assert [later.send(provider, request) for _ in range(2)] == [200, 200]
    assert len(room.events()) == 1
    assert len(feedback(room, sent)) == 1


def test_without_the_store_it_is_asked_for_again(room: MailRoom, sent: Decision) -> None:
    desk = Desk(room, store=SqliteStore(room.store_path, timeout=0.05))
    other = sqlite3.connect(room.store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    content = at_ada("postmark", "Bounce", sent)
    status = desk.bring("postmark", content)
    other.execute("ROLLBACK")
    other.close()
    assert status == 503
    assert desk.bring("postmark", content) == 200


def test_a_token_of_mailguns_is_good_for_one_body_only(desk: Desk, room: MailRoom, sent: Decision) -> None:
    """The signature does not cover the event. Who has seen one cannot put another event beside it."""
    seen = requests.sign_mailgun(at_ada("mailgun", "delivered", sent), desk.now, token="a token of fifty characters")
    assert desk.send("mailgun", seen) == 200
    forged = {**json.loads(seen.body), **at_ada("mailgun", "complained", sent)}
    assert desk.send("mailgun", Request(json.dumps(forged).encode(), {})) == 403
    assert desk.send("mailgun", Request(seen.body + b" ", {})) == 403
    assert suppressed(room) is None
    assert desk.send("mailgun", seen) == 200


def test_a_report_from_the_future_is_kept_as_of_now(desk: Desk, room: MailRoom, sent: Decision) -> None:
    content = at_ada("postmark", "Delivery", sent)
    assert desk.bring("postmark", {**content, "DeliveredAt": "2999-01-01T00:00:00.1234567Z"}) == 200
    assert feedback(room, sent)[0].at == desk.now


# Whose address


def test_a_bounce_at_another_address_suppresses_neither(desk: Desk, room: MailRoom, sent: Decision) -> None:
    """A mail that was passed on bounced where it was passed on to; the person's own address took it."""
    assert desk.bring("ses", about("ses", sample("ses", "notification: bounce with a DSN"), sent.send_id)) == 200
    assert (suppressed(room), suppressed(room, "jane@example.com")) == (None, None)
    assert [one.kind for one in feedback(room, sent)] == ["bounced"]


def test_of_two_in_one_bounce_ours_is_suppressed(desk: Desk, room: MailRoom, sent: Decision) -> None:
    content = at_ada("ses", "notification: bounce of two without a DSN", sent)
    assert desk.bring("ses", content) == 200
    assert (suppressed(room), suppressed(room, "richard@example.com")) == ("bounced", None)


def test_our_own_desk_is_never_suppressed_nor_unsubscribed(desk: Desk, room: MailRoom) -> None:
    """A mail to a role is about a person, and its bounce is not."""
    to_support = a_sent_mail(room, to="support", kind="transactional")
    for name in ("Bounce", "SpamComplaint", "SubscriptionChange by the person"):
        assert desk.bring("postmark", at_ada("postmark", name, to_support)) == 200
    assert suppressed(room) is None
    assert permission("marketing", "reminders", room.store.consent("u:ada")) is None
    assert room.events() == []
    assert len(feedback(room, to_support)) == 3


@pytest.mark.parametrize(
    ("name", "reason", "counts"),
    [
        ("Bounce, Permanent Suppressed", "bounced", {"hard_bounced": 1}),
        ("Bounce, Permanent OnAccountSuppressionList", None, {}),
    ],
)
def test_of_amazons_two_lists_the_one_for_all_its_customers_tells_of_a_dead_address(
    desk: Desk, room: MailRoom, sent: Decision, name: str, reason: str | None, counts: dict[str, int]
) -> None:
    """The account's own may be about a complaint, and tells of nothing new: who moves here would be stopped by it."""
    assert desk.bring("ses", at_ada("ses", name, sent)) == 200
    assert (suppressed(room), counted(room, "sendgrid", desk.now)) == (reason, counts)


# Mails that we do not know


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_report_about_an_unknown_mail_is_kept_as_a_dead_letter_without_an_address(
    desk: Desk, room: MailRoom, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be about somebody who was erased, so the address is digested; and nothing is logged but a count."""
    caplog.set_level(logging.INFO)
    unknown = a_decision(episode="never sent")
    assert desk.bring(provider, at_ada(provider, HARD[provider], unknown)) == 200
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason) == ("hooks", "unknown_send")
    said = json.loads(letter.data)
    assert (said["kind"], said["send_id"]) == ("bounced", unknown.send_id)
    assert said["address_digest"] == digest_of(room)
    assert ADDRESS not in letter.data.decode() + str(letter.attributes)
    assert room.events() == []
    assert suppressed(room) is None
    assert caplog.records[-1].__dict__["counts"] == {"unknown_send": 1}


def test_a_report_about_nobodys_mail_is_kept_as_well(desk: Desk, room: MailRoom) -> None:
    """Another system of the same account sends without our metadata."""
    assert desk.bring("sendgrid", sample("sendgrid", "bounce")) == 200
    (letter,) = room.dead_letters()
    assert json.loads(letter.data)["send_id"] == ""


def test_an_unreadable_event_is_kept_and_the_others_are_taken(desk: Desk, room: MailRoom, sent: Decision) -> None:
    assert desk.bring("sendgrid", [{"event": "open"}, *at_ada("sendgrid", "delivered", sent)]) == 200
    (letter,) = room.dead_letters()
    assert (letter.reason, letter.data) == ("unreadable", b'{"event":"open"}')
    assert len(feedback(room, sent)) == 1


# Who is let in


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_cannot_prove_to_be_the_provider_changes_nothing(
    desk: Desk, room: MailRoom, sent: Decision, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = signed(provider, at_ada(provider, SPAM[provider], sent), desk.now)
    forged = json.loads(request.body)
    if provider == "mailgun":
        forged["signature"]["token"] += "0"
    if provider == "ses":
        forged["Message"] = forged["Message"].replace("abuse", "fraud")
    headers = {name: value[:-3] + "AA=" for name, value in request.headers.items() if name != "Authorization"}
    response = desk.post(f"/hooks/{provider}", json.dumps(forged).encode(), headers)
    assert response.status_code == (401 if provider == "postmark" else 403)
    said = response.get_data(as_text=True) + caplog.text
    assert not any(word in said for word in (ADDRESS, "example.com", sent.send_id, "spam"))
    assert feedback(room, sent) == []
    assert suppressed(room) is None
    assert (room.events(), room.dead_letters()) == ([], [])


def test_an_old_request_is_not_taken_again(desk: Desk) -> None:
    """The age is checked although everything could be repeated at no harm."""
    request = signed("sendgrid", [], desk.now)
    desk.now += timedelta(hours=26)
    assert desk.send("sendgrid", request) == 403


@pytest.mark.parametrize("path", ["/hooks/sendgrid", "/hooks/postmark", "/hooks/inbound", "/hooks/", "/", "/hooks/x"])
def test_a_provider_without_a_key_is_not_there(room: MailRoom, path: str) -> None:
    desk = Desk(room, hooks={"mailgun": MAILGUN_KEY})
    assert desk.post(path, b"[]", {"Authorization": basic(POSTMARK_KEY)}).status_code == 404


def test_no_keys_at_all_is_said_in_the_log(room: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    Desk(room, hooks={})
    assert "TIDINGS_HOOKS is empty" in caplog.text


@pytest.mark.parametrize("hooks", [{"sendgrid": "no key"}, {"ses": "no topic"}, {"mailgunn": "a key"}])
def test_a_key_that_is_none_is_said_at_once(room: MailRoom, hooks: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_HOOKS"):
        Desk(room, hooks=hooks)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_not_for_webhooks(desk: Desk, method: str) -> None:
    response = desk.post("/hooks/mailgun", b"", method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_a_body_larger_than_any_is_refused(desk: Desk) -> None:
    assert desk.post("/hooks/mailgun", b"x" * (BODY_BYTES + 2000)).status_code == 413


@pytest.mark.parametrize("provider", ["mailgun", "ses"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 9999, b"\x1f\x8b broken gzip"])
def test_an_unreadable_body_is_said_to_be_unreadable(desk: Desk, provider: str, body: bytes) -> None:
    response = desk.post(f"/hooks/{provider}", body)
    assert response.status_code == 400
    assert response.get_json()["error"] == "unreadable"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_says_in_a_way_that_nobody_knows_is_kept(
    desk: Desk, room: MailRoom, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Amazon would not ask again after a 400, and the others would bring the same."""
    content = {"eventType": "Bounce", "RecordType": 7, "event-data": []}
    request = signed(provider, content, desk.now)
    assert desk.send(provider, request) == 200
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.data) == ("hooks", "unreadable", request.body)
    assert errors(caplog) == ["What a provider says cannot be read, and is kept as a dead letter"]


@pytest.mark.parametrize(
    ("path", "body", "labels"),
    [
        ("/hooks/ses", b"{", {"provider": "ses", "reason": "unreadable"}),
        ("/hooks/sendgrid", b"x" * (BODY_BYTES + 2000), {"provider": "sendgrid", "reason": "too_large"}),
        ("/hooks/ada@example.com", b"x" * (BODY_BYTES + 2000), {"provider": "none", "reason": "too_large"}),
        ("/hooks/postmark", b"{}", {"provider": "postmark", "reason": "bad_credentials"}),
        ("/hooks/mailgun", b"{}", {"provider": "mailgun", "reason": "not_set_up"}),
    ],
)
def test_every_report_that_is_refused_is_in_the_log(
    room: MailRoom, path: str, body: bytes, labels: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Who has set up a webhook there and not here would wonder for long where its reports are."""
    desk = Desk(room, hooks={"sendgrid": requests.sendgrid_pair()[1], "ses": TOPIC, "postmark": POSTMARK_KEY})
    assert desk.post(path, body).status_code >= 400
    assert [record.__dict__["labels"] for record in caplog.records] == [labels]


def test_a_guess_at_a_path_is_not_in_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    assert desk.post("/hooks/wp-login.php", b"").status_code == 404
    assert caplog.records == []


# Amazon's topic


def test_our_own_topic_is_confirmed(desk: Desk) -> None:
    more = {"Type": "SubscriptionConfirmation", "SubscribeURL": requests.SUBSCRIBE_URL, "Token": "2336412f37"}
    request = requests.sign_sns(requests.sns_message("You have chosen to subscribe", desk.now, **more))
    assert desk.send("ses", request) == 200
    assert desk.amazon.confirmed == [requests.SUBSCRIBE_URL]


def test_nobody_elses_topic_is_confirmed(desk: Desk) -> None:
    more = {"Type": "SubscriptionConfirmation", "SubscribeURL": requests.SUBSCRIBE_URL, "Token": "2336412f37"}
    message = {**requests.sns_message("You have chosen to subscribe", desk.now, **more), "TopicArn": TOPIC + "2"}
    assert desk.send("ses", requests.sign_sns(message)) == 403
    elsewhere = {**more, "SubscribeURL": "https://evil.example/?sns.us-west-2.amazonaws.com"}
    assert desk.send("ses", requests.sign_sns(requests.sns_message("You have chosen", desk.now, **elsewhere))) == 403
    assert desk.amazon.confirmed == []


def test_a_subscription_that_ends_is_said_in_the_log(
    desk: Desk, room: MailRoom, caplog: pytest.LogCaptureFixture
) -> None:
    """From then on bounces and complaints are heard of no more. Everybody who sees one message can end it."""
    more = {"Type": "UnsubscribeConfirmation", "SubscribeURL": requests.SUBSCRIBE_URL, "Token": "2336412f37"}
    request = requests.sign_sns(requests.sns_message("You have chosen to deactivate subscription", desk.now, **more))
    assert desk.send("ses", request) == 200
    assert desk.amazon.confirmed == []
    (said,) = errors(caplog)
    assert said.startswith("The subscription to the topic of Amazon SES has ended")


def test_when_amazon_is_away_it_is_asked_for_again(desk: Desk, sent: Decision) -> None:
    desk.amazon.is_away = True
    assert desk.bring("ses", at_ada("ses", "Bounce", sent)) == 503
    desk.amazon.is_away = False
    assert desk.bring("ses", at_ada("ses", "Bounce", sent)) == 200


# Mail that comes in


def bounce(decision: Decision, status: str = "5.1.1") -> bytes:
    """What a mail server says of a mail to Ada."""
    return (
        f"Return-Path: <>\r\nTo: bounces+{decision.send_id}@mail.shop.example\r\n"
        "From: MAILER-DAEMON@mx.example.com\r\nMessage-Id: <bounce.1@mx.example.com>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n"
        f"Final-Recipient: rfc822; {ADDRESS}\r\nAction: failed\r\nStatus: {status}\r\n\r\n--b--\r\n"
    ).encode()


def test_a_bounce_mail_is_a_report_like_any_other(desk: Desk, room: MailRoom) -> None:
    sent = a_sent_mail(room, provider="smtp")
    assert [desk.mail_in(bounce(sent)) for _ in range(2)] == [200, 200]
    assert suppressed(room) == "bounced"
    assert [(one.kind, one.source) for one in feedback(room, sent)] == [("bounced", "smtp")]
    assert [event.event for event in room.events()] == ["Email Bounced"]
    assert counted(room, "smtp", desk.now) == {"hard_bounced": 1}


@pytest.mark.parametrize("status", ["4.7.1", "5.7.1", "5.2.2", "5.1.8", "5.0.0"])
def test_a_bounce_mail_about_anything_but_the_mailbox_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, status: str
) -> None:
    assert desk.mail_in(bounce(sent, status)) == 200
    assert [one.detail["permanent"] for one in feedback(room, sent)] == [False]
    assert suppressed(room) is None


@pytest.mark.parametrize("plus", ["%2B", "+"])
def test_a_bounce_in_no_known_format_is_kept_and_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, plus: str
) -> None:
    """A shell script may well forget to quote the plus."""
    odd = b"From: MAILER-DAEMON@mx.example.com\r\n\r\nSorry, no such user: ada@example.com\r\n"
    assert desk.mail_in(odd, to=f"bounces{plus}{sent.send_id}@mail.shop.example") == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail) == ("bounced", {})
    assert suppressed(room) is None


def test_a_mail_that_unsubscribes_unsubscribes(desk: Desk, room: MailRoom, sent: Decision) -> None:
    token = sign_unsubscribe("u:ada", "reminders", sent.send_id, room.settings.secret)
    mail = f"From: {ADDRESS}\r\nSubject: Re: {unsubscribe_subject(token)}\r\n\r\n".encode()
    assert [desk.mail_in(mail) for _ in range(2)] == [200, 200]
    assert permission("marketing", "reminders", room.store.consent("u:ada")) == "opted_out"
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["source"]) == ("Unsubscribed", "mailto")
    assert room.dead_letters() == []


def test_a_mail_that_unsubscribes_brings_nobody_back_who_was_erased(desk: Desk, room: MailRoom, sent: Decision) -> None:
    token = sign_unsubscribe("u:ada", "reminders", sent.send_id, room.settings.secret)
    room.forget("u:ada", at=ago(minutes=0))
    assert desk.mail_in(f"From: {ADDRESS}\r\nSubject: {unsubscribe_subject(token)}\r\n\r\n".encode()) == 200
    assert room.store.consent("u:ada") == []
    assert room.events() == room.dead_letters() == []


def test_a_mail_with_a_forged_token_changes_nothing_and_is_kept(desk: Desk, room: MailRoom) -> None:
    token = sign_unsubscribe("u:ada", "reminders", "", "another secret of the right length")
    mail = f"From: {ADDRESS}\r\nSubject: {unsubscribe_subject(token)}\r\n\r\n".encode()
    assert desk.mail_in(mail) == 200
    assert permission("marketing", "reminders", room.store.consent("u:ada")) is None
    assert [letter.reason for letter in room.dead_letters()] == ["unknown_mail"]


def test_an_automatic_answer_is_counted_and_forgotten(
    desk: Desk, room: MailRoom, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert desk.mail_in(b"From: ada@example.com\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n") == 200
    assert (room.messages(EVENTS), room.messages(DEAD_LETTERS)) == ([], [])
    assert caplog.records[-1].__dict__["counts"] == {"automatic": 1}


def test_a_mail_from_a_person_is_kept_whole(desk: Desk, room: MailRoom) -> None:
    """Somebody may want to read it; nothing here does."""
    mail = b"From: ada@example.com\r\nSubject: Green?\r\n\r\nDo you have it in green?\r\n"
    assert desk.mail_in(mail) == 200
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.data) == ("hooks", "unknown_mail", mail)


def test_mail_is_taken_from_our_own_mail_server_only(desk: Desk, room: MailRoom, sent: Decision) -> None:
    response = desk.post("/hooks/inbound", bounce(sent), {"Authorization": basic(POSTMARK_KEY)})
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Basic realm="webhooks"')
    assert suppressed(room) is None


# As it is deployed


def test_the_function_reads_its_keys_from_the_environment(
    room: MailRoom, sent: Decision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDINGS_HOOKS", f"sendgrid={requests.sendgrid_pair()[1]}, postmark={POSTMARK_KEY}")
    request = signed("sendgrid", at_ada("sendgrid", "delivered", sent), datetime.now(UTC))
    hooks = room.client("hooks")
    assert hooks.post("/hooks/sendgrid", data=request.body, headers=dict(request.headers)).status_code == 200
    assert hooks.post("/hooks/mailgun", data=b"{}").status_code == 404
    assert len(feedback(room, sent)) == 1
