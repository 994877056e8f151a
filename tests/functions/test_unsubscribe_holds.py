"""A withdrawal holds although store or Pub/Sub is away, a clock is wrong, or something crashes half way."""

import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from werkzeug.test import Client

from functions.unsubscribe import UnsubscribePages
from tests.functions.leaving import ONE_CLICK, buttons, link, refusal
from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings.adapters.pubsub import Publisher
from tidings.adapters.sqlite_store import SqliteStore
from tidings.permission.consent import from_event


class Pages:
    """Pages of its own on the room's store, with a clock that the test turns. The other parts can be replaced."""

    def __init__(self, room: MailRoom, **parts: Any) -> None:
        self.now = datetime.now(UTC)
        parts = {"store": room.store, "publisher": room.publisher, **parts}
        self._pages = UnsubscribePages(room.settings, **parts, clock=lambda: self.now)
        self._app = flask.Flask("pages")

    def post(self, path: str, **form: str) -> flask.Response:
        """POST a form."""
        with self._app.test_request_context(path, method="POST", data=form):
            return self._pages(flask.request)

    def get(self, path: str) -> flask.Response:
        """GET a page."""
        with self._app.test_request_context(path):
            return self._pages(flask.request)


def test_a_withdrawal_holds_at_once_even_when_it_cannot_be_told(room: MailRoom) -> None:
    """503 asks for another try, and the next mail is held back already; the next try tells it, once."""
    deaf = Pages(room, publisher=Publisher("a-project-without-topics", timeout=1))
    assert deaf.post(link(room), **ONE_CLICK).status_code == 503
    assert deaf.post(link(room), **ONE_CLICK).status_code == 503
    assert refusal(room) == "opted_out"
    assert room.events() == []
    later = Pages(room)
    later.now += timedelta(minutes=5)
    assert [later.post(link(room), **ONE_CLICK).status_code for _ in range(3)] == [200, 200, 200]
    (event,) = room.events()
    assert from_event(event)[0] in room.store.consent("u:ada")


def test_a_withdrawal_holds_at_once_even_without_credentials(room: MailRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a function can be taken away while it runs."""
    with monkeypatch.context() as locked_out:
        locked_out.delenv("PUBSUB_EMULATOR_HOST")
        locked_out.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{room.store_path}.missing.json")
        assert Pages(room).post(link(room), **ONE_CLICK).status_code == 503
    assert refusal(room) == "opted_out"
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert len(room.events()) == 1


def test_a_try_that_may_have_been_published_is_published_as_the_same_event(room: MailRoom) -> None:
    """A publisher that fails after it published makes a second message, and not a second event."""

    class Doubtful(Publisher):
        def publish(self, topic: str, messages: Any) -> None:
            super().publish(topic, messages)
            super().publish("no-such-topic", messages)

    assert Pages(room, publisher=Doubtful(room.project, timeout=1)).post(link(room), **ONE_CLICK).status_code == 503
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    first, second = room.events()
    assert first.message_id == second.message_id


def test_what_could_not_be_told_is_told_by_whatever_the_person_does_next(room: MailRoom) -> None:
    """In the order in which it was said, and each of it once."""
    deaf = Pages(room, publisher=Publisher("a-project-without-topics", timeout=1))
    assert deaf.post(link(room), choice="category").status_code == 503
    assert deaf.post(link(room), choice="resubscribe").status_code == 503
    assert refusal(room) is None
    for _ in range(2):
        assert Pages(room).post(link(room, episode="another mail"), choice="all").status_code == 200
    assert [event.event for event in room.events()] == ["Unsubscribed", "Consent Given", "Unsubscribed"]


@pytest.mark.parametrize("step", ["put_note", "record_consent", "publish", "forget"])
def test_a_crash_at_any_step_loses_nothing(room: MailRoom, step: str) -> None:
    """The mail program got no answer, and asks again: the withdrawal holds, and is told as one event."""

    class CrashError(Exception):
        pass

    def crash(*_: object) -> None:
        raise CrashError

    with pytest.MonkeyPatch.context() as break_off:
        if step == "publish":
            break_off.setattr(room.publisher, "publish", crash)
        elif step == "forget":
            put = room.store.put_note
            break_off.setattr(room.store, "put_note", lambda name, value: put(name, value) if value else crash())
        else:
            break_off.setattr(room.store, step, crash)
        with pytest.raises(CrashError):
            Pages(room).post(link(room), **ONE_CLICK)
    assert (refusal(room) == "opted_out") is (step in ("publish", "forget"))
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"
    assert len({event.message_id for event in room.events()}) == 1
    assert len(room.store.consent("u:ada")) == 2


def test_the_link_in_an_old_mail_brings_nobody_back_who_was_erased(room: MailRoom, client: Client) -> None:
    """It is answered as ever, and no record and no event names them."""
    room.forget("u:ada", at=ago(days=1))
    for page in (client.get(link(room)), client.post(link(room), data=ONE_CLICK)):
        assert page.status_code == 200
        assert "We keep nothing about you" in page.text
    assert room.store.consent("u:ada") == []
    assert room.events() == []
    room.meet("u:ada", "ada@example.com")
    assert "You are unsubscribed" in client.post(link(room), data=ONE_CLICK).text


def test_the_link_in_mail_of_a_kind_that_was_switched_on_alone_ends_it(room: MailRoom) -> None:
    """Everything was stopped, and then one kind wanted again: its mail can be left like any other."""
    room.consent("u:ada", "marketing", given=False, at=ago(minutes=30))
    room.consent("u:ada", "reminders", given=True, at=ago(minutes=20))
    assert "Unsubscribe?" in Pages(room).get(link(room)).get_data(as_text=True)
    assert Pages(room).post(link(room), choice="all").status_code == 200
    assert refusal(room) == "opted_out"
    assert list(buttons(Pages(room).get(link(room)))) == ["resubscribe_all"]


def test_a_withdrawal_counts_although_our_clock_is_behind(room: MailRoom) -> None:
    """It is never older than the consent that it withdraws."""
    room.consent("u:ada", "reminders", given=True, at=ago(minutes=-3))
    assert Pages(room).post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"


def test_without_the_store_the_answer_is_try_again(room: MailRoom) -> None:
    """For a mail program, and in words for a person."""
    pages = Pages(room, store=SqliteStore(room.store_path, timeout=0.05))
    other = sqlite3.connect(room.store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    response = pages.post(link(room), **ONE_CLICK)
    other.execute("ROLLBACK")
    other.close()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert "try again in a minute" in response.get_data(as_text=True)
    assert pages.post(link(room), **ONE_CLICK).status_code == 200
    assert refusal(room) == "opted_out"


def test_no_log_line_says_who_it_was(room: MailRoom, caplog: pytest.LogCaptureFixture) -> None:
    """What was done is counted; nobody's id and no token is written down."""
    caplog.set_level(logging.DEBUG)
    Pages(room, publisher=Publisher("a-project-without-topics", timeout=1)).post(link(room), **ONE_CLICK)
    Pages(room).post(link(room), choice="all")
    Pages(room).get("/u/garbage")
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    assert len(ours) == 2
    said = " ".join(f"{record.getMessage()} {getattr(record, 'labels', '')}" for record in ours)
    for secret in ("u:ada", "ada@", a_decision().send_id, link(room).removeprefix("/u/"), "garbage"):
        assert secret not in said
