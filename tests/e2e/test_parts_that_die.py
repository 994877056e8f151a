"""Every part is killed without warning, and in the end every decision has ended once, and the sums agree.

Everything happens in one story, told once by the fixture; the tests look at what came of it. What must come of it
stands in `docs/sends-once.md`.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.system import System, running, send_id
from tests.e2e.visitor import FrontDoor, Visitor
from tests.support import eventually


class Aftermath(NamedTuple):
    """The system when all is over, and who was in the story."""

    system: System
    crowd: list[Visitor]
    """They joined and asked for a letter: while the functions died, the catcher, Pub/Sub, and the pipeline."""
    decided: Visitor
    """Joined; the pipeline died right after it had decided to welcome them."""
    left: Visitor
    """Left a basket that the pipeline had not read when it died."""
    paid: Visitor
    """Filled a basket, and paid while the pipeline was dead."""
    regular: Visitor
    """Came twice before the pipeline died, and three times after that."""


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    with running(tmp_path_factory.mktemp("system")) as (system, url):
        story = play(system, FrontDoor(url))
        eventually(lambda: system.mails(story.left.email), seconds=60)
        system.check_the_sums()
        yield story
        print(system.said)  # for the report of a test that failed


def test_after_a_power_cut_the_next_run_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    """The basket was read, and its reader is dead; the welcome was sent, and is not sent again."""
    with running(tmp_path) as (system, url):
        visitor = Visitor(FrontDoor(url), "unlucky")
        visitor.sends(*visitor.introduction(), visitor.item("Joined"))
        eventually(lambda: [one.status for one in system.ledger()] == ["sent"])
        visitor.does("Basket Filled", basket="1")
        eventually(lambda: "Basket Filled" in feed(system, visitor))
        system.power_cut()
    with running(tmp_path) as (system, _):
        eventually(lambda: len(system.mails()) == 2, seconds=60)
        again = eventually(lambda: [one for one in system.decisions() if one.rule_id == "joined"])
        eventually(lambda: all(one.status == "sent" for one in system.ledger()))
        assert [mail.rule for mail in system.mails()] == ["joined", "basket"]
        assert {one.send_id for one in again} == {send_id(system.mails()[0])}


def play(system: System, door: FrontDoor) -> Aftermath:
    """Let people do things, and kill one part after the other in the middle of it."""
    regular = Visitor(door, "regular").introduces_themself()
    for _ in range(2):
        regular.does("Shop Entered")

    delivered = arrive(door, 15)
    eventually(lambda: len(system.mails()) >= 3)
    system.kill("Functions")

    caught = arrive(door, 10)  # their SDKs knock until the functions are back
    eventually(lambda: any(system.mails(visitor.email) for visitor in caught))
    system.kill("Mail catcher")

    accepted = arrive(door, 10)
    system.kill("Pub/Sub")
    accepted += arrive(door, 5)

    system.wait_until_back("Pub/Sub")
    system.freeze("Pipeline")
    unread = arrive(door, 10)
    left, paid = Visitor(door, "left").introduces_themself(), Visitor(door, "paid").introduces_themself()
    left.does("Basket Filled", basket="1")
    system.kill("Pipeline")
    system.wait_until_back("Pipeline")

    paid.does("Basket Filled", basket="1")
    payment = paid.item("Basket Paid", basket="1")
    eventually(lambda: "Basket Filled" in feed(system, paid))
    decided = Visitor(door, "decided")
    decided.sends(*decided.introduction(), decided.item("Joined"))
    eventually(lambda: any(one.person == decided.person for one in system.decisions()), seconds=60)
    system.kill("Pipeline")
    paid.sends(payment)
    system.wait_until_back("Pipeline")
    for _ in range(3):
        regular.does("Shop Entered")
    return Aftermath(system, delivered + caught + accepted + unread, decided, left, paid, regular)


def arrive(door: FrontDoor, count: int) -> list[Visitor]:
    """So many people join, and ask for a letter."""
    them = [Visitor(door, "crowd") for _ in range(count)]
    for visitor in them:
        visitor.sends(*visitor.introduction(), visitor.item("Joined"), visitor.item("Letter Asked"))
    return them


def feed(system: System, visitor: Visitor) -> list[str]:
    return [line.label for line in system.store.activity(visitor.person)]


def test_what_was_accepted_is_decided_once_whoever_died(aftermath: Aftermath) -> None:
    """The same decision may be published twice, and then it has the same identity."""
    identities = {(one.person, one.rule_id, one.send_id) for one in aftermath.system.decisions()}
    decided = Counter((person, rule) for person, rule, _ in identities)
    assert {decided[(one.person, rule)] for one in aftermath.crowd for rule in ("joined", "letter")} == {1}


def test_transactional_mail_always_arrives(aftermath: Aftermath) -> None:
    for visitor in aftermath.crowd:
        [entry] = [one for one in aftermath.system.ledger(visitor.person) if one.decision.rule_id == "joined"]
        assert entry.status == "sent"
        assert "joined" in {mail.rule for mail in aftermath.system.mails(visitor.email)}


def test_marketing_mail_arrives_once_or_is_set_aside_for_a_person_to_look_at(aftermath: Aftermath) -> None:
    for visitor in aftermath.crowd:
        [entry] = [one for one in aftermath.system.ledger(visitor.person) if one.decision.rule_id == "letter"]
        copies = [mail.rule for mail in aftermath.system.mails(visitor.email)].count("letter")
        if entry.status == "sent":
            assert copies == 1
        else:
            assert entry.detail.startswith("outcome unknown")
            assert copies <= 1


def test_a_decision_that_is_taken_again_after_a_crash_is_the_same_one(aftermath: Aftermath) -> None:
    """Its event was not acknowledged yet, so the next process decided it anew."""
    system, decided = aftermath.system, aftermath.decided
    eventually(lambda: len([one for one in system.decisions() if one.person == decided.person]) > 1)
    [identity] = {one.send_id for one in system.decisions() if one.person == decided.person}
    assert [send_id(mail) for mail in system.mails(decided.email)] == [identity]


def test_a_basket_that_the_dead_pipeline_had_not_read_is_not_forgotten(aftermath: Aftermath) -> None:
    assert [mail.rule for mail in aftermath.system.mails(aftermath.left.email)] == ["basket"]


def test_a_payment_that_came_while_the_pipeline_was_dead_stops_the_mail(aftermath: Aftermath) -> None:
    """The next pipeline sees the payment first and the basket later, and still knows what belongs together."""
    assert feed(aftermath.system, aftermath.paid).count("Basket Paid") == 1
    assert aftermath.system.ledger(aftermath.paid.person) == []


def test_what_the_local_pipeline_may_forget_is_never_counted_twice(aftermath: Aftermath) -> None:
    """Its memory dies with it: whether the third or the fifth visit fires, one mail comes of it."""
    assert [mail.rule for mail in aftermath.system.mails(aftermath.regular.email)] == ["regular"]
