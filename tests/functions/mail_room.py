"""Everything that the mailer and the unsubscribe pages stand on, for real: store, Pub/Sub, mail server, framework."""

import base64
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import functions_framework
import pytest
from msgspec.structs import replace
from werkzeug.serving import make_server
from werkzeug.test import Client, TestResponse

import functions
from tests.mail_server import MailServer
from tests.sends import SETTINGS, a_decision
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.sqlite_store import SqliteStore
from tidings.permission.consent import address_digest, person_digest
from tidings.records.store import Activity, Claim, ConsentRecord, LedgerEntry, Letter, ProfileUpdate, Receipt, Store
from tidings.settings import Settings
from tidings.wire import dead_letter, decisions, events
from tidings.wire.dead_letter import DeadLetter
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

SOURCE = Path(functions.__file__).parent / "main.py"
EVENTS, DEAD_LETTERS = "tidings-events", "tidings-dead-letters"
SUPPORT = "help@shop.example"
"""Who is behind the role `support`."""


def ago(**duration: float) -> datetime:
    """An instant in the past, by the clock that the functions read."""
    return datetime.now(UTC) - timedelta(**duration)


class MailRoom:
    """One installation. `client("deliver")` is a function instance of it; `store` is what they all share."""

    def __init__(self, folder: Path, mail: MailServer, environ: pytest.MonkeyPatch) -> None:
        self.mail = mail
        self.project = f"test-{uuid.uuid4().hex[:12]}"
        self.store_path = str(folder / "store.db")
        self.store = SqliteStore(self.store_path)
        self.settings = Settings(
            project=self.project,
            store=f"sqlite:{self.store_path}",
            mail_url=mail.url,
            secret=SETTINGS.secret,
            public_url=SETTINGS.public_url,
            mail_from=SETTINGS.mail_from,
            postal_address=SETTINGS.postal_address,
            templates=SETTINGS.templates,
            roles={"support": SUPPORT},
        )
        environ.setenv("GOOGLE_CLOUD_PROJECT", self.project)
        for name in ("store", "mail_url", "secret", "public_url", "mail_from", "postal_address"):
            environ.setenv(f"TIDINGS_{name.upper()}", getattr(self.settings, name))
        environ.setenv("TIDINGS_ROLES", f"support={SUPPORT}, night-shift = nobody")
        for topic in (EVENTS, DEAD_LETTERS):
            self.open_topic(topic)
        self.publisher = Publisher(self.project)
        self.sender = SmtpSender(mail.url)
        self._deliver = self.client("deliver")

    def open_topic(self, topic: str) -> None:
        """Create the topic and a subscription that keeps what is published to it."""
        ensure_topic(self.project, topic)
        ensure_subscription(self.project, topic, topic)

    def client(self, target: str) -> Client:
        """A new instance of one function, as the Functions Framework builds it."""
        app = functions_framework.create_app(target, source=str(SOURCE), signature_type="http")
        client: Client = app.test_client()
        return client

    @contextmanager
    def served(self, target: str) -> Iterator[str]:
        """One function on a free port of this machine; gives its URL."""
        app = functions_framework.create_app(target, source=str(SOURCE), signature_type="http")
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def meet(self, person: str, email: object, *, agreed: bool = True, days: float = 30) -> None:
        """Let the store know a person: their address, so many days ago, and their consent to marketing mail."""
        traits = {"email": email, "first_name": "Ada"}
        self.store.update_profiles([ProfileUpdate(person=person, at=ago(days=days), traits=traits)])
        if agreed:
            self.consent(person, "marketing", given=True, at=ago(hours=1))

    def consent(self, person: str, category: str, *, given: bool, at: datetime, confirmed: bool = False) -> None:
        """Record one word on consent; `confirmed` says that it came from the mailbox itself."""
        record_id = f"{category}:{at.isoformat()}:{given}:{confirmed}"
        record = ConsentRecord(
            record_id=record_id,
            person=person,
            category=category,
            action="confirmed" if confirmed else "given" if given else "withdrawn",
            at=at,
            source="import",
        )
        self.store.record_consent([record])

    def forget(self, person: str, *, at: datetime) -> None:
        """Carry an erasure out, as far as the store goes: first the receipt, by which everybody knows of it."""
        digest = person_digest(person, self.settings.secret)
        kept = Receipt(
            receipt_id=f"erasure-{digest}-{at.isoformat()}", kind="erasure", person_digest=digest, at=at, counts={},
            requested_by="operator",
        )  # fmt: skip
        self.store.put_receipt(kept)
        self.store.erase_person(person)

    def remember(self, person: str, *labels: str, at: datetime) -> None:
        """Put events into a person's activity feed, a second apart, the last of them at `at`."""
        lines = []
        for number, label in enumerate(reversed(labels)):
            when = at - timedelta(seconds=number)
            activity_id = f"e-{label}-{when.isoformat()}"
            lines.append(Activity(activity_id=activity_id, person=person, at=when, kind="event", label=label))
        self.store.append_activity(lines)

    def push(self, decision: Decision) -> int:
        """Deliver a decision as Pub/Sub would, and return the HTTP status."""
        return self.push_message(decisions.encode(decision), {"schema": decisions.SCHEMA}).status_code

    def push_message(self, data: bytes, attributes: Mapping[str, str]) -> TestResponse:
        """Deliver any message as Pub/Sub would."""
        return self.push_body(envelope(data, attributes))

    def push_body(self, body: bytes) -> TestResponse:
        """POST anything to the mailer."""
        return self._deliver.post("/", data=body, content_type="application/json")

    def ending(self, decision: Decision) -> tuple[str, str | None, str]:
        """How the ledger says that the decision ended, or how far it has come."""
        entry = self.entry(decision)
        return entry.status, entry.reason, entry.detail

    def entry(self, decision: Decision) -> LedgerEntry:
        """The ledger's entry."""
        entry = self.store.ledger_entry(decision.send_id)
        assert entry is not None
        return entry

    def dead_letters(self) -> list[DeadLetter]:
        """What was dead-lettered since the last call."""
        return [dead_letter.read(*message) for message in self._drain(DEAD_LETTERS)]

    def events(self) -> list[Event]:
        """The events published since the last call."""
        return [events.decode(message.data) for message in self.messages(EVENTS)]

    def messages(self, topic: str) -> list[Message]:
        """The messages published to a topic since the last call."""
        return self._drain(topic)

    def _drain(self, subscription: str) -> list[Message]:
        found: list[Message] = []
        while batch := pull(self.project, subscription, 100, wait=0.1):
            found += batch
        return found


def posted(store: Store, secret: str, person: str, send_id: str) -> None:
    """Keep in the ledger that a mail went to the person, at the address that they have now, if they have one."""
    if (profile := store.profile(person)) is None:
        return
    decision = replace(a_decision(person), send_id=send_id)
    answer, held = store.claim(decision, ago(minutes=5), timedelta(minutes=1))
    if answer is Claim.GRANTED:
        digest = address_digest(profile.traits["email"], secret)
        store.hand_over(held, ago(minutes=5), Letter(provider="smtp", address_digest=digest))
        store.finish(held, "sent", ago(minutes=5))


def envelope(data: bytes, attributes: Mapping[str, str], attempt: int = 0) -> bytes:
    """The body of a push request (https://cloud.google.com/pubsub/docs/push); attempts are counted from 1, or not."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": "1"}
    counted = {"deliveryAttempt": attempt} if attempt else {}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s", **counted}).encode()


@contextmanager
def mail_room(folder: Path, pubsub: str) -> Iterator[MailRoom]:
    """One installation on the Pub/Sub at `pubsub`, with a mail server of its own."""
    with pytest.MonkeyPatch.context() as environ, MailServer() as mail:
        environ.setenv("PUBSUB_EMULATOR_HOST", pubsub)
        room = MailRoom(folder, mail, environ)
        yield room
        room.store.close()
