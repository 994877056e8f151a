"""The mailer: one decision comes in by Pub/Sub push, and it ends in exactly one way, once.

What the ledger promises: a decision that was answered is never sent again, and one that was not is tried until it is.
What nobody can promise: when a worker dies, the connection breaks or the mail server stays silent between the mail's
last byte and the recorded answer, it may or may not have gone out. Marketing mail is then dead-lettered for a person to
look at and never sent twice; transactional mail is sent once more under the same Message-ID, and dead-lettered when
that ends in the same way (`tidings.ledger`).

Pub/Sub delivers a decision so many times and no more; then it moves it to the dead letters by itself, without a word
why, and the ledger would never hear of it. So the mailer gives up a little earlier, with a reason. A mail whose turn
has not come would use these deliveries up, so it is put aside and answered, and `functions.sweep` publishes it again.

How it ended is told to the stream as an event of the person, after it was recorded, and again with every delivery of
the same decision, so that no crash in between can lose it; its messageId is derived from the send id.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import flask

from functions import push
from functions.outgoing import Outgoing
from functions.push import Push
from functions.recipients import SuppressedError, UnknownRoleError
from functions.sweep import Sweep
from functions.turns import NotYetError
from tidings import dead_letter, decisions, sending, topics
from tidings.adapters.pubsub import Message, Publisher
from tidings.breaker import Meter
from tidings.consent import person_digest
from tidings.decisions import Decision, Reason, without_person
from tidings.email_events import of_ending
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
from tidings.ledger import OUTCOME_UNKNOWN
from tidings.mail import Sender
from tidings.message import check
from tidings.sending import Outcome
from tidings.settings import Settings
from tidings.store import Claim, FinalStatus, LedgerEntry, Letter, Store

BEGIN_BY, ANSWER_BY = 0.25, 0.9
"""Of a lease: who has not come to the mail itself by then gives it back, so that the mail server has the better part
of it; and what the mail server has not answered by then stays unknown, so that there is time to write answers down."""

RESERVE = 5
"""Of the deliveries that Pub/Sub allows, the last ones are for giving up alone: a worker may have died in the last try,
or still be at work, and Pub/Sub or the store may be away when the end is to be recorded."""

TOLD_FOR = timedelta(days=1)
"""So long after its end a decision that comes again has its end told again: as long as the pipeline remembers the ids
of events for, so that nobody counts it twice."""

log = logging.getLogger(__name__)


class OvertakenError(TemporaryError):
    """Another worker has the decision, and it is not for this one to say how it ends."""


class ErasedError(TidingsError):
    """Everything about the person was erased while we were at work for them, and nothing may be kept of it."""


class Ending(NamedTuple):
    """How a decision ended, as the ledger keeps it; and what is counted of it."""

    status: FinalStatus
    reason: Reason | None = None
    detail: str = ""
    counts: tuple[Outcome, ...] = ()


class Mailer:
    """Answers the push requests of one function instance; any number of threads may call it.

    An answer of 204 says that the decision has ended, or is dead-lettered, or put aside, or had ended before; 503 asks
    for it again. A request for `.../sweep` is no push request: it asks to look after everything that waits.

    Args:
        settings: who sends, with which secret, from which folders of templates and policies, and addresses of roles.
        store: profiles, consent, suppressions and the ledger.
        publisher: takes dead letters, events about mails, and sends whose turn has come.
        sender: the door that mail leaves by.
        clock: the time; only the shell reads one.

    Raises:
        SettingsError: no mail could ever be built with these settings.
        InvalidRuleError: `categories.yaml` or `sending.yaml` is refused.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        sender: Sender,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        check(settings)
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._outgoing = Outgoing(settings, store, sender)
        self._meter = Meter(store, sender.provider)
        self._sweep = Sweep(settings, sending.load(settings.policy), store, publisher, sender.provider, clock)
        self._clock = clock
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._last_try = settings.delivery_attempts - RESERVE

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one push request, whatever it is."""
        if request.method != "POST":
            return flask.Response(status=405, headers={"Allow": "POST"})
        if request.path.endswith("/sweep"):
            return self._answer_sweep()
        try:
            outcome = self._receive(push.read(request.get_data()))
        except TemporaryError as error:
            log.warning("A decision comes again: %s", error, extra={"labels": {"fault": type(error).__name__}})
            return flask.Response(status=503, headers={"Retry-After": "5"})
        log.info("A decision was answered", extra={"labels": {"outcome": outcome}})
        return flask.Response(status=204)

    def close(self) -> None:
        """Before this instance ends: what it has counted must not go with it."""
        self._meter.tell(self._clock())

    def _answer_sweep(self) -> flask.Response:
        self._meter.tell(self._clock())
        try:
            woken = self._sweep()
        except TemporaryError as error:
            log.warning("A sweep was cut short: %s", error, extra={"labels": {"fault": type(error).__name__}})
            return flask.Response(status=503)
        if woken:
            log.info("Sends were woken: %d", woken)
        return flask.Response(status=204)

    def _receive(self, message: Push) -> str:
        """Bring one message to its end; returns a word for the log.

        Raises:
            TemporaryError: not now; nothing is lost by trying again.
        """
        now = self._clock()
        try:
            decision = decisions.read_message(message.data, message.attributes)
        except InvalidEventError as fault:
            self._bury(message, fault.reason, fault.detail, now)
            return fault.reason
        bare = without_person(decision, person_digest(decision.person, self._settings.secret))
        is_erased = decision.reason == "erased" or self._is_erased(decision)
        claim = self._store.claim(bare if is_erased else decision, now, self._lease)
        if claim is Claim.DONE:
            self._tell(self._store.ledger_entry(decision.send_id))
            return "duplicate"
        if claim is Claim.HELD:
            raise OvertakenError("another worker has it")
        try:
            ending = self._bring_to_an_end(decision, message, now, claim)
        except NotYetError as turn:
            self._store.wait(decision.send_id, self._clock(), turn.until)
            return "waiting"
        except ErasedError:
            ending = Ending("suppressed", "erased")
        # If this fails after the mail has left, the entry says "handing over", and the next claim UNKNOWN.
        kept = bare if ending.reason == "erased" else None
        entry = self._store.finish(decision.send_id, ending.status, self._clock(), ending.reason, ending.detail, kept)
        self._meter.count(self._clock(), *ending.counts)
        self._tell(entry)
        return ending.reason or ending.status

    def _bring_to_an_end(self, decision: Decision, message: Push, now: datetime, claim: Claim) -> Ending:
        """What was claimed. Who is erased in this very moment may have been claimed first, so it is asked once more."""
        if decision.reason == "erased" or self._is_erased(decision):
            raise ErasedError
        if claim is Claim.UNKNOWN:
            return self._leave_open(decision, message, now)
        return self._work(decision, message, now)

    def _is_erased(self, decision: Decision) -> bool:
        """Whether this was decided from what has been erased since. Who came back later is somebody new."""
        erased_at = self._store.erased_at(person_digest(decision.person, self._settings.secret))
        return erased_at is not None and decision.decided_at <= erased_at

    def _tell(self, entry: LedgerEntry | None) -> None:
        """Publish how it ended. What fails here is made good by the next delivery."""
        event = of_ending(entry) if entry and self._clock() - entry.updated_at < TOLD_FOR else None
        if event:
            self._publisher.publish(self._settings.events_topic, [topics.of_event(event)])

    def _work(self, decision: Decision, message: Push, now: datetime) -> Ending:
        """Bring a decision that is ours to its end. After a clean failure it is free for the next try."""
        handed_over = False

        def leave(letter: Letter) -> float:
            nonlocal handed_over
            # What is left of the lease must be enough for the mail itself, or another worker could begin meanwhile.
            if self._clock() - now > self._lease * BEGIN_BY:
                raise TemporaryError("the mail server took too long")
            if not self._store.hand_over(decision.send_id, self._clock(), letter):
                raise OvertakenError("another worker has it")
            handed_over = True
            patience = now + self._lease * ANSWER_BY - self._clock()
            if patience <= timedelta(0):
                raise TemporaryError("the store took too long")
            return patience.total_seconds()

        try:
            return self._end(decision, message, now, leave)
        except (OvertakenError, UnknownOutcomeError):
            raise  # the entry is another worker's; or it stays "handing over", and only the end of the lease may decide
        except TemporaryError:
            self._store.release(decision.send_id, self._clock(), handed_over=handed_over)
            raise

    def _end(self, decision: Decision, message: Push, now: datetime, leave: Callable[[Letter], float]) -> Ending:
        """Every fault of one decision, by whose fault it is; what is left is nobody's, and tried as long as it goes."""
        if decision.outcome != "send":
            return Ending(decision.outcome, decision.reason)
        if message.attempt > self._last_try:
            return self._give_up(decision, message, "the last try came to no end", now)
        try:
            self._outgoing.send(decision, now, leave)
        except SuppressedError as gate:
            return Ending("suppressed", gate.reason, gate.detail)
        except UnknownRoleError as fault:
            log.error("A role has no address: %s", fault, extra={"labels": {"rule": decision.rule_id}})
            self._bury(message, "unknown_role", str(fault), now, decision)
            return Ending("dead_lettered", detail=f"unknown_role: {fault}")
        except AddressError as fault:
            is_dead = isinstance(fault, DeadAddressError)
            counts: tuple[Outcome, ...] = ("sent", "hard_bounced") if is_dead else ("sent",)
            return Ending("suppressed", "suppressed_address", str(fault), counts)
        except TemplateError as fault:
            log.error("A template cannot be rendered: %s", fault, extra={"labels": {"rule": decision.rule_id}})
            self._bury(message, "render_failed", str(fault), now, decision)
            return Ending("dead_lettered", "render_failed", str(fault))
        except InvalidEventError as fault:
            log.error("An event cannot be shown: %s", fault, extra={"labels": {"rule": decision.rule_id}})
            self._bury(message, "render_failed", fault.detail, now, decision)
            return Ending("dead_lettered", "render_failed", fault.detail)
        except RefusedError as fault:
            log.error("A mail is refused for good: %s", fault, extra={"labels": {"rule": decision.rule_id}})
            self._bury(message, "refused", str(fault), now, decision)
            return Ending("dead_lettered", detail=str(fault))
        except (OvertakenError, UnknownOutcomeError):
            raise
        except TemporaryError as fault:
            # Who has used up half of the lease might be overtaken in the middle of giving up: the reserve will do it.
            if message.attempt < self._last_try or self._clock() - now > self._lease / 2:
                raise
            return self._give_up(decision, message, str(fault), now)
        return Ending("sent", counts=("sent",))

    def _give_up(self, decision: Decision, message: Push, why: str, now: datetime) -> Ending:
        """No more tries. What may have gone out in an earlier one is not called unsent."""
        entry = self._store.ledger_entry(decision.send_id)
        if entry and entry.repeats:
            return self._leave_open(decision, message, now)
        detail = f"gave up after {message.attempt} deliveries: {why}"
        log.error("A decision is given up: %s", detail, extra={"labels": {"rule": decision.rule_id}})
        self._bury(message, "gave_up", detail, now, decision)
        return Ending("dead_lettered", detail=detail)

    def _leave_open(self, decision: Decision, message: Push, now: datetime) -> Ending:
        """Nobody can know whether it went out, so somebody has to look."""
        self._bury(message, "outcome_unknown", OUTCOME_UNKNOWN, now, decision)
        return Ending("dead_lettered", detail=OUTCOME_UNKNOWN)

    def _bury(self, message: Push, reason: str, detail: str, now: datetime, decision: Decision | None = None) -> None:
        """Publish a dead letter; of a decision, unless there may be nothing left of it.

        Raises:
            ErasedError: the person was erased while we were at work.
        """
        if decision and self._is_erased(decision):
            raise ErasedError
        letter = dead_letter.build("deliver", reason, detail, message.data, message.attributes, now)
        self._publisher.publish(self._settings.dead_letters_topic, [Message(*letter)])
