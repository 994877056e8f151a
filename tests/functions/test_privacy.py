"""The `privacy` function: an operator asks on somebody's behalf, and everything that can be reached obeys."""

import json
import logging
from typing import Any

import pytest

from tests.functions.mail_room import DEAD_LETTERS, MailRoom, ago
from tests.sends import a_decision
from tidings.adapters.pubsub import Message, ensure_subscription, pull
from tidings.deciding import erasure
from tidings.permission.consent import address_digest, person_digest
from tidings.records.store import ERASED
from tidings.wire import dead_letter
from tidings.wire.decisions import encode

ADDRESS = "ada@example.com"
INSPECT = f"{DEAD_LETTERS}-inspect"


@pytest.fixture
def office(room: MailRoom) -> MailRoom:
    """Where Bob is known as well, and a letter about each of them is dead."""
    ensure_subscription(room.project, INSPECT, DEAD_LETTERS)
    room.meet("u:bob", "bob@example.com")
    letters = [
        dead_letter.build("deliver", "gave_up", "no", encode(a_decision("u:ada")), {}, ago(minutes=5)),
        dead_letter.build("collect", "no_person", "no", b'{"email": "Ada%40example.com"}', {}, ago(minutes=5)),
        dead_letter.build("deliver", "gave_up", "no", encode(a_decision("u:bob")), {}, ago(minutes=5)),
    ]
    room.publisher.publish(DEAD_LETTERS, [Message(*one) for one in letters])
    return room


def ask(office: MailRoom, what: str, status: int = 200, **body: Any) -> Any:
    answer = office.client("privacy").post(f"/privacy/{what}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_json()


def letters_left(office: MailRoom) -> list[str]:
    """Whom the decisions among them are about."""
    found: list[str] = []
    while got := pull(office.project, INSPECT, 100, wait=0.2):
        found += [said["person"] for one in got if "person" in (said := json.loads(one.data))]
    return sorted(found)


def digest_of(office: MailRoom, address: str) -> str:
    return address_digest(address, office.settings.secret)


def test_a_person_gets_a_copy(office: MailRoom) -> None:
    found = ask(office, "export", person="u:ada")
    assert {one["name"]: one["value"] for one in found["profiles"][0]["traits"]}["email"] == ADDRESS
    assert found["controller"]["postal_address"] == office.settings.postal_address
    assert [one["kind"] for one in ask(office, "receipts", person="u:ada")] == ["export"]


@pytest.mark.parametrize("request_of", [{"person": "u:ada"}, {"address": "ADA@example.com"}], ids=["id", "address"])
def test_a_person_is_forgotten(office: MailRoom, request_of: dict[str, str]) -> None:
    receipt = ask(office, "erase", **request_of)
    assert receipt["counts"]["profiles"] == 1
    assert (receipt["counts"]["dead_letters_seen"], receipt["counts"]["dead_letters"]) == (3, 2)
    assert office.store.profile("u:ada") is None
    assert office.store.consent("u:ada") == []
    suppressed = office.store.suppression(digest_of(office, ADDRESS))
    assert suppressed
    assert suppressed.reason == ERASED
    [message] = office.messages("tidings-events")
    assert erasure.decode(message.data).person == "u:ada"
    assert letters_left(office) == ["u:bob"]
    assert office.store.profile("u:bob")
    assert receipt in ask(office, "receipts", **request_of)


def test_what_waits_in_the_queue_is_not_sent_any_more(office: MailRoom) -> None:
    decision = a_decision("u:ada", decided_at=ago(minutes=1))
    ask(office, "erase", person="u:ada")
    assert office.push(decision) == 204
    assert office.ending(decision)[:2] == ("suppressed", "erased")
    assert office.mail.mails == []


def test_letters_of_somebody_who_erased_themselves_go_later_by_digests_alone(office: MailRoom) -> None:
    """A page may not read dead letters, and afterwards nobody knows the address any more."""
    office.store.suppress(digest_of(office, ADDRESS), ERASED, ago(minutes=1))
    assert ask(office, "letters") == {"dead_letters_seen": 3, "dead_letters": 1, "dead_letters_complete": 1}
    ask(office, "erase", person="u:ada")
    assert letters_left(office) == ["u:bob"]


def test_a_letter_of_somebody_who_came_back_stays(office: MailRoom) -> None:
    ask(office, "erase", person="u:bob")
    new = dead_letter.build("deliver", "gave_up", "no", encode(a_decision("u:bob")), {}, ago(minutes=-5))
    office.publisher.publish(DEAD_LETTERS, [Message(*new)])
    assert ask(office, "letters")["dead_letters"] == 0
    assert letters_left(office) == ["u:ada", "u:bob"]


def test_an_address_is_suppressed_and_let_go_again(office: MailRoom) -> None:
    assert ask(office, "suppress", address=ADDRESS)["reason"] == "requested"
    assert office.store.suppression(digest_of(office, ADDRESS))
    assert ask(office, "lift", address=" ADA@example.com")["was"]["reason"] == "requested"
    assert office.store.suppression(digest_of(office, ADDRESS)) is None
    assert ask(office, "lift", address=ADDRESS)["was"] is None


@pytest.mark.parametrize("what", ["export", "erase", "suppress", "lift"])
@pytest.mark.parametrize(
    "body", [{}, {"person": "ada"}, {"person": "u:"}, {"address": "ada"}, {"person": 1}, {"email": ADDRESS}, []]
)
def test_what_names_nobody_is_refused_and_not_quoted(office: MailRoom, what: str, body: Any) -> None:
    answer = office.client("privacy").post(f"/privacy/{what}", json=body)
    assert answer.status_code == 400
    assert "ada" not in answer.text
    assert office.store.profile("u:ada")


def test_both_a_person_and_an_address_are_too_many(office: MailRoom) -> None:
    ask(office, "erase", 400, person="u:ada", address="bob@example.com")
    assert office.store.profile("u:bob")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_of_somebody_else_erases_nobody(office: MailRoom, content_type: str) -> None:
    """What a browser posts without asking first is not JSON, and no other origin is let in."""
    data = json.dumps({"person": "u:ada"})
    answer = office.client("privacy").post("/privacy/erase", data=data, content_type=content_type)
    assert answer.status_code == 400
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert office.store.profile("u:ada")


def test_nothing_is_done_by_looking(office: MailRoom) -> None:
    client = office.client("privacy")
    assert client.get("/privacy/erase").status_code == 405
    assert client.post("/privacy/forget", json={}).status_code == 404


def test_when_pubsub_is_away_the_request_comes_again_and_completes(
    office: MailRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        ask(office, "erase", 503, person="u:ada")
    assert office.store.erased_at(person_digest("u:ada", office.settings.secret)), "nothing is sent from here on"
    assert ask(office, "erase", person="u:ada")["counts"]["addresses"] == 1
    assert letters_left(office) == ["u:bob"]


def test_no_log_line_says_whom_it_was_about(office: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="functions.privacy"):
        ask(office, "erase", person="u:ada")
        ask(office, "suppress", address=ADDRESS)
        ask(office, "erase", 400, person="ada@example.com")
    ours = [str(record.__dict__) for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    assert ours
    assert [line for line in ours if "ada" in line] == []
