"""One decision that was claimed, brought to its end: sent, or not, with every fault by whose fault it is."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from functions.outgoing import Outgoing
from functions.push import Push
from functions.recipients import SuppressedError, UnknownRoleError
from tidings.adapters.pubsub import Message, Publisher
from tidings.errors import (
    AddressError,
    DeadAddressError,
    InvalidEventError,
    RefusedError,
    TemplateError,
    TemporaryError,
    TidingsError,
    UnknownOutcomeError,
)
from tidings.mailing.ledger import OUTCOME_UNKNOWN
from tidings.mailing.sending import Outcome
from tidings.permission.consent import person_digest
from tidings.records.store import Claim, FinalStatus, LedgerEntry, Letter, Store
from tidings.settings import Settings
from tidings.wire import dead_letter
from tidings.wire.decisions import Decision, Reason

BEGIN_BY, ANSWER_BY = 0.25, 0.9
"""Of a lease: who has not come to the mail itself by then gives it back, so that the mail server has the better part
of it; and what the mail server has not answered by then stays unknown, so that there is time to write answers down."""

RESERVE = 5
"""Of the deliveries that Pub/Sub allows, the last ones are for giving up alone: a worker may have died in the last try,
or still be at work, and Pub/Sub or the store may be away when the end is to be recorded."""

log = logging.getLogger(__name__)


class OvertakenError(TemporaryError):
    """Another worker has the decision, or its entry was erased: it is not for this one to say how it ends."""

    def __init__(self) -> None:
        super().__init__("another worker has it, or it is gone")


class ErasedError(TidingsError):
    """Everything about the person was erased while we were at work for them, and nothing may be kept of it."""


class Job(NamedTuple):
    """One decision that is ours to bring to its end.

    Attributes:
        message: how it came.
        held: our claim.
        began: when we claimed it; the lease counts from then.
    """

    decision: Decision
    message: Push
    held: LedgerEntry
    began: datetime


class Ending(NamedTuple):
    """How a decision ended, as the ledger keeps it; and what is counted of it."""

    status: FinalStatus
    reason: Reason | None = None
    detail: str = ""
    counts: tuple[Outcome, ...] = ()


class Dispatch:
    """Works on one decision at a time for each thread that calls it.

    Args:
        settings: the lease, how often Pub/Sub delivers, the topic of dead letters, and the secret.
        store: the ledger, and who was erased.
        publisher: takes dead letters.
        outgoing: makes mails and hands them over.
        clock: the time.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        outgoing: Outgoing,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._outgoing = outgoing
        self._clock = clock
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._last_try = settings.delivery_attempts - RESERVE

    def __call__(self, job: Job, claim: Claim) -> Ending:
        """Bring it to its end. Who is erased in this very moment may have been claimed first: they are asked for again.

        Raises:
            ErasedError: nothing may be kept of it.
            NotYetError: its turn has not come.
            TemporaryError: not now; it was given back, if it still was ours.
        """
        if job.decision.reason == "erased" or self.is_erased(job.decision):
            raise ErasedError
        if claim is Claim.UNKNOWN:
            return self._leave_open(job)
        return self._work(job)

    def _work(self, job: Job) -> Ending:
        """Bring it to its end. After a clean failure it is free for the next try."""

        def leave(letter: Letter) -> float:
            # What is left of the lease must be enough for the mail itself, or another worker could begin meanwhile.
            if self._clock() - job.began > self._lease * BEGIN_BY:
                raise TemporaryError("the mail server took too long")
            if not self._store.hand_over(job.held, self._clock(), letter):
                raise OvertakenError
            patience = job.began + self._lease * ANSWER_BY - self._clock()
            if patience <= timedelta(0):
                raise TemporaryError("the store took too long")
            return patience.total_seconds()

        try:
            return self._end(job, leave)
        except (OvertakenError, UnknownOutcomeError):
            raise  # the entry is another worker's; or it stays "handing over", and only the end of the lease may decide
        except TemporaryError:
            self._store.release(job.held, self._clock())
            raise

    def _end(self, job: Job, leave: Callable[[Letter], float]) -> Ending:
        """Every fault of one decision, by whose fault it is; what is left is nobody's, and tried as long as it goes."""
        decision, attempt = job.decision, job.message.attempt
        if decision.outcome != "send":
            return Ending(decision.outcome, decision.reason)
        if attempt > self._last_try:
            return self._give_up(job, "the last try came to no end")
        try:
            self._outgoing.send(decision, job.held, job.began, leave)
        except SuppressedError as gate:
            return Ending("suppressed", gate.reason, gate.detail)
        except AddressError as fault:
            is_dead = isinstance(fault, DeadAddressError)
            counts: tuple[Outcome, ...] = ("sent", "hard_bounced") if is_dead else ("sent",)
            return Ending("suppressed", "suppressed_address", str(fault), counts)
        except UnknownRoleError as fault:
            return self._dead(job, "A role has no address", "unknown_role", f"unknown_role: {fault}")
        except TemplateError as fault:
            return self._dead(job, "A template cannot be rendered", "render_failed", str(fault), "render_failed")
        except InvalidEventError as fault:
            return self._dead(job, "An event cannot be shown", "render_failed", fault.detail, "render_failed")
        except RefusedError as fault:
            return self._dead(job, "A mail is refused for good", "refused", str(fault))
        except (OvertakenError, UnknownOutcomeError):
            raise
        except TemporaryError as fault:
            # Who has used up half of the lease might be overtaken in the middle of giving up: the reserve will do it.
            if attempt < self._last_try or self._clock() - job.began > self._lease / 2:
                raise
            return self._give_up(job, str(fault))
        return Ending("sent", counts=("sent",))

    def _give_up(self, job: Job, why: str) -> Ending:
        """No more tries. What may have gone out in an earlier one is not called unsent."""
        if job.held.repeats:
            return self._leave_open(job)
        return self._dead(
            job, "A decision is given up", "gave_up", f"gave up after {job.message.attempt} deliveries: {why}"
        )

    def _leave_open(self, job: Job) -> Ending:
        """Nobody can know whether it went out, so somebody has to look."""
        return self._dead(job, "A mail may have gone out, or not", "outcome_unknown", OUTCOME_UNKNOWN)

    def _dead(self, job: Job, what: str, why: str, detail: str, reason: Reason | None = None) -> Ending:
        """Say `what` to the operator, and publish a dead letter that says `why`; if it still is for us to say."""
        entry = self._store.ledger_entry(job.decision.send_id)
        if entry is None or entry.claim_id != job.held.claim_id:
            raise OvertakenError
        log.error("%s: %s", what, detail, extra={"labels": {"rule": job.decision.rule_id}})
        self.bury(job.message, why, detail, job.began, job.decision)
        return Ending("dead_lettered", reason, detail)

    def bury(self, message: Push, reason: str, detail: str, now: datetime, decision: Decision | None = None) -> None:
        """Publish a dead letter; of a decision, unless there may be nothing left of it.

        Raises:
            ErasedError: the person was erased while we were at work.
        """
        if decision and self.is_erased(decision):
            raise ErasedError
        letter = dead_letter.build("deliver", reason, detail, message.data, message.attributes, now)
        self._publisher.publish(self._settings.dead_letters_topic, [Message(*letter)])

    def is_erased(self, decision: Decision) -> bool:
        """Whether this was decided from what has been erased since. Who came back later is somebody new."""
        erased_at = self._store.erased_at(person_digest(decision.person, self._settings.secret))
        return erased_at is not None and decision.decided_at <= erased_at
