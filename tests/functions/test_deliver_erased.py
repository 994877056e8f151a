"""Decisions about people who were erased: nothing is sent, and nothing of them comes to be kept again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.functions.mail_room import MailRoom
from tests.functions.test_deliver_crashes import LEASE, SlowSender, Worker
from tests.mail_server import VANISH
from tests.sends import NOW, a_decision
from tidings.adapters.sqlite_store import SqliteStore
from tidings.permission.consent import person_digest
from tidings.records.store import Claimed
from tidings.wire.decisions import Decision

DECIDED = NOW
ERASED = DECIDED + timedelta(minutes=1)


def erase(room: MailRoom, person: str = "u:ada", at: datetime = ERASED) -> None:
    """A minute after it was decided."""
    room.forget(person, at=at)


def about_ada(**fields: Any) -> Decision:
    """A decision with something of Ada in every corner."""
    properties = {"name": "Harbour desk lamp", "email": "ada@example.com"}
    return a_decision(
        decided_at=DECIDED, properties=properties, entry_key="cart-of-ada", evidence=("m-ada-1",), **fields
    )


def whispers(room: MailRoom) -> list[str]:
    """What the store's files and the topics still say of her."""
    files = [path for path in Path(room.store_path).parent.glob("store.db*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    kept += b"".join(letter.data for letter in room.dead_letters())
    kept += b"".join(message.data for message in room.messages("tidings-events"))
    return [word for word in ("u:ada", "ada@example.com", "cart-of-ada", "m-ada-1", "Harbour") if word.encode() in kept]


def test_a_decision_from_before_the_erasure_ends_as_erased_and_names_nobody(room: MailRoom) -> None:
    """It was in the queue. The ledger keeps that nothing was sent, and no more."""
    decision = about_ada()
    erase(room)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    assert room.ending(decision) == ("suppressed", "erased", "")
    assert room.entry(decision).decision.person == person_digest("u:ada", room.settings.secret)
    assert room.mail.mails == []
    assert whispers(room) == []


@pytest.mark.parametrize("fields", [{"outcome": "suppressed", "reason": "erased"}, {"outcome": "shadow"}])
def test_a_decision_that_is_no_mail_names_nobody_either(room: MailRoom, fields: dict[str, Any]) -> None:
    """Also when the pipeline has said itself that the person is erased."""
    decision = about_ada(**fields)
    erase(room)
    assert room.push(decision) == 204
    assert room.ending(decision)[:2] == ("suppressed", "erased")
    assert whispers(room) == []


def test_what_the_pipeline_calls_erased_is_kept_so_before_the_receipt_is_there(room: MailRoom) -> None:
    decision = about_ada(outcome="suppressed", reason="erased")
    assert room.push(decision) == 204
    assert room.entry(decision).decision.person == person_digest("u:ada", room.settings.secret)


def test_what_was_decided_in_the_very_instant_of_the_erasure_belongs_to_it(room: MailRoom) -> None:
    """Of two readings of a clock that agrees, the one that sends nothing is right."""
    decision = about_ada()
    erase(room, at=decision.decided_at)
    assert room.push(decision) == 204
    assert room.ending(decision)[:2] == ("suppressed", "erased")


def test_whoever_comes_back_is_somebody_new(room: MailRoom) -> None:
    """What is decided from then on is decided from what they have brought anew."""
    erase(room)
    room.meet("u:ada", "ada@example.com")
    decision = a_decision(decided_at=ERASED + timedelta(seconds=1))
    assert room.push(decision) == 204
    assert room.ending(decision)[0] == "sent"


def test_somebody_else_is_not_touched(room: MailRoom) -> None:
    erase(room, "u:grace")
    decision = about_ada()
    room.push(decision)
    assert room.ending(decision)[0] == "sent"


def test_what_would_be_a_dead_letter_is_none(room: MailRoom) -> None:
    """It would hold the decision, with all that is in it, for a week."""
    decision = about_ada(template="no-such-message")
    erase(room)
    assert room.push(decision) == 204
    assert room.ending(decision)[:2] == ("suppressed", "erased")
    assert whispers(room) == []


def test_a_mail_of_which_nobody_knows_whether_it_went_out_is_no_dead_letter_either(room: MailRoom) -> None:
    decision, worker = about_ada(), Worker(room)
    room.mail.answers["MAIL DATA"] = [VANISH]
    assert worker.push(decision) == 503
    erase(room)
    worker.now += LEASE
    assert worker.push(decision) == 204
    assert room.ending(decision)[:2] == ("suppressed", "erased")
    assert whispers(room) == []


# In the same moment


class MeanwhileStore(SqliteStore):
    """Lets something happen right before, or right after, a decision is claimed."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claimed:
        """Claim, and be disturbed once."""
        happens, self.before = self.before, lambda: None
        happens()
        claimed = super().claim(decision, now, lease)
        happens, self.after = self.after, lambda: None
        happens()
        return claimed


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_erasure_around_the_claim_leaves_nothing(room: MailRoom, moment: str) -> None:
    """Looked at, erased, claimed: the claim has written anew what was just deleted, and takes it out again.

    Erased after the claim, it is nobody's any more; and the next delivery finds out why.
    """
    decision, store = about_ada(), MeanwhileStore(room.store_path)
    setattr(store, moment, lambda: erase(room))
    assert Worker(room, store=store).push(decision) == (204 if moment == "before" else 503)
    assert Worker(room).push(decision) == 204
    assert room.mail.mails == []
    entry = room.entry(decision)
    assert (entry.reason, entry.decision.person) == ("erased", person_digest("u:ada", room.settings.secret))
    store.close()
    room.store.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert whispers(room) == []


def test_an_erasure_while_the_mail_server_is_asked_stops_the_mail(room: MailRoom) -> None:
    """Its entry is gone, so nobody may hand it over; and the next delivery finds out why."""
    decision, sender = about_ada(), SlowSender(room.mail.url)
    sender.meanwhile = lambda: erase(room)
    worker = Worker(room, sender=sender)
    assert worker.push(decision) == 503
    assert worker.push(decision) == 204
    assert room.mail.mails == []
    assert room.ending(decision)[:2] == ("suppressed", "erased")
    assert whispers(room) == []


def test_an_erasure_while_a_refused_mail_is_being_buried_leaves_no_letter(room: MailRoom) -> None:
    """The last moment at which something could still be kept."""
    decision, sender = about_ada(), SlowSender(room.mail.url)
    sender.meanwhile = lambda: erase(room)
    room.mail.answers["RCPT"] = ["554 5.7.1 policy"]
    worker = Worker(room, sender=sender)
    assert worker.push(decision) == 503
    assert worker.push(decision) == 204
    assert whispers(room) == []
    assert room.ending(decision)[:2] == ("suppressed", "erased")
