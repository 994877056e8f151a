"""The desk where reports about mail come in: hooks on a mail room, and samples that are about a mail of ours."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from msgspec.structs import replace

from functions.hooks import Hooks
from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tests.webhooks import requests
from tests.webhooks.requests import MAILGUN_KEY, POSTMARK_KEY, TOPIC, Request, about, basic, sample, signed
from tidings.adapters.pubsub import Message, Publisher
from tidings.errors import TemporaryError
from tidings.mailing import sending
from tidings.permission.consent import address_digest
from tidings.records.feedback import Feedback
from tidings.records.store import Letter
from tidings.wire.decisions import Decision

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


def a_sent_mail(room: MailRoom, provider: str = "sendgrid", **fields: Any) -> Decision:
    decision = a_decision(**fields)
    now = datetime.now(UTC)
    held = room.store.claim(decision, now, timedelta(minutes=1)).entry
    digest = "" if decision.to != "person" else digest_of(room)
    letter = Letter(provider=provider, subject="Still looking?", links=LINKS, address_digest=digest)
    room.store.hand_over(held, now, letter)
    room.store.finish(held, "sent", now)
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
