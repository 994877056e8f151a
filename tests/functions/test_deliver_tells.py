"""How a decision ended becomes an event of the person, whatever dies in between, and once in the end."""

from datetime import datetime, timedelta
from typing import Any, NoReturn

import msgspec
import pytest

from functions.deliver import TOLD_FOR
from tests.functions.mail_room import EVENTS, MailRoom
from tests.functions.test_deliver_crashes import Worker
from tests.sends import a_decision
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.mailing import breaker


def told(room: MailRoom) -> list[tuple[str | None, str]]:
    """Name and person of the events since the last call."""
    return [(event.event, event.person) for event in room.events()]


def test_a_mail_that_was_sent_is_told_with_its_subject(room: MailRoom) -> None:
    """In the words of Segment's email spec, so that a rule may go on from it."""
    decision = a_decision()
    room.push(decision)
    (event,) = room.events()
    assert (event.event, event.person, event.message_id) == ("Email Sent", "u:ada", f"sent-{decision.send_id}")
    said = msgspec.json.decode(event.properties)
    assert said["email_subject"] == "Still thinking about Harbour desk lamp?"
    assert (said["email_id"], said["campaign_id"]) == (decision.send_id, decision.rule_id)
    assert event.timestamp == room.entry(decision).updated_at


@pytest.mark.parametrize(
    "fields", [{"outcome": "suppressed", "reason": "frequency_capped"}, {"person": "u:nobody"}, {"category": "news"}]
)
def test_a_mail_that_was_not_to_be_sent_is_told_with_its_reason(room: MailRoom, fields: dict[str, Any]) -> None:
    """Whoever has held it back: a rule, or the mailer itself."""
    room.consent("u:ada", "news", given=False, at=datetime.fromisoformat("2030-01-01T00:00:00+00:00"))
    decision = a_decision(**fields)
    room.push(decision)
    (event,) = room.events()
    assert event.event == "Email Suppressed"
    assert msgspec.json.decode(event.properties)["reason"] == room.ending(decision)[1]


@pytest.mark.parametrize("fields", [{"outcome": "shadow"}, {"template": "no-such-message"}, {"to": "night-shift"}])
def test_what_is_none_of_the_persons_business_is_not_told(room: MailRoom, fields: dict[str, Any]) -> None:
    """A shadow, a dead letter, mail to somebody else."""
    room.push(a_decision(**fields))
    assert told(room) == []


class DeafPublisher(Publisher):
    """A Pub/Sub whose events topic is away, while dead letters still go through."""

    is_away = True

    def publish(self, topic: str, messages: Any) -> list[str]:
        """Publish, if the topic is there."""
        return super().publish("a-topic-that-is-away" if self.is_away and topic == EVENTS else topic, messages)


def test_what_cannot_be_told_now_is_told_with_the_next_delivery(room: MailRoom) -> None:
    """The mail is out and recorded; it is not sent again for want of an event."""
    decision, publisher = a_decision(), DeafPublisher(room.project, timeout=1)
    worker = Worker(room, publisher=publisher)
    assert worker.push(decision) == 503
    assert room.ending(decision)[0] == "sent"
    publisher.is_away = False
    assert worker.push(decision) == 204
    assert told(room) == [("Email Sent", "u:ada")]
    assert len(room.mail.mails) == 1


class DyingStore(SqliteStore):
    """The worker dies right after it has recorded how a send ended."""

    def finish(self, *ending: Any, **more: Any) -> NoReturn:
        """Record, and die."""
        super().finish(*ending, **more)
        raise KeyboardInterrupt


def test_a_crash_between_the_record_and_the_event_loses_no_event(room: MailRoom) -> None:
    """And sends nothing twice."""
    decision = a_decision()
    with pytest.raises(KeyboardInterrupt):
        Worker(room, store=DyingStore(room.store_path)).push(decision)
    assert (room.ending(decision)[0], told(room)) == ("sent", [])
    assert Worker(room).push(decision) == 204
    assert told(room) == [("Email Sent", "u:ada")]
    assert len(room.mail.mails) == 1


def test_what_is_told_twice_is_the_same_event(room: MailRoom) -> None:
    """So the pipeline drops the second one by its messageId."""
    decision = a_decision()
    for _ in range(3):
        room.push(decision)
    events = room.events()
    assert len(events) == 3
    assert all(event == events[0] for event in events)


def test_after_a_day_a_decision_that_comes_again_is_told_no_more(room: MailRoom) -> None:
    """The pipeline would not know any more that it has heard of it."""
    decision, worker = a_decision(), Worker(room)
    worker.push(decision)
    worker.now += TOLD_FOR
    assert worker.push(decision) == 204
    assert told(room) == [("Email Sent", "u:ada")]


def test_a_mail_that_waits_is_told_when_it_has_ended(room: MailRoom) -> None:
    """Waiting is no end."""
    decision, worker = a_decision(), Worker(room)
    breaker.stop(room.store, "all", "operator", "", worker.now)
    worker.push(decision)
    assert told(room) == []
    breaker.resume(room.store, worker.now)
    worker.now += timedelta(minutes=1)
    worker.push(decision)
    assert told(room) == [("Email Sent", "u:ada")]
