"""Who is let in to report something, and what is said to everybody else."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from functions.hooks import BODY_BYTES
from tests.functions.desk import ADDRESS, SPAM, Desk, at_ada, errors, feedback, suppressed
from tests.functions.mail_room import MailRoom
from tests.webhooks import requests
from tests.webhooks.requests import MAILGUN_KEY, POSTMARK_KEY, PROVIDERS, TOPIC, basic, signed
from tidings.settings import SettingsError
from tidings.wire.decisions import Decision

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
