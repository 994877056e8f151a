"""Reports that come again, that come half, or whose mail nobody knows: nothing is lost, and nothing counts twice."""

import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.functions.desk import ADDRESS, HARD, SPAM, Desk, HalfDeaf, at_ada, counted, digest_of, feedback, suppressed
from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tests.webhooks import requests
from tests.webhooks.requests import PROVIDERS, Request, sample, signed
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.permission.consent import permission, person_digest
from tidings.records.feedback import Feedback
from tidings.webhooks.clerk import AT_ONCE
from tidings.wire.decisions import Decision, without_person

# Again, and again


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_report_that_comes_again_does_nothing_more(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    request = signed(provider, at_ada(provider, SPAM[provider], sent), desk.now)
    assert [desk.send(provider, request) for _ in range(3)] == [200, 200, 200]
    assert len(feedback(room, sent)) == 1
    assert len(room.events()) == 2
    assert counted(room, "sendgrid", desk.now) == {"complained": 1}


def test_a_report_that_comes_twice_in_one_request_is_one(
    desk: Desk, room: MailRoom, sent: Decision, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    content = at_ada("sendgrid", HARD["sendgrid"], sent)
    assert desk.bring("sendgrid", content * 2) == 200
    assert (len(feedback(room, sent)), len(room.events())) == (1, 1)
    assert caplog.records[-1].__dict__["counts"] == {"bounced": 1, "repeated": 1}


def test_an_address_is_suppressed_as_of_when_it_bounced(desk: Desk, room: MailRoom, sent: Decision) -> None:
    """And never as of later than now, whatever a clock there says."""
    content = at_ada("postmark", "Bounce", sent)
    assert desk.bring("postmark", {**content, "BouncedAt": "2026-01-02T03:04:05Z"}) == 200
    known = room.store.suppression(digest_of(room))
    assert known is not None
    assert known.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


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


def test_a_report_about_what_is_left_of_an_erased_persons_mail_is_nobodys(desk: Desk, room: MailRoom) -> None:
    """The ledger may remember that there was something; whose it was it does not know."""
    erased = without_person(a_decision(), person_digest("u:ada", room.settings.secret))
    held = room.store.claim(erased, desk.now, timedelta(minutes=1)).entry
    room.store.finish(held, "suppressed", desk.now, "erased")
    assert desk.bring("ses", at_ada("ses", "Complaint", erased)) == 200
    assert [letter.reason for letter in room.dead_letters()] == ["unknown_send"]
    assert (room.events(), feedback(room, erased), room.store.consent(erased.person)) == ([], [], [])


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
