"""Nobody's mailbox is filled with mail that asks for a confirmation, and nobody who wants one is left without."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from werkzeug.test import Client

from functions import asking
from functions.recipients import Recipient, SuppressedError
from tests.functions.mail_room import MailRoom, ago
from tests.functions.test_confirmation import CONFIRM, heading
from tests.sends import a_decision
from tidings.mailing.links import confirmation_url
from tidings.permission import categories
from tidings.permission.choices import standing
from tidings.records.store import Profile
from tidings.wire.decisions import Decision, Trigger, send_id

ASKED = {"Consent Given": "confirm-subscription", "Data Requested": "confirm-data-request"}
CAPPED = ("suppressed", "frequency_capped", "3 mails to this address have asked for a confirmation today")


def asks(number: int, person: str = "u:ada", name: str = "Consent Given", **said: str) -> Decision:
    """The rule has heard that somebody asks, for the how manieth time."""
    said = said or {"category": "newsletter"}
    event = Trigger(name=name, timestamp=ago(minutes=1), properties=msgspec.Raw(msgspec.json.encode(said)))
    return a_decision(
        person, kind="transactional", category="account", template=ASKED[name], event=event,
        decided_at=datetime.now(UTC), send_id=send_id(ASKED[name], "v1", person, str(said), str(number), 0),
    )  # fmt: skip


def sent(room: MailRoom, *decisions: Decision) -> list[bool]:
    """Deliver them; whether each has gone out."""
    for one in decisions:
        assert room.push(one) == 204
    assert {room.ending(one) for one in decisions} <= {("sent", None, ""), CAPPED}
    return [room.ending(one)[0] == "sent" for one in decisions]


def next_instant(room: MailRoom) -> datetime:
    """After all that Ada has said: of two words in the same millisecond the no counts."""
    said = [record.at for record in room.store.consent("u:ada")]
    return max([datetime.now(UTC), *said]) + timedelta(milliseconds=1)


def test_an_address_is_asked_three_times_a_day_and_no_more(room: MailRoom) -> None:
    assert sent(room, *(asks(number) for number in range(5))) == [True, True, True, False, False]
    assert len(room.mail.mails) == 3


def test_however_many_ids_it_is_typed_in_under_and_however_it_is_written(room: MailRoom) -> None:
    people = [f"a:{number}" for number in range(5)]
    for number, person in enumerate(people):
        room.meet(person, "Bob@Example.com" if number % 2 else "bob@example.com", agreed=False)
    assert sent(room, *(asks(1, person) for person in people)) == [True, True, True, False, False]
    assert sent(room, asks(1)) == [True], "another address has its own"


def test_a_copy_and_an_erasure_are_not_kept_from_anybody_by_who_types_into_a_form(room: MailRoom) -> None:
    sent(room, *(asks(number) for number in range(4)))
    requests = [asks(number, name="Data Requested", what=what) for what in ("export", "erase") for number in range(4)]
    assert sent(room, *requests) == [True, True, True, False] * 2


def test_mail_that_asks_for_nothing_is_not_counted(room: MailRoom) -> None:
    welcome = [a_decision(kind="transactional", template="welcome", category="account", episode=one) for one in "abcde"]
    assert sent(room, *(msgspec.structs.replace(one, send_id=one.episode * 32) for one in welcome)) == [True] * 5


def test_a_mail_that_is_tried_again_is_counted_once_and_the_next_day_begins_anew(room: MailRoom) -> None:
    to, noon = Recipient("ada@example.com", Profile(person="u:ada"), "d" * 64), datetime(2026, 3, 2, 12, tzinfo=UTC)
    for number in (0, 0, 0, 0, 1, 1, 2, 2):
        asking.limit(asks(number), to, room.store, noon)
    with pytest.raises(SuppressedError):
        asking.limit(asks(3), to, room.store, noon)
    asking.limit(asks(0), to, room.store, noon)
    asking.limit(asks(3), to, room.store, noon + timedelta(hours=12))


def test_who_confirmed_and_left_and_comes_back_on_the_same_day_gets_a_link_that_works(room: MailRoom) -> None:
    client: Client = room.client("engage")
    for number in range(2):
        room.consent("u:ada", "newsletter", given=True, at=next_instant(room))
        decision = asks(number)
        assert sent(room, decision) == [True]
        url = confirmation_url(decision, room.settings)
        assert url is not None
        path = url.removeprefix(room.settings.public_url)
        assert heading(client.post(path, data=CONFIRM)) == "Thank you"
        assert standing(categories.load()["newsletter"], room.store.consent("u:ada")) == "on"
        room.consent("u:ada", "newsletter", given=False, at=next_instant(room))
