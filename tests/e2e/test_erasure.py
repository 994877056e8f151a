"""Erase somebody in a running system, import their address anew, and look into every byte that is kept.

What is not searched: the folder of the mail catcher, which stands for the recipient's own mailbox; and the memory of
processes, where a string stays until Python uses the room for another. That the pipeline has forgotten shows in what
it does: the timers that ran do not fire, and nothing more is decided for the person.
"""

import re
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.e2e.search import files, found_in
from tests.e2e.system import TOPICS, System, running
from tests.e2e.visitor import FrontDoor, Visitor
from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher
from tidings.commands.main import main
from tidings.mailing.ledger import FINAL
from tidings.permission.consent import address_digest, person_digest
from tidings.records.store import ERASED
from tidings.wire import events
from tidings.wire.events import Event, encode

MAILBOX = "mail"
"""What the recipient has got is the recipient's."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, FrontDoor, Path]]:
    folder = tmp_path_factory.mktemp("erasure")
    with running(folder) as (system, url):
        yield system, FrontDoor(url), folder
        print(system.said)


def an_address(visitor: Visitor) -> str:
    """Of its own, at a domain that DNS knows by another name."""
    return f"Ada.{visitor.user_id}@fensteröffner.example"


def publish(*messages: Message) -> None:
    Publisher(TOPICS.project).publish(TOPICS.events_topic, messages)


def forget(folder: Path, address: str) -> None:
    """As an operator does."""
    with pytest.MonkeyPatch.context() as keyboard:
        keyboard.setattr("sys.stdin", StringIO(f"{address}\n"))
        keyboard.setenv("TIDINGS_SECRET", (folder / "secret").read_text())
        asked = ["privacy", "erase", "--address", "-", "--yes", "--store", f"sqlite:{folder}/store.db"]
        assert main([*asked, "--project", TOPICS.project]) == 0


def traces(system: System, door: FrontDoor, ann: Visitor) -> None:
    """A visit, a mail and a click in it, dead letters of every kind, and a basket that is left just now."""
    ann.introduces_themself()
    ann.does("Letter Asked", to=ann.email, url=f"https://shop.example/?for={quote(ann.email)}")
    [mail] = eventually(lambda: system.mails(_ascii(ann.email)))
    links = [urlsplit(one).path for one in re.findall(r'href="([^"]+)"', mail.html) if "/l/" in one]
    assert door.request("GET", links[0])[0] in {302, 307}
    ann.does("Order Sent", total=ann.email)  # the rule wants a number
    publish(
        Message(f'{{"broken": "{ann.email}'.encode(), {"schema": events.SCHEMA}),
        Message(f"to={quote(ann.email)}&from=elsewhere".encode(), {"from": "elsewhere"}),
    )
    bystander = Visitor(door, "bystander")
    bystander.does("Order Sent", total="a lot")
    ann.does("Basket Filled", basket="1")
    eventually(lambda: {line.label for line in system.store.activity(ann.person)} >= {"Basket Filled", "Order Sent"})


def _ascii(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def test_after_an_erasure_and_a_new_import_the_address_is_nowhere_and_stays_suppressed(
    place: tuple[System, FrontDoor, Path],
) -> None:
    system, door, folder = place
    ann = Visitor(door, "ann")
    ann.email = an_address(ann)
    traces(system, door, ann)
    eventually(lambda: found_in(folder, ann.email, [MAILBOX]))
    assert any("pubsub.db" in one for one in found_in(folder, ann.email, [MAILBOX])), "or the search is blind"
    assert any("store.db" in one for one in found_in(folder, ann.email, [MAILBOX])), "or the search is blind"
    before = len(system.decisions())

    # A decision is under way to a mailer that does not answer, and a basket's clock runs, when she is forgotten.
    system.freeze("Functions")
    joined = Event(
        message_id="queued", type="track", event="Joined", user_id=ann.user_id,
        timestamp=system.store.activity(ann.person)[0].at, received_at=system.store.activity(ann.person)[0].at,
    )  # fmt: skip
    publish(Message(encode(joined), {"schema": events.SCHEMA, "messageId": "queued"}))
    eventually(lambda: len(system.decisions()) > before)
    forget(folder, ann.email)
    system.kill("Functions")
    system.wait_until_back("Functions")
    eventually(lambda: [one.status for one in system.ledger() if one.status not in FINAL] == [])
    count = system.count_mails()

    # She is imported anew, under another id, with somebody's word that she agrees.
    again = Visitor(door, "again")
    again.email = ann.email
    again.introduces_themself()
    again.does("Letter Asked")
    [entry] = eventually(lambda: [one for one in system.ledger(again.person) if one.status in FINAL])
    assert (entry.status, entry.reason) == ("suppressed", "suppressed_address")
    secret = (folder / "secret").read_text()
    suppression = system.store.suppression(address_digest(ann.email, secret))
    assert suppression is not None
    assert suppression.reason == ERASED

    # Nothing more is decided for her: the basket's clock is forgotten. That of somebody who stays is not.
    control = Visitor(door, "control").introduces_themself()
    control.does("Basket Filled", basket="1")
    eventually(lambda: system.mails(control.email))
    assert system.count_mails() == count + 1
    assert system.ledger(ann.person) == []
    of_nobody = system.ledger(person_digest(ann.person, secret))
    assert [(one.decision.rule_id, one.status, one.reason) for one in of_nobody] == [("joined", "suppressed", "erased")]

    # What tests keep for themselves is let go; then the search.
    system.decisions()
    [bystanders] = [one for one in system.dead_letters() if one.step == "decide"]
    assert b"a lot" in bystanders.data
    patience = time.monotonic() + 60
    eventually(lambda: not found_in(folder, ann.email, [MAILBOX]) or time.monotonic() > patience, seconds=90)
    assert found_in(folder, ann.email, [MAILBOX]) == []
    assert found_in(folder, ann.user_id, [MAILBOX]) == [], "nor is her id"
    searched = {path.name for path in files(folder, [MAILBOX])}
    assert {"store.db", "pubsub.db", "functions.log", "pipeline.log", "pub-sub.log"} <= searched
