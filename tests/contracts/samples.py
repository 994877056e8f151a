"""Small things to keep, and ways to be in two places at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, TypeVar

import msgspec

from tidings.records.feedback import Feedback
from tidings.records.store import ConsentRecord, Receipt
from tidings.wire.decisions import Decision, Trigger

NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
AWKWARD_KEYS = [
    "u:1", "U:1", "u:1 ", "u:1/2", "u:1_2", ".", "..", "__x__", "__id7__", "~", "~" + "0" * 64, "%2F", "a\nb", "a\x00b",
    "u:ann@example.com", "\N{SNOWMAN}", "x" * 1500, "x" * 1501, "x" * 1502, "\N{SNOWMAN}" * 501,
]  # fmt: skip
"""Keys that a database may stumble over, or take one for another."""

RULE: dict[str, Any] = {"id": "cart", "trigger": {"not_performed": {"within": "15m", "events": ["Order Completed"]}}}

_T = TypeVar("_T")


def at(seconds: float) -> datetime:
    """An instant around noon."""
    return NOON + timedelta(seconds=seconds)


def a_decision(send_id: str = "send-1", person: str = "u:1") -> Decision:
    """A decision with something in every corner."""
    trigger = Trigger(name="Cart Viewed", timestamp=at(-60), properties=msgspec.Raw(b'{"rows":[[1,2],[3]],"n":1e2}'))
    return Decision(
        send_id=send_id,
        rule_id="cart-abandoned",
        rule_version="v1",
        person=person,
        episode="episode-1",
        template="cart",
        due_at=at(-1),
        decided_at=at(0),
        evidence=("message-1", "message-2"),
        event=trigger,
        events=(trigger,),
        category="reminders",
    )


def a_feedback(feedback_id: str = "f-1", seconds: float = 0, person: str = "u:1", **fields: Any) -> Feedback:
    """A click on the second link of a mail, with something in every corner."""
    filled: dict[str, Any] = {
        "send_id": "send-1",
        "kind": "clicked",
        "source": "engage",
        "agent": "human",
        "reasons": ("too-soon", "no-agent"),
        "detail": {"link": 2, "nested": [[1, {"": None}]]},
        **fields,
    }
    return Feedback(feedback_id=feedback_id, person=person, at=at(seconds), **filled)


def a_consent(record_id: str, seconds: float = 0, person: str = "u:1", given: bool = True) -> ConsentRecord:
    """Somebody has said yes to marketing mail, or no."""
    return ConsentRecord(
        record_id=record_id,
        person=person,
        category="marketing",
        action="given" if given else "withdrawn",
        at=at(seconds),
        source="event",
        words="Yes, write to me: \N{SNOWMAN}",
    )


def a_receipt(receipt_id: str = "r-1", seconds: float = 0, **fields: Any) -> Receipt:
    """Somebody was erased."""
    filled: dict[str, Any] = {
        "kind": "erasure",
        "person_digest": "digest-1",
        "counts": {"ledger": 2, "profiles": 1},
        "requested_by": "recipient",
        **fields,
    }
    return Receipt(receipt_id=receipt_id, at=at(seconds), **filled)


def together(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run all calls at the same instant, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], _T]) -> _T:
        barrier.wait(timeout=60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
