"""Every path reaches the function that production would send it to, and the local pages get the rest."""

import base64
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.local.conftest import FrontDoor
from tests.sends import a_decision
from tests.support import eventually
from tidings import settings
from tidings.adapters.pubsub import pull
from tidings.adapters.stores import open_store
from tidings.local import topology


class Answer(NamedTuple):
    """What came back, whatever the status."""

    status: int
    type: str
    text: str


def ask(address: str, body: object = None, key: str = "", method: str | None = None) -> Answer:
    """One request, with the write key as an SDK sends it; a body makes it a POST."""
    headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()} if key else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, headers, method=method)
    answer: Any
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return Answer(answer.status, answer.headers["Content-Type"] or "", answer.read().decode())


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t", "/beacon/v1/batch", "/v1/batch"])
def test_tracking_calls_reach_the_front_door(front_door: FrontDoor, path: str) -> None:
    event = {"type": "track", "event": "Knocked", "userId": "u1", "messageId": f"m {path}"}
    body = {"batch": [event]} if path.endswith("batch") else event
    answer = ask(front_door.address + path, body, front_door.key)
    assert json.loads(answer.text) == {"success": True}
    chosen = settings.load()
    (message,) = pull(chosen.project, topology.events_subscription(chosen), 10, wait=30)
    assert json.loads(message.data)["messageId"] == f"m {path}"


@pytest.mark.parametrize("path", ["/sourceConfig", "/v1/projects/{key}/settings"])
def test_what_browser_sdks_ask_first_reaches_the_front_door(front_door: FrontDoor, path: str) -> None:
    answer = ask(front_door.address + path.format(key=front_door.key), key=front_door.key)
    assert answer.status == 200
    assert front_door.key in answer.text


def test_a_pushed_message_reaches_the_mailer(front_door: FrontDoor) -> None:
    """One that is no decision is dead-lettered with its reason, and not pushed again."""
    message = {"message": {"data": "bm90IG91cnM=", "messageId": "1", "attributes": {}}, "subscription": "s"}
    assert ask(f"{front_door.address}/deliver", message).status == 204
    chosen = settings.load()
    (letter,) = pull(chosen.project, f"{chosen.dead_letters_topic}-inspect", 10, wait=30)
    assert letter.data == b"not ours"


def test_a_link_in_a_mail_reaches_the_engage_function(front_door: FrontDoor) -> None:
    for method in ("GET", "POST"):
        answer = ask(f"{front_door.address}/u/not-a-token", method=method)
        assert (answer.status, answer.type) == (404, "text/html; charset=utf-8")


def test_everything_else_is_a_local_page(front_door: FrontDoor) -> None:
    for path, title in {"/": "Tidings", "/inbox": "Inbox", "/shop/": "Pebble &amp; Fern"}.items():
        assert f"<title>{title}</title>" in ask(front_door.address + path).text
    for path in ("/nowhere", "/v2/track", "/delivery", "/deliver.php"):
        assert ask(front_door.address + path).status == 404


def test_the_log_says_what_was_asked_and_not_by_whom(front_door: FrontDoor) -> None:
    ask(f"{front_door.address}/u/a-token-of-somebody?email=ada@visitors.example")
    written = front_door.log.read_text()
    assert "GET /u " in written
    assert "a-token-of-somebody" not in written
    assert "ada@visitors.example" not in written


def test_mail_that_waits_is_woken_without_anybody_asking(front_door: FrontDoor) -> None:
    """In production Cloud Scheduler asks; here a thread of the functions does."""
    chosen = settings.load()
    store = open_store(chosen.store, chosen.project)
    decision, now = a_decision(), datetime.now(UTC)
    store.wait(store.claim(decision, now, timedelta(minutes=1)).entry, now, now)
    eventually(lambda: (entry := store.ledger_entry(decision.send_id)) and entry.lease_until > now)
    store.close()
