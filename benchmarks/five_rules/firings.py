"""What the programs are compared by: which rule fired, for whom, for which key, and when it became true."""

from collections.abc import Iterable
from typing import NamedTuple

from tidings.wire.decisions import Decision
from tidings.wire.events import millis


class Firing(NamedTuple):
    """One rule became true for one person; `due_at` in milliseconds of event time."""

    rule: str
    person: str
    key: str
    due_at: int


def of_decisions(decisions: Iterable[Decision]) -> list[Firing]:
    """The engine's decisions in these terms, in order."""
    return sorted(
        Firing(one.rule_id, one.person.removeprefix("u:"), one.entry_key, millis(one.due_at)) for one in decisions
    )
