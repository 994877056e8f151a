"""A provider that says when it may be asked again: mail waits for it in the ledger, and nobody knocks meanwhile."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.dispatch import RESERVE
from tests.adapters.provider_senders import APIS, connect
from tests.functions.mail_room import MailRoom
from tests.functions.test_deliver_crashes import Worker
from tests.functions.test_deliver_waits import NINE, some, with_policy, woken, worker_at
from tests.provider_apis import Answer, ProviderApi
from tidings.mailing.retry_after import LOOK_EVERY
from tidings.settings import Settings

BUSY = Answer(429, {"errors": [{"message": "too many requests"}]}, {"Retry-After": "120"})
LATER = NINE + timedelta(seconds=120)
LAST_TRY = Settings().delivery_attempts - RESERVE


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    with ProviderApi(APIS["sendgrid"]) as one:
        yield one


@pytest.fixture
def worker(room: MailRoom, tmp_path: Path, api: ProviderApi) -> Worker:
    """A mailer at nine, whose mail leaves by SendGrid."""
    return worker_at(with_policy(room, tmp_path, "{}"), NINE, sender=connect(api, "sendgrid"))


def test_a_mail_waits_as_long_as_the_provider_says_and_uses_up_no_delivery(
    room: MailRoom, api: ProviderApi, worker: Worker
) -> None:
    """It has been handed over, and certainly not taken; then it goes out, once."""
    (one,) = some(1)
    api.answers = [BUSY]
    assert worker.push(one, LAST_TRY) == 204
    assert (room.entry(one).status, room.entry(one).lease_until) == ("waiting", LATER)
    assert (room.events(), room.dead_letters()) == ([], [])
    worker.now = LATER - timedelta(seconds=1)
    assert (worker.sweep(), woken(room)) == (204, [])
    worker.now = LATER
    assert (worker.sweep(), woken(room)) == (204, [one])
    assert worker.push(one) == 204
    assert (room.ending(one), len(api.requests)) == (("sent", None, ""), 2)


def test_other_mail_does_not_knock_meanwhile_by_whichever_instance_it_would_leave(
    room: MailRoom, api: ProviderApi, worker: Worker
) -> None:
    first, second, third = some(3)
    other = Worker(room, sender=connect(api, "sendgrid"))
    other.now = NINE
    api.answers = [BUSY]
    assert [worker.push(first), worker.push(second)] == [204, 204]
    other.now += LOOK_EVERY
    assert other.push(third) == 204
    assert {room.entry(one).lease_until for one in (first, second, third)} == {LATER}
    assert len(api.requests) == 1
    other.now = LATER
    assert other.push(third) == 204
    assert room.ending(third)[0] == "sent"


def test_a_date_is_understood_too_and_no_wait_is_longer_than_an_hour(
    room: MailRoom, api: ProviderApi, worker: Worker
) -> None:
    (one,) = some(1)
    api.answers = [Answer(503, None, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"})]
    assert worker.push(one) == 204
    assert room.entry(one).lease_until == NINE + timedelta(hours=1)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}])
def test_without_a_word_on_when_pubsub_decides(
    room: MailRoom, api: ProviderApi, worker: Worker, headers: dict[str, str]
) -> None:
    first, second = some(2)
    api.answers = [Answer(429, None, headers)]
    assert [worker.push(first), worker.push(second)] == [503, 204]
    assert [room.ending(one)[0] for one in (first, second)] == ["claimed", "sent"]


def test_marketing_mail_waits_for_a_day_at_most(room: MailRoom, api: ProviderApi, worker: Worker) -> None:
    """As for any other turn."""
    (one,) = some(1)
    for _ in range(24):
        api.answers = [Answer(429, None, {"Retry-After": "999999"})]
        assert worker.push(one) == 204
        worker.now += timedelta(hours=1)
    assert worker.push(one) == 204
    assert room.ending(one) == ("suppressed", "waited_too_long", "")
    assert len(api.requests) == 24


def test_transactional_mail_is_given_up_when_the_provider_says_the_same_for_ever(
    room: MailRoom, api: ProviderApi, worker: Worker
) -> None:
    """After a day it is tried as after any other failure, so often and no more; and still nobody knocks too early."""
    (one,) = some(1, kind="transactional", template="welcome")
    api.answers = [BUSY] * 3
    assert worker.push(one) == 204
    worker.now += timedelta(days=1)
    assert [worker.push(one, 1), worker.push(one, 2)] == [503, 503]
    assert (room.ending(one)[0], len(api.requests)) == ("claimed", 2)
    worker.now += timedelta(seconds=120)
    assert worker.push(one, LAST_TRY) == 204
    status, _, detail = room.ending(one)
    assert (status, detail) == ("dead_lettered", f"gave up after {LAST_TRY} deliveries: sendgrid says: 429 -")
    assert [letter.reason for letter in room.dead_letters()] == ["gave_up"]


def test_a_mail_that_may_have_gone_out_does_not_wait_and_the_others_do(
    room: MailRoom, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Mailgun does not say that a 503 comes before any work: the mail is in doubt, and the next ones need not be."""
    with_policy(room, tmp_path, "{}")
    first, second = some(2)
    with ProviderApi(APIS["mailgun"]) as api:
        worker = worker_at(room, NINE, sender=connect(api, "mailgun"))
        api.answers = [Answer(503, "away", {"Retry-After": "120"})]
        assert [worker.push(first), worker.push(second)] == [503, 204]
        assert [room.ending(one)[0] for one in (first, second)] == ["handing_over", "waiting"]
        assert len(api.requests) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "functions.turns"]
    assert said == ["mailgun wants to be left alone for 120 s"]


def test_the_wait_counts_from_when_it_was_said(room: MailRoom, api: ProviderApi, tmp_path: Path) -> None:
    """And not from when the work began: the provider took its time to say so."""
    with_policy(room, tmp_path, "{}")
    sender: Any = connect(api, "sendgrid")
    worker = worker_at(room, NINE, sender=sender)
    send = sender.send

    def slowly(mail: Any, leave: Any) -> None:
        try:
            send(mail, leave)
        finally:
            worker.now += timedelta(seconds=30)

    sender.send = slowly
    (one,) = some(1)
    api.answers = [BUSY]
    assert worker.push(one) == 204
    assert room.entry(one).lease_until == LATER + timedelta(seconds=30)
