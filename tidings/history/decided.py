"""Everything that the rules decide about a past: written down in order of time, and added up."""

import heapq
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.history.parts import append_record, read_records
from tidings.rollout.rule_set import RuleSet
from tidings.wire import decisions
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, millis


class Tally(msgspec.Struct):
    """What the people of one part, or all of them, come to.

    Attributes:
        people: how many there are, anonymous ids that nobody has joined included.
        endings: (rule, outcome or reason) -> how many decisions.
        outside: rule -> how often it fired for somebody outside its audience.
        mismatches: (rule, what was expected and found) -> how often a rule could not read an event.
        duplicates / crowded_out: see `tidings.deciding.engine.Outcome`.
    """

    people: int = 0
    endings: dict[tuple[str, str], int] = {}
    outside: dict[str, int] = {}
    mismatches: dict[tuple[str, str], int] = {}
    duplicates: int = 0
    crowded_out: int = 0

    def add(self, other: "Tally") -> None:
        """Take in those of another part."""
        self.people += other.people
        self.endings = dict(Counter(self.endings) + Counter(other.endings))
        self.outside = dict(Counter(self.outside) + Counter(other.outside))
        self.mismatches = dict(Counter(self.mismatches) + Counter(other.mismatches))
        self.duplicates += other.duplicates
        self.crowded_out += other.crowded_out


class Decide(msgspec.Struct, frozen=True):
    """Makes the task of a part; goes to other processes.

    Attributes:
        rules: what decides.
        until: how far the past reaches, in milliseconds.
        since: what was decided before is not told, because the past before it only says what people had done.
        folder: where the decisions go.
    """

    rules: RuleSet
    until: int
    since: datetime | None
    folder: Path

    def __call__(self, number: int) -> "DecidePart":
        """The task of this part."""
        return DecidePart(self, number)


class DecidePart:
    """One part: a `tidings.history.run.Task`."""

    def __init__(self, plan: Decide, number: int) -> None:
        self._plan = plan
        self._number = number
        self._tally = Tally()
        self._endings: Counter[tuple[str, str]] = Counter()
        self._outside: Counter[str] = Counter()
        self._mismatches: Counter[tuple[str, str]] = Counter()
        self._decided: list[tuple[str, bytes]] = []

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self._plan.rules.book())

    def person(self, person: str, history: list[Event]) -> None:
        """See `Task`."""
        plan, tally = self._plan, self._tally
        outcome = replay(self._engine, person, history, plan.until)
        tally.people += 1
        tally.duplicates += outcome.duplicates
        tally.crowded_out += outcome.crowded_out
        self._mismatches.update((one.rule_id, one.detail) for one in outcome.faults)
        self._outside.update(one.rule_id for one in outcome.outside if self._is_told(one))
        for decision in filter(self._is_told, outcome.decisions):
            self._endings[decision.rule_id, decision.reason or decision.outcome] += 1
            self._decided.append((order(decision), decisions.encode(decision)))

    def _is_told(self, decision: Decision) -> bool:
        return self._plan.since is None or decision.decided_at >= self._plan.since

    def finish(self) -> Tally:
        """See `Task`."""
        write_sorted(self._plan.folder, self._number, self._decided)
        self._tally.endings = dict(self._endings)
        self._tally.outside = dict(self._outside)
        self._tally.mismatches = dict(self._mismatches)
        return self._tally


def order(decision: Decision) -> str:
    """The order of decisions in a file: when they were decided, and then whatever is always the same."""
    return f"{millis(decision.decided_at):015d} {decision.send_id}"


def write_sorted(folder: Path, number: int, records: list[tuple[str, bytes]]) -> None:
    """Leave the records of one part, in the order of their keys."""
    buffer = bytearray()
    for key, data in sorted(records):
        append_record(buffer, key, data)
    (folder / f"{number}.sorted").write_bytes(buffer)


def merged(folder: Path) -> Iterator[bytes]:
    """What all parts have left, in the order of their keys, without holding it in memory."""
    for _, data in heapq.merge(*(read_records(path) for path in sorted(folder.glob("*.sorted")))):
        yield data
