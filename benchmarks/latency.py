"""How long from an event at the front door to the mail in the inbox, and where the time goes; all on this machine.

The local run, as `make run` starts it: 20 people a second do something that a rule answers at once, each in its own
request. The parts write down when they had what: Pub/Sub both messages, the catcher the mail. All read one clock.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from google.cloud.pubsub_v1 import SubscriberClient

from benchmarks.timing import row
from tests.e2e.system import COPY_OF_SENDS, TOPICS, System, running, send_id
from tests.e2e.visitor import FrontDoor, Visitor
from tests.sends import a_mail
from tests.support import eventually
from tidings.adapters.pubsub import subscription_path
from tidings.adapters.smtp import SmtpSender
from tidings.wire import decisions

A_SECOND = 20
SECONDS = 30
WARM_UP = 40
"""People before those that count, so that every process has loaded what it needs."""


class Times(NamedTuple):
    """When one event was where, in seconds since 1970."""

    posted: float
    accepted: float
    queued: float
    decided: float
    in_inbox: float


def run(_: Path) -> str:
    """Four lines for the table."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (system, url):
        times = _drive(system, FrontDoor(url))
        smtp = _smtp_alone(system)

    def took(since: str, until: str) -> list[float]:
        return [getattr(one, until) - getattr(one, since) for one in times]

    request, whole = took("posted", "accepted"), took("posted", "in_inbox")
    parts = {
        "of it until Pub/Sub has the event": took("posted", "queued"),
        "of it until Pub/Sub has the decision": took("queued", "decided"),
        "of it until the mail is in the inbox": took("decided", "in_inbox"),
    }
    return "\n".join(
        [
            row(
                f"event to mail, {A_SECOND} a second for {SECONDS} s, DirectRunner",
                _shown(whole),
                f"the request alone: {_shown(request)}; SMTP alone: {_shown(smtp)}",
                _median(whole) / (_median(request) + _median(smtp)),
            ),
            *(
                row(f"- {part}", _shown(times), f"all of it: {_shown(whole)}", _median(times) / _median(whole))
                for part, times in parts.items()
            ),
        ]
    )


def _drive(system: System, door: FrontDoor) -> list[Times]:
    """Let everybody join, each at their time, and find out how it went."""
    people = [Visitor(door, "guest") for _ in range(WARM_UP + A_SECOND * SECONDS)]
    for visitor in people:
        visitor.introduces_themself()
    eventually(lambda: system.store.profile(people[-1].person))

    start = time.time() + 1

    def join(number: int) -> tuple[float, float]:
        time.sleep(max(0.0, start + number / A_SECOND - time.time()))
        posted = time.time()
        people[number].does("Joined")
        return posted, time.time()

    with ThreadPoolExecutor(8) as pool:  # a slow answer must not hold up those who come after
        requests = list(pool.map(join, range(len(people))))
    eventually(lambda: system.count_mails() == len(people), seconds=120)

    inbox = {send_id(mail): mail.received_at.timestamp() for mail in system.mails()}
    decided = _decisions()
    return [
        Times(*request, *decided[visitor.person][:2], inbox[decided[visitor.person][2]])
        for visitor, request in list(zip(people, requests, strict=True))[WARM_UP:]
    ]


def _decisions() -> dict[str, tuple[float, float, str]]:
    """By person: when Pub/Sub had the event, when it had the decision, and the identity of the send."""
    client, path = SubscriberClient(), subscription_path(TOPICS.project, COPY_OF_SENDS)
    found: dict[str, tuple[float, float, str]] = {}
    while received := client.pull(subscription=path, max_messages=1000, timeout=5).received_messages:
        client.acknowledge(subscription=path, ack_ids=[one.ack_id for one in received])
        for one in received:
            decision = decisions.decode(one.message.data)
            decided_at = one.message.publish_time.timestamp()
            found[decision.person] = (decision.decided_at.timestamp(), decided_at, decision.send_id)
    client.close()
    return found


def _smtp_alone(system: System) -> list[float]:
    """Seconds that it takes to hand one of those mails to the catcher."""
    mail, sender = system.mails()[-1], SmtpSender(system.hears(r"smtp://\S+")[0] + "?tls=none")
    times = []
    for _ in range(200):
        started = time.perf_counter()
        sender.send(a_mail(mail.raw, recipient=mail.recipient), lambda: 10.0)
        times.append(time.perf_counter() - started)
    return times


def _shown(times: Sequence[float]) -> str:
    return f"p50 {_median(times) * 1000:.0f} ms, p95 {statistics.quantiles(times, n=20)[-1] * 1000:.0f} ms"


def _median(times: Sequence[float]) -> float:
    return statistics.median(times)
