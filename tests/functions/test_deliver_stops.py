"""Mail that is stopped: by the circuit breaker, which counts what becomes of it, or by an operator."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from functions.turns import PAUSE
from tests.functions.mail_room import SOURCE, MailRoom, envelope
from tests.functions.test_deliver_waits import NINE, some, with_policy, woken, worker_at
from tests.sends import a_decision
from tests.support import eventually
from tidings.local.ports import HOST, free_port
from tidings.mailing import breaker, sending
from tidings.wire import decisions
from tidings.wire.decisions import Decision


def bounced(room: MailRoom, number: int, of: int, now: datetime) -> None:
    """So many of so many mails went to addresses that are dead."""
    sending.count(room.store, "smtp", "sent", now, of)
    sending.count(room.store, "smtp", "hard_bounced", now, number)


def test_when_too_much_bounces_marketing_mail_stops_and_transactional_mail_goes_on(
    room: MailRoom, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sweep says so, as an error, once; and nothing is lost."""
    room = with_policy(room, tmp_path, "{}")
    bounced(room, 30, 200, NINE)
    (marketing,), (receipt,) = some(1), some(1, kind="transactional", template="welcome", rule_version="v2")
    receipt = replace(receipt, send_id="f" * 32)
    worker = worker_at(room, NINE)
    assert [worker.sweep(), worker.sweep()] == [204, 204]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [
        "Marketing mail is stopped: 15% of 200 mails in the last 1d went to dead addresses; the limit is 5%."
        " Look why, then say: tidings sending resume"
    ]
    assert [worker.push(marketing), worker.push(receipt)] == [204, 204]
    assert (room.ending(marketing)[0], room.ending(receipt)[0]) == ("waiting", "sent")

    breaker.resume(room.store, NINE)
    worker.now += PAUSE
    worker.sweep()
    assert woken(room) == [marketing]
    worker.push(marketing)
    assert room.ending(marketing)[0] == "sent"


def test_a_mailer_sees_by_itself_that_addresses_are_dead(room: MailRoom, tmp_path: Path) -> None:
    """The mail server's own answers are counted, as webhooks are."""
    room = with_policy(room, tmp_path, "{breaker: {at_least: 5}}")
    worker = worker_at(room, NINE)
    for number, answer in enumerate(["250 OK", *["550 5.1.1 no such user"] * 3, "550 5.2.1 disabled"]):
        room.meet(f"u:{number}", f"somebody-{number}@example.com")
        room.mail.answers["RCPT"] = [answer]
        worker.push(a_decision(f"u:{number}", decided_at=NINE))
    assert worker.sweep() == 204
    assert room.store.tallies([sending.tally_name("smtp", NINE)]) == [{"sent": 5, "hard_bounced": 3}]
    assert breaker.standing(room.store).stopped == "marketing"


def test_an_operator_can_stop_everything(room: MailRoom, tmp_path: Path) -> None:
    """Transactional mail too."""
    room = with_policy(room, tmp_path, "{}")
    breaker.stop(room.store, "all", "operator", "the relay is being moved", NINE)
    (receipt,) = some(1, kind="transactional", template="welcome")
    worker_at(room, NINE).push(receipt)
    entry = room.entry(receipt)
    assert (entry.status, entry.lease_until) == ("waiting", NINE + PAUSE)


def test_an_instance_that_is_ended_has_told_what_it_has_counted(room: MailRoom) -> None:
    """The platform ends those without work. With half of the mails uncounted, twice as many seem to bounce."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "deliver", "--source", str(SOURCE)]
    with subprocess.Popen([*command, "--host", HOST, "--port", str(port)]) as instance:
        url = f"http://{HOST}:{port}/"

        def push(decision: Decision) -> bool:
            body = envelope(decisions.encode(decision), {"schema": decisions.SCHEMA})
            try:
                return httpx.post(url, content=body).status_code == 204
            except httpx.TransportError:  # it begins
                return False

        for one in some(4):
            eventually(lambda one=one: push(one))
        instance.terminate()
        instance.wait(30)
    now = datetime.now(UTC)
    hours = [sending.tally_name("smtp", one) for one in (now, now - timedelta(hours=1))]
    assert sum(one.get("sent", 0) for one in room.store.tallies(hours)) == 4
