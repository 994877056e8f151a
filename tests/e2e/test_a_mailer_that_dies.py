"""The mailer is killed at each step of its work, in a process of its own, in mid-sentence to the mail server.

docs/sends-once.md promises what happens then; this is where it is shown.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.e2e.mailer import ANSWERED, CLAIMED, RECORDED
from tests.sends import SETTINGS, a_decision
from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher, pull
from tidings.adapters.pubsub_server import PubSubServer
from tidings.adapters.sqlite_store import SqliteStore
from tidings.local import topology
from tidings.local.ports import free_port
from tidings.mailing.ledger import FINAL
from tidings.records.store import ConsentRecord, ProfileUpdate
from tidings.settings import Settings
from tidings.wire import dead_letter, decisions, events
from tidings.wire.decisions import Decision

LEASE = 6
BEFORE, AFTER = "before-the-mail", "after-the-mail"
"""Where the mail server falls silent: before it has the mail, or when it has it and ought to say so."""


class SilentAtFirst:
    """A mail server that falls silent once in its first conversation about each recipient. aiosmtpd calls `handle_`."""

    def __init__(self) -> None:
        self.message_ids: list[str] = []
        self.silent: set[str] = set()

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        envelope.rcpt_tos.append(address)
        await self._fall_silent(address, BEFORE)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.message_ids.append(str(message_from_bytes(envelope.content)["Message-ID"]))
        await self._fall_silent(envelope.rcpt_tos[0], AFTER)
        return "250 OK"

    async def _fall_silent(self, address: str, where: str) -> None:
        if where in address and address not in self.silent:
            self.silent.add(address)
            await asyncio.Event().wait()  # until the other side is gone


class Office(Settings, frozen=True, kw_only=True):
    """The settings of the mailers, and where they listen."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        """For their processes."""
        names = ("store", "mail_url", "secret", "public_url", "mail_from", "postal_address")
        return {f"TIDINGS_{name.upper()}": getattr(self, name) for name in names}


@contextmanager
def mailer(office: Office, *stand_still: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One process; killed without warning at the end."""
    command = [sys.executable, "-m", "tests.e2e.mailer", str(office.port), str(LEASE), *map(str, stand_still)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def mail_server() -> Iterator[tuple[SilentAtFirst, str]]:
    """The server, and its URL."""
    silent, port = SilentAtFirst(), free_port()
    controller = Controller(silent, hostname="127.0.0.1", port=port)
    controller.start()
    yield silent, f"smtp://127.0.0.1:{port}?tls=none"
    controller.stop()


def asked_for(store: SqliteStore, where: str, kind: str) -> Decision:
    """A decision to write to somebody who is known, and has agreed."""
    person, now = f"u:{where}-{kind}", datetime.now(UTC)
    traits = {"email": f"{kind}@{where}.example", "first_name": "Ada"}
    store.update_profiles([ProfileUpdate(person=person, at=now, traits=traits)])
    agreed = ConsentRecord(record_id="1", person=person, category="marketing", action="given", at=now, source="import")
    store.record_consent([agreed])
    template = "welcome" if kind == "transactional" else "product-reminder"
    return a_decision(person, kind=kind, template=template, decided_at=now)


def test_a_mailer_that_is_killed_at_any_step_sends_nothing_twice_that_it_may_not_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mail_server: tuple[SilentAtFirst, str]
) -> None:
    server, url = mail_server
    known = {name: getattr(SETTINGS, name) for name in ("secret", "public_url", "mail_from", "postal_address")}
    office = Office(port=free_port(), mail_url=url, store=f"sqlite:{tmp_path}/store.db", **known)
    store, stopped = SqliteStore(f"{tmp_path}/store.db"), tmp_path / "stopped"
    stopped.mkdir()
    with PubSubServer() as address:
        for name, value in {"PUBSUB_EMULATOR_HOST": address, **office.environment}.items():
            monkeypatch.setenv(name, value)
        topology.prepare(office, f"http://127.0.0.1:{office.port}/deliver")
        asked = {
            (where, kind): asked_for(store, where, kind)
            for where in (CLAIMED, BEFORE, AFTER, ANSWERED, RECORDED)
            for kind in ("marketing", "transactional")
        }
        messages = [Message(decisions.encode(one), {"schema": decisions.SCHEMA}) for one in asked.values()]
        with mailer(office, stopped):
            Publisher(office.project).publish(office.sends_topic, messages)
            eventually(lambda: len(server.silent) + len([*stopped.iterdir()]) == len(asked))  # all are in mid-sentence
        told = pull(office.project, topology.events_subscription(office), 100)
        assert told == []
        with mailer(office):
            eventually(lambda: [one.status in FINAL for one in store.ledger()] == [True] * len(asked), seconds=60)
            sent = {one.send_id for one in store.ledger() if one.status == "sent"}
            eventually(lambda: sent <= _emails_told(office, told), seconds=60)
        letters = pull(office.project, f"{office.dead_letters_topic}-inspect", 100)

    copies = Counter(message_id.strip("<>").partition("@")[0] for message_id in server.message_ids)
    endings = {
        about: (copies[one.send_id], entry.status, entry.detail.partition(":")[0])
        for about, one in asked.items()
        if (entry := store.ledger_entry(one.send_id))
    }
    once, in_doubt, the_one_named_case = (1, "sent", ""), (1, "dead_lettered", "outcome unknown"), (2, "sent", "")
    assert endings == {
        (CLAIMED, "marketing"): once,
        (CLAIMED, "transactional"): once,
        (BEFORE, "marketing"): once,
        (BEFORE, "transactional"): once,
        (AFTER, "marketing"): in_doubt,
        (AFTER, "transactional"): the_one_named_case,  # the same Message-ID both times
        (ANSWERED, "marketing"): in_doubt,
        (ANSWERED, "transactional"): the_one_named_case,
        (RECORDED, "marketing"): once,
        (RECORDED, "transactional"): once,
    }
    assert _emails_told(office, told, more=False) == sent
    found = [dead_letter.read(*letter) for letter in letters]
    assert {one.reason for one in found} == {"outcome_unknown"}
    of_letters = sorted(decisions.decode(one.data).send_id for one in found)
    assert of_letters == sorted(asked[about].send_id for about, how in endings.items() if how == in_doubt)
    store.close()


def _emails_told(office: Office, told: list[Message], *, more: bool = True) -> set[str]:
    """The send ids of every `Email Sent` so far; what comes new is added to `told`."""
    if more:
        told += pull(office.project, topology.events_subscription(office), 100, wait=0.1)
    found = [events.decode(message.data) for message in told]
    assert {event.event for event in found} <= {"Email Sent"}
    return {str(msgspec.json.decode(event.properties)["email_id"]) for event in found}
