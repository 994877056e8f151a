"""The one stateful step: all rules, for one person, with one state cell and one timer.

Labels, state and timer names, and coders are part of a running job's identity: change them, and an update of the job
is refused. `tests/pipeline/test_job_graph.py` holds them fast.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from pipeline import rulebooks
from pipeline.decode import DEAD
from pipeline.metrics import counter
from pipeline.options import RulesSettings
from tidings.deciding import identity, state
from tidings.deciding.engine import Engine, Fault, Outcome
from tidings.deciding.erasure import Erased
from tidings.deciding.identity import Handover
from tidings.deciding.state import PersonState
from tidings.ingest import intake
from tidings.rules.kinds.base import NEVER
from tidings.wire import dead_letter
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

ONWARD = "onward"

_CLOCK_SLACK = 60_000
"""So far, in milliseconds, a worker's clock may be behind the watermark before a timer looks like a drain."""

_RETRY = 3_600_000
"""When a wake that failed is tried again, in milliseconds."""

_log = logging.getLogger(__name__)


class Reporter:
    """Turns an outcome of the engine into elements and counts; the same for the live and the bounded form."""

    def __init__(self) -> None:
        self._decisions = counter("decisions")
        self._duplicates = counter("duplicates")
        self._mismatches = counter("type_mismatches")
        self._dead = counter("dead_letters")
        self._crowded_out = counter("crowded_out")
        self._handed_over = counter("handed_over")
        self._followed = counter("followed")

    def report(self, outcome: Outcome, now: int) -> Iterator[Any]:
        """Decisions as they are, faults as dead letters."""
        self._duplicates.inc(outcome.duplicates)
        self._decisions.inc(len(outcome.decisions))
        self._crowded_out.inc(outcome.crowded_out)
        yield from outcome.decisions
        for fault in outcome.faults:
            self._mismatches.inc()
            yield self._of_fault(fault, now)

    def onward(self, events_of_others: Sequence[Event]) -> Iterator[TaggedOutput]:
        """What belongs to another id, as messages for the events topic."""
        for event in events_of_others:
            (self._handed_over if isinstance(event, Handover) else self._followed).inc()
            yield TaggedOutput(ONWARD, PubsubMessage(*identity.message(event)))

    def failed(self, event: Event, error: Exception, now: int) -> TaggedOutput:
        """An event that this code could not digest. Nothing of it was remembered, so it can be replayed."""
        self._dead.inc()
        return _dead("engine_failed", type(error).__name__, event, now)

    def _of_fault(self, fault: Fault, now: int) -> TaggedOutput:
        self._dead.inc()
        return _dead("type_mismatch", f"rule {fault.rule_id}: {fault.detail}", fault.event, now)


def _dead(reason: str, detail: str, event: Event, now: int) -> TaggedOutput:
    at = datetime.fromtimestamp(now / 1000, UTC)
    raw, schema = intake.to_message(event)
    data, labels = dead_letter.build("decide", reason, detail, raw, {"schema": schema}, at)
    return TaggedOutput(DEAD, PubsubMessage(data, labels))


class Decide(beam.DoFn):
    """Feeds events to the engine as they come, and wakes it when the watermark passes what it waits for."""

    CELL = ReadModifyWriteStateSpec("person", BytesCoder())
    WAKE = TimerSpec("wake", TimeDomain.WATERMARK)

    def __init__(self, rules: RulesSettings) -> None:
        self._rules = rules
        self._reporter = Reporter()
        self._drained = counter("drained_timers")
        self._failed = counter("failed_wakes")
        self._erased = counter("erased")
        self._engine: Engine | None = None

    def start_bundle(self) -> None:
        """One immutable rule book for the whole bundle."""
        self._engine = rulebooks.engine(self._rules)

    def process(
        self,
        element: tuple[str, Event],
        timestamp: Any = beam.DoFn.TimestampParam,
        cell: Any = beam.DoFn.StateParam(CELL),
        timer: Any = beam.DoFn.TimerParam(WAKE),
    ) -> Iterator[Any]:
        """An event has arrived.

        A stateful step must not raise: the local runner loses the bundle after four tries, and Dataflow tries for ever.
        So whatever goes wrong in here becomes a dead letter, before any state is written.
        """
        person, event = element
        now = timestamp.micros // 1000
        assert self._engine is not None
        try:
            raw = cell.read()
            known = state.decode(raw) if raw else PersonState(person)
            outcome, onward = identity.take(self._engine, known, event, now)
            sooner, after = _settle(known)
            self._erased.inc(isinstance(event, Erased))
        except Exception as error:  # noqa: BLE001 - see above
            yield self._reporter.failed(event, error, now)
            return
        _write(cell, timer, sooner, raw, after)
        yield from self._reporter.report(outcome, now)
        yield from self._reporter.onward(onward)

    @on_timer(WAKE)
    def wake(
        self,
        timestamp: Any = beam.DoFn.TimestampParam,
        cell: Any = beam.DoFn.StateParam(CELL),
        timer: Any = beam.DoFn.TimerParam(WAKE),
    ) -> Iterator[Any]:
        """The watermark has passed the timer.

        A drain moves the watermark to the end of time and would fire everything that still waits; what lies in the
        future by the wall clock is therefore not due. Should the job go on all the same, the next event sets the timer
        again. A firing without state (runners may repeat one) does nothing.
        """
        now = timestamp.micros // 1000
        raw = cell.read()
        if not raw:
            return
        assert self._engine is not None
        try:
            known = state.decode(raw)
            known.timer_at = NEVER
            if now > time.time() * 1000 + _CLOCK_SLACK:
                self._drained.inc()
                cell.write(state.encode(known))
                return
            outcome = self._engine.wake(known, now)
            sooner, after = _settle(known)
        except Exception as error:  # noqa: BLE001 - as in process; what is remembered stays as it was
            _log.error("a wake failed and is tried again in an hour: %s", type(error).__name__)
            self._failed.inc()
            timer.set(Timestamp(micros=(now + _RETRY) * 1000))
            return
        _write(cell, timer, sooner, raw, after)
        yield from self._reporter.report(outcome, now)


def _settle(known: PersonState) -> tuple[int | None, bytes | None]:
    """When the timer must fire, if that is earlier than it is set to; and the state as bytes, if any is left."""
    sooner = known.wake_at if known.wake_at < known.timer_at else None
    if sooner is not None:
        known.timer_at = sooner
    return sooner, None if known.is_empty else state.encode(known)


def _write(cell: Any, timer: Any, sooner: int | None, before: bytes | None, after: bytes | None) -> None:
    """Write the state if it changed. Nothing in here depends on what came in, so nothing in here fails for it."""
    if sooner is not None:
        timer.set(Timestamp(micros=sooner * 1000))
    if after is None:
        cell.clear()
    elif after != before:
        cell.write(after)


__all__ = ["Decide", "Decision", "Reporter"]
