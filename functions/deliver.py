"""The mailer: one decision comes in by Pub/Sub push, and it ends in exactly one way, once.

What the ledger promises: a decision that was answered is never sent again, and one that was not is tried until it is.
What nobody can promise: when a worker dies, the connection breaks or the mail server stays silent between the mail's
last byte and the recorded answer, it may or may not have gone out. Marketing mail is then dead-lettered for a person to
look at and never sent twice; transactional mail is sent once more under the same Message-ID, and dead-lettered when
that ends in the same way (`tidings.mailing.ledger`).

Pub/Sub delivers a decision so many times and no more; then it moves it to the dead letters by itself, without a word
why, and the ledger would never hear of it. So the mailer gives up a little earlier, with a reason. A mail whose turn
has not come would use these deliveries up, so it is put aside and answered, and `functions.sweep` publishes it again.

How it ended is told to the stream as an event of the person, after it was recorded, and again with every delivery of
the same decision, so that no crash in between can lose it; its messageId is derived from the send id.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import flask

from functions import push
from functions.dispatch import Dispatch, Ending, ErasedError, Job, OvertakenError
from functions.outgoing import Outgoing
from functions.push import Push
from functions.sweep import Sweep
from functions.turns import NotYetError
from tidings.adapters.pubsub import Publisher
from tidings.errors import InvalidEventError, TemporaryError
from tidings.feedback.email_events import of_ending
from tidings.mailing import sending
from tidings.mailing.breaker import Meter
from tidings.mailing.mail import Sender
from tidings.mailing.message import check
from tidings.permission.consent import person_digest
from tidings.records.store import Claim, LedgerEntry, Store
from tidings.settings import Settings
from tidings.wire import decisions, topics
from tidings.wire.decisions import without_person

TOLD_FOR = timedelta(days=1)
"""So long after its end a decision that comes again has its end told again: as long as the pipeline remembers the ids
of events for, so that nobody counts it twice."""

log = logging.getLogger(__name__)


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
        outgoing = Outgoing(settings, store, sender, clock)
        self._dispatch = Dispatch(settings, store, publisher, outgoing, clock)
        self._meter = Meter(store, sender.provider)
        self._sweep = Sweep(settings, sending.load(settings.policy), store, publisher, sender.provider, clock)
        self._clock = clock
        self._lease = timedelta(seconds=settings.lease_seconds)

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
            self._dispatch.bury(message, fault.reason, fault.detail, now)
            return fault.reason
        bare = without_person(decision, person_digest(decision.person, self._settings.secret))
        is_erased = decision.reason == "erased" or self._dispatch.is_erased(decision)
        claim, held = self._store.claim(bare if is_erased else decision, now, self._lease)
        if claim is Claim.DONE:
            self._tell(held)
            return "duplicate"
        if claim is Claim.HELD:
            raise OvertakenError
        try:
            ending = self._dispatch(Job(decision, message, held, now), claim)
        except NotYetError as turn:
            if not self._store.wait(held, self._clock(), turn.until):
                raise OvertakenError from None
            return "waiting"
        except ErasedError:
            ending = Ending("suppressed", "erased")
        # If this fails after the mail has left, the entry says "handing over", and the next claim UNKNOWN.
        kept = bare if ending.reason == "erased" else None
        entry = self._store.finish(held, ending.status, self._clock(), ending.reason, ending.detail, kept)
        self._meter.count(self._clock(), *ending.counts)
        if entry is None:
            raise OvertakenError
        self._tell(entry)
        return ending.reason or ending.status

    def _tell(self, entry: LedgerEntry) -> None:
        """Publish how it ended. What fails here is made good by the next delivery."""
        event = of_ending(entry) if self._clock() - entry.updated_at < TOLD_FOR else None
        if event:
            self._publisher.publish(self._settings.events_topic, [topics.of_event(event)])
