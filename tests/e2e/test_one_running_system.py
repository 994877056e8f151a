"""What the promises look like from outside: real HTTP in, real mails out, everything in between for real."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.rules import RULES
from tests.e2e.system import TOPICS, System, running
from tests.e2e.visitor import FrontDoor, Visitor
from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher
from tidings.commands.main import main
from tidings.local.mailbox import Mail
from tidings.mailing.ledger import FINAL
from tidings.records.store import RuleRecord
from tidings.wire import events

IDENTIFY = (
    b'{"type": "identify", "messageId": "m1", "userId": "u1", "traits": %b,'
    b' "timestamp": "2026-03-02T10:00:00Z", "receivedAt": "2026-03-02T10:00:00Z"}'
)
"""An event as on the topic."""


@pytest.fixture(scope="module")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, str]]:
    with running(tmp_path_factory.mktemp("system")) as (system, url):
        yield system, url
        print(system.said)  # for the report of a test that failed


@pytest.fixture
def system(running_system: tuple[System, str]) -> System:
    return running_system[0]


@pytest.fixture
def door(running_system: tuple[System, str]) -> FrontDoor:
    return FrontDoor(running_system[1])


def mails_to(system: System, visitor: Visitor, count: int) -> list[Mail]:
    """Wait until so many mails have come, and see that these are all so far."""
    eventually(lambda: len(system.mails(visitor.email)) >= count)
    mails = system.mails(visitor.email)
    assert len(mails) == count, [mail.rule for mail in mails]
    return mails


def endings(system: System, visitor: Visitor) -> list[tuple[str, str, str | None]]:
    """Rule, status and reason of every decision about the visitor, once they have ended, in alphabetical order."""
    eventually(lambda: all(one.status in FINAL for one in system.ledger(visitor.person)))
    return sorted((one.decision.rule_id, one.status, one.reason) for one in system.ledger(visitor.person))


def test_an_order_that_comes_late_stops_the_mail_and_without_it_the_mail_comes(system: System, door: FrontDoor) -> None:
    """The phone was in a tunnel, and its clock is nine years fast: what counts is how long it held each event back."""
    late = Visitor(door, "late", clock_is_wrong_by=timedelta(days=9 * 365)).introduces_themself()
    control = Visitor(door, "control").introduces_themself()
    late.does("Basket Filled", seconds_ago=4, basket="1")
    late.does("Shop Entered")
    control.does("Basket Filled", basket="1")
    late.does("Basket Paid", seconds_ago=3, basket="1")
    [mail] = mails_to(system, control, 1)
    assert mail.rule == "basket"
    assert endings(system, control) == [("basket", "sent", None)]
    assert endings(system, late) == []
    feed = [line.label for line in system.store.activity(late.person)]
    assert feed.index("Shop Entered") < feed.index("Basket Paid") < feed.index("Basket Filled")  # newest first


def test_a_batch_that_an_sdk_posts_three_times_sends_one_mail(system: System, door: FrontDoor) -> None:
    visitor = Visitor(door, "patient")
    body = visitor.sends(*visitor.introduction(), visitor.item("Joined"))
    door.repeat_batch(body)
    door.repeat_batch(body)
    visitor.does("Joined")  # the pipeline reads in order, so behind this one there is no repeat left
    mails_to(system, visitor, 2)
    assert endings(system, visitor) == [("joined", "sent", None)] * 2
    assert len([one for one in system.decisions() if one.person == visitor.person]) == 2


def test_an_edit_of_a_rule_counts_seconds_later_and_a_bad_edit_does_not(system: System, door: FrontDoor) -> None:
    """The edit names another event; the bad one a duration that is none. All without a restart."""
    good = {**RULES["edited"], "trigger": {"performed": {"event": "After The Edit"}}}
    system.store.put_rule("edited", good)
    eventually(lambda: record(system, "edited").last_good == good, seconds=10)
    visitor = Visitor(door, "reader").introduces_themself()
    visitor.does("Before The Edit")
    visitor.does("After The Edit")
    [mail] = mails_to(system, visitor, 1)
    assert mail.rule == "edited"

    bad = {**good, "trigger": {"performed": {"event": "After The Edit", "times": 2, "within": "a while"}}}
    system.store.put_rule("edited", bad)
    eventually(lambda: report(system, "edited")["valid"] is False, seconds=10)
    [fault] = report(system, "edited")["faults"]
    assert (fault["path"], fault["value"]) == ("trigger.performed.within", "a while")
    assert "must be a duration" in fault["reason"]
    assert record(system, "edited").document == bad
    assert record(system, "edited").last_good == good
    visitor.does("After The Edit")
    mails_to(system, visitor, 2)
    assert [status for _, status, _ in endings(system, visitor)] == ["sent", "sent"]


def record(system: System, rule_id: str) -> RuleRecord:
    return next(one for one in system.store.rules() if one.rule_id == rule_id)


def report(system: System, rule_id: str) -> dict[str, Any]:
    return record(system, rule_id).report or {}


def test_one_click_in_a_mail_stops_marketing_and_nothing_else(system: System, door: FrontDoor) -> None:
    visitor = Visitor(door, "leaver").introduces_themself()
    visitor.does("Letter Asked")
    [mail] = mails_to(system, visitor, 1)
    headers = dict(mail.headers)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = urlsplit(headers["List-Unsubscribe"].strip("<>")).path
    before = system.store.consent(visitor.person)

    for method in ("GET", "HEAD"):
        assert door.request(method, link)[0] == 200
    assert system.store.consent(visitor.person) == before

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert door.request("POST", link, b"List-Unsubscribe=One-Click", form)[0] == 200
    *known, withdrawal = system.store.consent(visitor.person)
    assert known == before
    assert (withdrawal.category, withdrawal.given, withdrawal.source) == ("news", False, "one_click")

    visitor.does("Letter Asked")
    visitor.does("Joined")
    eventually(lambda: len(system.ledger(visitor.person)) == 3)
    assert [one.rule for one in mails_to(system, visitor, 2)] == ["letter", "joined"]
    assert endings(system, visitor) == [
        ("joined", "sent", None),
        ("letter", "sent", None),
        ("letter", "suppressed", "opted_out"),
    ]


def test_one_click_while_the_timer_of_the_next_step_runs_stops_that_step_and_explain_says_why(
    system: System, door: FrontDoor, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first mail of a course is there, the second is ten seconds away, and its reader has had enough."""
    leaver, reader = (Visitor(door, name).introduces_themself() for name in ("leaver", "reader"))
    for one in (leaver, reader):
        one.does("Course Begun")
    [first] = mails_to(system, leaver, 1)
    mails_to(system, reader, 1)
    path = urlsplit(dict(first.headers)["List-Unsubscribe"].strip("<>")).path
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert door.request("POST", path, b"List-Unsubscribe=One-Click", form)[0] == 200
    mails_to(system, reader, 2)  # so the second one of the leaver would have come as well, or is decided now
    found = eventually(lambda: [one for one in system.ledger(leaver.person) if one.decision.step == 1])
    assert endings(system, leaver) == [("course", "sent", None), ("course", "suppressed", "opted_out")]
    mails_to(system, leaver, 1)

    assert main(["explain", found[0].send_id, "--store", system.store_url]) == 0
    said = capsys.readouterr().out
    assert f"course for {leaver.person}: not sent" in said
    assert "why         opted_out: " in said
    assert "stopped      consent" in said


def test_bad_input_is_refused_or_set_aside_and_disturbs_nobody(system: System, door: FrontDoor) -> None:
    """What no sender can mend by trying again is a dead letter with its reason; all else goes its way."""
    assert door.post("/v1/track", b'{"userId": "u1", "event": ') == 400
    assert FrontDoor(door.url, key="somebody-elses-key").post("/v1/track", b'{"userId": "u1", "event": "X"}') == 401

    stray = Message(b"a stray message", {"from": "elsewhere"})
    poison = Message(IDENTIFY % b'{"age": 1e999}', {"schema": events.SCHEMA})  # JSON, and no number that anybody has
    Publisher(TOPICS.project).publish(TOPICS.events_topic, [stray, poison])
    visitor = Visitor(door, "orderly")
    nobody = {"type": "track", "event": "Order Sent", "messageId": "of-nobody"}
    text = visitor.item("Order Sent", total="a lot")
    number = visitor.item("Order Sent", total=250)
    visitor.sends(*visitor.introduction(), nobody, text, number)

    mails_to(system, visitor, 1)
    assert endings(system, visitor) == [("large-order", "sent", None)]
    eventually(lambda: len(system.dead_letters()) >= 4)
    letters = {one.reason: one for one in system.dead_letters()}
    assert sorted((one.step, one.reason) for one in system.dead_letters()) == [
        ("collect", "no_person"),
        ("decide", "type_mismatch"),
        ("decode", "bad_traits"),
        ("decode", "not_ours"),
    ]
    assert json.loads(letters["no_person"].data) == nobody
    assert (letters["not_ours"].data, letters["not_ours"].attributes) == tuple(stray)
    assert letters["bad_traits"].data == poison.data
    assert json.loads(letters["type_mismatch"].data)["messageId"] == text["messageId"]
    assert letters["type_mismatch"].detail.startswith("rule large-order: properties.total")


def test_in_the_end_the_sums_agree(system: System) -> None:
    """One entry in the ledger for each decision, and one mail in the inbox for each that says `sent`."""
    system.check_the_sums()
