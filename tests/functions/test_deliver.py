"""The mailer through the Functions Framework, on a real store, a real mail server and a real Pub/Sub."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec
import pytest
from msgspec.structs import replace

from functions.deliver import Mailer
from tests.functions.mail_room import MailRoom, ago, envelope
from tests.sends import NOW, a_decision
from tests.support import eventually
from tidings.adapters.pubsub import Message, ensure_subscription
from tidings.permission.consent import address_digest
from tidings.settings import SettingsError
from tidings.wire import decisions
from tidings.wire.decisions import Trigger

ADDRESS = "ada@example.com"


# One decision, one mail


def test_a_decision_becomes_a_mail(room: MailRoom) -> None:
    """Envelope, headers and body are the person's; the ledger says sent."""
    decision = a_decision()
    assert room.push(decision) == 204
    (mail,) = room.mail.mails
    assert (mail.sender, mail.recipients) == ("hello@shop.example", [ADDRESS])
    assert mail.parsed["Message-ID"] == f"<{decision.send_id}@shop.example>"
    assert mail.parsed["Subject"] == "Still thinking about Harbour desk lamp?"
    assert "Hello Ada," in next(mail.parsed.iter_parts()).get_content()
    assert room.ending(decision) == ("sent", None, "")
    assert room.dead_letters() == []


def test_the_same_decision_again_is_acknowledged_and_not_sent_again(room: MailRoom) -> None:
    """Pub/Sub delivers at least once; a person gets the mail once."""
    decision = a_decision()
    assert [room.push(decision) for _ in range(3)] == [204, 204, 204]
    assert len(room.mail.mails) == 1
    assert room.entry(decision).attempts == 1


def test_ten_deliveries_at_the_same_time_send_one_mail(room: MailRoom) -> None:
    """One worker wins; the others ask for the message again, and then learn that it is done."""
    decision = a_decision()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: room.push(decision), range(10)))
    assert set(answers) <= {204, 503}
    assert 204 in answers
    assert [room.push(decision) for _ in range(10)] == [204] * 10
    assert len(room.mail.mails) == 1


def test_instances_that_share_a_store_share_the_ledger(room: MailRoom) -> None:
    """What one instance sent, another one knows."""
    decision = a_decision()
    assert room.push(decision) == 204
    body = envelope(decisions.encode(decision), {"schema": decisions.SCHEMA})
    assert room.client("deliver").post("/", data=body).status_code == 204
    assert len(room.mail.mails) == 1


def test_every_decision_about_a_person_is_a_mail_of_its_own(room: MailRoom) -> None:
    """Ids are derived from content, and the content differs."""
    assert [room.push(a_decision(episode=episode)) for episode in ("e1", "e2")] == [204, 204]
    first, second = (mail.parsed["Message-ID"] for mail in room.mail.mails)
    assert first != second


def test_pubsub_itself_delivers_until_it_is_told_that_it_is_done(room: MailRoom) -> None:
    """Over HTTP, from the topic of sends, through a mail server that wants to be asked twice."""
    decision = a_decision()
    room.mail.answers["RCPT"] = ["450 4.2.0 greylisted"]
    room.open_topic("sends")
    with room.served("deliver") as url:
        ensure_subscription(room.project, "deliver", "sends", push_endpoint=url)
        message = Message(decisions.encode(decision), {"schema": decisions.SCHEMA})
        room.publisher.publish("sends", [message, message])
        eventually(lambda: room.mail.mails and room.ending(decision)[0] == "sent")
        ensure_subscription(room.project, "deliver", "sends")
    assert len(room.mail.mails) == 1


# Decisions that are no mail


def test_a_shadow_decision_is_recorded_and_not_sent(room: MailRoom) -> None:
    """A rule that is being tried out writes to nobody."""
    decision = a_decision(outcome="shadow")
    assert [room.push(decision), room.push(decision)] == [204, 204]
    assert room.ending(decision) == ("shadow", None, "")
    assert room.mail.mails == []


def test_a_suppressed_decision_is_recorded_with_its_reason(room: MailRoom) -> None:
    """What the engine held back is in the ledger as well."""
    decision = a_decision(outcome="suppressed", reason="frequency_capped")
    assert room.push(decision) == 204
    assert room.ending(decision) == ("suppressed", "frequency_capped", "")
    assert room.mail.mails == []


# Address, suppression, consent


def test_a_young_decision_waits_for_the_profile(room: MailRoom) -> None:
    """The pipeline writes the profile at about the same time; a minute is enough, and nothing is lost meanwhile."""
    decision = a_decision("u:grace", decided_at=ago(seconds=1))
    assert room.push(decision) == 503
    room.meet("u:grace", "grace@example.com")
    assert room.push(decision) == 204
    assert [mail.recipients for mail in room.mail.mails] == [["grace@example.com"]]


def test_an_old_decision_waits_no_longer(room: MailRoom) -> None:
    """Nobody to write to, and the ledger says what was missing."""
    nobody = a_decision("u:nobody", decided_at=ago(seconds=61))
    room.meet("u:grace", None)
    without = a_decision("u:grace", decided_at=ago(seconds=61))
    assert [room.push(nobody), room.push(without)] == [204, 204]
    assert room.ending(nobody) == ("suppressed", "missing_address", "no profile")
    assert room.ending(without) == ("suppressed", "missing_address", "no email trait")


@pytest.mark.parametrize(
    "email", ["ada@example.com\r\nBcc: eve@example.com", "ada", "a@b.example, c@d.example", 7, ["ada@example.com"]]
)
def test_what_is_no_address_gets_no_mail(room: MailRoom, email: object) -> None:
    """Traits come from browsers, and an address with a line end in it is an attack."""
    room.meet("u:eve", email)
    decision = a_decision("u:eve")
    assert room.push(decision) == 204
    assert room.ending(decision) == ("suppressed", "missing_address", "not an address")
    assert room.mail.mails == []


def test_a_suppressed_address_gets_no_mail_of_any_kind(room: MailRoom) -> None:
    """However it is written, and although the person agreed."""
    room.store.suppress(address_digest("ADA@example.com", room.settings.secret), "bounced", ago(days=1))
    marketing, receipt = a_decision(), a_decision(episode="e2", kind="transactional")
    assert [room.push(marketing), room.push(receipt)] == [204, 204]
    assert room.ending(marketing) == room.ending(receipt) == ("suppressed", "suppressed_address", "")
    assert room.mail.mails == []


def test_nobody_who_never_agreed_gets_marketing_mail(room: MailRoom) -> None:
    """No consent, no marketing mail; a receipt needs none."""
    room.meet("u:grace", "grace@example.com", agreed=False)
    marketing = a_decision("u:grace")
    receipt = a_decision("u:grace", episode="e2", kind="transactional", template="welcome")
    assert [room.push(marketing), room.push(receipt)] == [204, 204]
    assert room.ending(marketing) == ("suppressed", "no_consent", "")
    assert room.ending(receipt) == ("sent", None, "")


def test_consent_withdrawn_between_decision_and_delivery_counts(room: MailRoom) -> None:
    """It is checked again at the last moment."""
    decision = a_decision(decided_at=ago(minutes=5))
    room.consent("u:ada", "reminders", given=False, at=ago(minutes=1))
    assert room.push(decision) == 204
    assert room.ending(decision) == ("suppressed", "opted_out", "")
    assert room.mail.mails == []


def test_the_address_is_looked_at_before_consent(room: MailRoom) -> None:
    """Of two reasons the ledger keeps the first in the order address, suppression, consent."""
    room.meet("u:grace", "grace@example.com", agreed=False)
    room.store.suppress(address_digest("grace@example.com", room.settings.secret), "bounced", ago(days=1))
    decision = a_decision("u:grace")
    assert room.push(decision) == 204
    assert room.ending(decision) == ("suppressed", "suppressed_address", "")


# Templates


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"properties": {}}, "product-reminder/subject.txt, line 1: 'dict object' has no attribute 'name'"),
        ({"template": "no-such-message"}, "no-such-message: there is no no-such-message/subject.txt"),
        ({"template": "../welcome"}, "../welcome: there is no ../welcome/subject.txt"),
    ],
)
def test_a_mail_that_cannot_be_rendered_is_dead_lettered(
    room: MailRoom, fields: dict[str, object], detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It can never succeed, so it is not tried again; somebody is told, and the decision can be replayed."""
    decision = a_decision(**fields)
    assert room.push(decision) == 204
    assert room.ending(decision) == ("dead_lettered", "render_failed", detail)
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.detail) == ("deliver", "render_failed", detail)
    assert decisions.decode(letter.data) == decision
    assert letter.attributes == {"schema": decisions.SCHEMA}
    assert [record.levelname for record in caplog.records if "cannot be rendered" in record.message] == ["ERROR"]
    assert room.push(decision) == 204
    assert (room.dead_letters(), room.mail.mails) == ([], [])


@pytest.mark.parametrize("kind", ["marketing", "transactional"])
def test_an_event_that_cannot_be_read_is_dead_lettered_and_not_tried_again(room: MailRoom, kind: str) -> None:
    """A number that fits nowhere came all the way: no try will ever make it fit."""
    trigger = Trigger(name="Product Viewed", timestamp=NOW, properties=msgspec.Raw(b'{"price":1e999}'))
    decision = a_decision(event=trigger, kind=kind)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    status, reason, detail = room.ending(decision)
    assert (status, reason) == ("dead_lettered", "render_failed")
    assert detail.startswith("event.properties: Number out of range")
    (letter,) = room.dead_letters()
    assert (letter.reason, letter.detail) == ("render_failed", detail)
    assert decisions.decode(letter.data) == decision
    assert room.mail.mails == []


# The mail server


def test_a_temporary_failure_is_tried_again(room: MailRoom) -> None:
    """4xx before or after the mail's content is a clean no: the next try begins afresh."""
    decision = a_decision()
    room.mail.answers["RCPT"] = ["450 4.2.0 greylisted"]
    room.mail.answers["MAIL DATA"] = ["452 4.3.1 out of space"]
    assert [room.push(decision) for _ in range(4)] == [503, 503, 204, 204]
    assert len(room.mail.mails) == 1
    assert room.ending(decision) == ("sent", None, "")
    assert room.entry(decision).attempts == 3


def test_an_address_that_does_not_exist_is_never_tried_again(room: MailRoom) -> None:
    """5.1.1 goes on the suppression list, so the next mail does not reach the mail server."""
    first, second = a_decision(), a_decision(episode="e2")
    room.mail.answers["RCPT"] = ["550 5.1.1 no such user"]
    assert [room.push(first), room.push(second)] == [204, 204]
    assert room.ending(first) == ("suppressed", "suppressed_address", "the mail server says: RCPT 550 5.1.1")
    assert room.ending(second) == ("suppressed", "suppressed_address", "")
    assert room.mail.mails == []


def test_a_mailbox_that_is_closed_today_may_be_open_tomorrow(room: MailRoom) -> None:
    """5.2.1 ends this mail, and not the address."""
    first, second = a_decision(), a_decision(episode="e2")
    room.mail.answers["RCPT"] = ["550 5.2.1 mailbox disabled"]
    assert [room.push(first), room.push(second)] == [204, 204]
    assert room.ending(first) == ("suppressed", "suppressed_address", "the mail server says: RCPT 550 5.2.1")
    assert room.ending(second) == ("sent", None, "")


@pytest.mark.parametrize(
    ("command", "answer"), [("RCPT", "554 5.7.1 policy"), ("MAIL DATA", "554 5.7.1 spam"), ("MAIL", "550 5.7.1 no")]
)
def test_a_refusal_by_policy_is_dead_lettered_and_not_held_against_the_address(
    room: MailRoom, command: str, answer: str
) -> None:
    """5.7.x speaks of the mail or of us."""
    first, second = a_decision(), a_decision(episode="e2")
    room.mail.answers[command] = [answer]
    assert [room.push(first), room.push(second)] == [204, 204]
    (letter,) = room.dead_letters()
    assert (letter.reason, decisions.decode(letter.data)) == ("refused", first)
    assert room.ending(first)[0] == "dead_lettered"
    assert room.ending(second) == ("sent", None, "")


# Messages that are not ours


NAIVE = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001
NOT_OURS = [
    (b"", {}),
    (b"not json", {"schema": decisions.SCHEMA}),
    (b"\xff\xfe", {"schema": decisions.SCHEMA}),
    (b"[" * 5000, {"schema": decisions.SCHEMA}),
    (b"{}", {"schema": decisions.SCHEMA}),
    (decisions.encode(a_decision()), {}),
    (decisions.encode(a_decision()), {"schema": "tidings.decision.v9"}),
    (decisions.encode(a_decision(send_id="x" * 32)), {"schema": decisions.SCHEMA}),
    (decisions.encode(a_decision(send_id="0" * 31 + "\n")), {"schema": decisions.SCHEMA}),
    (decisions.encode(a_decision(decided_at=NAIVE)), {"schema": decisions.SCHEMA}),
    (decisions.encode(a_decision(event=Trigger(name="Viewed", timestamp=NAIVE))), {"schema": decisions.SCHEMA}),
    (decisions.encode(a_decision(events=(Trigger(name="Viewed", timestamp=NAIVE),))), {"schema": decisions.SCHEMA}),
]


@pytest.mark.parametrize(("data", "attributes"), NOT_OURS)
def test_what_is_no_decision_is_dead_lettered_as_it_came(
    room: MailRoom, data: bytes, attributes: dict[str, str]
) -> None:
    """It is acknowledged, because trying again would not make it one, and kept, because somebody sent it."""
    assert room.push_message(data, attributes).status_code == 204
    (letter,) = room.dead_letters()
    assert (letter.step, letter.reason, letter.data, letter.attributes) == (
        "deliver",
        "not_a_decision",
        data,
        attributes,
    )
    assert (room.store.ledger(), room.mail.mails) == ([], [])


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"message": {"data": "not base64!"}}', b"\xff", b"[" * 5000])
def test_what_is_no_push_request_is_dead_lettered_too(room: MailRoom, body: bytes) -> None:
    """The whole body is the letter then."""
    assert room.push_body(body).status_code == 204
    (letter,) = room.dead_letters()
    assert (letter.reason, letter.data) == ("not_a_decision", body)


def test_only_post_delivers(room: MailRoom) -> None:
    """A browser that finds the address changes nothing."""
    response = room.client("deliver").get("/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


# Settings


@pytest.mark.parametrize(
    ("missing", "variable"), [({"secret": ""}, "TIDINGS_SECRET"), ({"mail_from": "Northwind"}, "TIDINGS_MAIL_FROM")]
)
def test_a_mailer_that_could_never_send_is_not_built(room: MailRoom, missing: dict[str, str], variable: str) -> None:
    """The operator hears of it before the first decision is touched, by the name of the variable."""
    with pytest.raises(SettingsError, match=variable):
        Mailer(replace(room.settings, **missing), room.store, room.publisher, room.sender)


# What is said about it


def test_no_log_line_says_who_it_was(room: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    """Outcomes are counted, and people are not named: no address, no name, no id, no token."""
    caplog.set_level(logging.DEBUG)
    room.mail.answers["RCPT"] = ["450 4.1.1 <ada@example.com> is busy", "550 5.1.1 <ada@example.com> is unknown"]
    for decision in (a_decision(), a_decision(), a_decision(episode="e2"), a_decision(episode="e3", properties={})):
        room.push(decision)
    room.store.update_profiles([])
    room.meet("u:ada2", "other@example.com")
    other = a_decision("u:ada2", template="no-such-message")
    room.push(other)
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    outcomes = [record.labels["outcome"] for record in ours if hasattr(record, "labels") and "outcome" in record.labels]
    assert outcomes == ["suppressed_address", "suppressed_address", "suppressed_address", "render_failed"]
    said = " ".join(f"{record.getMessage()} {getattr(record, 'labels', '')}" for record in ours)
    for secret in (ADDRESS, "other@", "Ada", "u:ada", a_decision().send_id, room.settings.secret):
        assert secret not in said
