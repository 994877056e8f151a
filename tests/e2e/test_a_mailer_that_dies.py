"""The mailer is killed in the middle of a sentence to the mail server, in a process of its own."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.sends import SETTINGS, a_decision
from tests.support import eventually
from tidings import dead_letter, decisions
from tidings.adapters.pubsub import Message, Publisher, pull
from tidings.adapters.pubsub_server import PubSubServer
from tidings.adapters.sqlite_store import SqliteStore
from tidings.decisions import Decision
from tidings.ledger import FINAL
from tidings.local import topology
from tidings.local.ports import free_port
from tidings.settings import Settings
from tidings.store import ConsentRecord, ProfileUpdate

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
def mailer(office: Office) -> Iterator["subprocess.Popen[bytes]"]:
    """One process; killed without warning at the end."""
    process = subprocess.Popen([sys.executable, "-m", "tests.e2e.mailer", str(office.port), str(LEASE)])
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


def asked_for(store: SqliteStore, where: str, kind: str, number: int) -> Decision:
    """A decision to write to somebody who is known, and has agreed."""
    person, now = f"u:{where}-{kind}-{number}", datetime.now(UTC)
    traits = {"email": f"{kind}-{number}@{where}.example", "first_name": "Ada"}
    store.update_profiles([ProfileUpdate(person=person, at=now, traits=traits)])
    agreed = ConsentRecord(record_id="1", person=person, category="marketing", action="given", at=now, source="import")
    store.record_consent([agreed])
    template = "welcome" if kind == "transactional" else "product-reminder"
    return a_decision(person, kind=kind, template=template, decided_at=now)


def test_a_mailer_that_is_killed_in_mid_sentence_sends_nothing_twice_that_it_may_not_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mail_server: tuple[SilentAtFirst, str]
) -> None:
    server, url = mail_server
    known = {name: getattr(SETTINGS, name) for name in ("secret", "public_url", "mail_from", "postal_address")}
    office = Office(port=free_port(), mail_url=url, store=f"sqlite:{tmp_path}/store.db", **known)
    store = SqliteStore(f"{tmp_path}/store.db")
    with PubSubServer() as address:
        for name, value in {"PUBSUB_EMULATOR_HOST": address, **office.environment}.items():
            monkeypatch.setenv(name, value)
        topology.prepare(office, f"http://127.0.0.1:{office.port}/deliver")
        asked = {
            (where, kind, number): asked_for(store, where, kind, number)
            for where in (BEFORE, AFTER)
            for kind in ("marketing", "transactional")
            for number in (1, 2)
        }
        messages = [Message(decisions.encode(one), {"schema": decisions.SCHEMA}) for one in asked.values()]
        with mailer(office):
            Publisher(office.project).publish(office.sends_topic, messages)
            eventually(lambda: len(server.silent) == len(asked))  # each stands in the middle of its conversation
        with mailer(office):
            eventually(lambda: [one.status in FINAL for one in store.ledger()] == [True] * len(asked), seconds=60)
        letters = pull(office.project, f"{office.dead_letters_topic}-inspect", 100)

    copies = Counter(message_id.strip("<>").partition("@")[0] for message_id in server.message_ids)
    endings = {
        (where, kind): {
            (copies[one.send_id], entry.status, entry.detail.partition(":")[0])
            for (its_where, its_kind, _), one in asked.items()
            if (its_where, its_kind) == (where, kind) and (entry := store.ledger_entry(one.send_id))
        }
        for where, kind, _ in asked
    }
    assert endings == {
        (BEFORE, "marketing"): {(1, "sent", "")},
        (BEFORE, "transactional"): {(1, "sent", "")},
        (AFTER, "marketing"): {(1, "dead_lettered", "outcome unknown")},
        (AFTER, "transactional"): {(2, "sent", "")},  # the same Message-ID both times
    }
    in_doubt = {one.send_id for (where, kind, _), one in asked.items() if (where, kind) == (AFTER, "marketing")}
    found = [dead_letter.read(*letter) for letter in letters]
    assert {one.reason for one in found} == {"outcome_unknown"}
    assert sorted(decisions.decode(one.data).send_id for one in found) == sorted(in_doubt)
    store.close()
