"""Puts a dead letter back where it came from, if it can be used by now.

| step | goes to | once |
|---|---|---|
| `collect` | the events topic, by the checks of the front door | by its messageId |
| `decode` | the events topic, as it was | by its messageId |
| `decide` | the events topic, if the engine has kept nothing of it | by its messageId |
| `deliver`, `pubsub` | the sends topic, and the ledger is opened for it | by its send id |
| `hooks` | what providers' reports and inbound mail go through | by the id of the report |

Everything here may be done twice: who crashes between replaying a letter and taking it away replays it again, and the
last column says by what it is then known.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from tidings.dead_letters.letters import Found
from tidings.errors import InvalidEventError, TidingsError
from tidings.ingest import intake, tracking
from tidings.ingest.clock_skew import read_time
from tidings.ingest.tracking_body import Body
from tidings.mailing import ledger
from tidings.privacy.letters import Forgotten
from tidings.records.store import LedgerEntry, Store
from tidings.settings import Settings
from tidings.webhooks import inbound_mail
from tidings.webhooks.clerk import PARSERS, Clerk
from tidings.webhooks.reports import Report, decode
from tidings.wire import decisions, topics
from tidings.wire.dead_letter import DeadLetter
from tidings.wire.topics import Message, Publisher

_DOUBTFUL = "it may have gone out already, so that replaying it may send it twice: look into the mail server's own log"
_COUNTED = "all rules but the one that it names have counted the event: post a mended one, under another messageId"


class StaysError(TidingsError):
    """The letter cannot be replayed now. The message says why, and repeats nothing that a person has brought."""


class Way(NamedTuple):
    """Where a letter goes.

    Attributes:
        to: `events`, `sends`, `reports`; or `nowhere`, because its send has ended since.
        go: send it there. May raise `StaysError`, and `TemporaryError`: then not now.
    """

    to: str
    go: Callable[[], object]


class Redrive:
    """Finds the way back of one letter after the other.

    Args:
        settings: the names of the topics, and the secret of all digests.
        store: who was erased, and the ledger.
        publisher: takes what goes back.
        now: the time.
        may_repeat: also send what may have gone out already.
    """

    def __init__(
        self, settings: Settings, store: Store, publisher: Publisher, now: datetime, *, may_repeat: bool = False
    ) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._now = now
        self._may_repeat = may_repeat
        self._forgotten = Forgotten(store, settings)
        self._clerk = Clerk(settings, store, publisher)
        self._ways: Mapping[str, Callable[[Found], Way]] = {
            "collect": self._through_the_front_door,
            "decode": self._to_the_pipeline,
            "decide": self._to_the_engine,
            "deliver": self._to_the_mailer,
            "pubsub": self._to_the_mailer,
            "hooks": self._to_the_clerk,
        }

    def way(self, found: Found) -> Way:
        """Where the letter goes. Nothing is done until the way is gone.

        Raises:
            StaysError: nowhere, as things are.
            StoreError: the store cannot be asked now.
        """
        letter = found.letter
        find = self._ways.get(letter.step)
        if find is None:
            raise StaysError(f"nobody knows where a letter of the step {letter.step} came from")
        if letter.truncated:
            raise StaysError("it was too large to be kept whole")
        if self._forgotten(found.message):
            raise StaysError("it speaks of somebody who was erased: `tidings privacy letters` takes it away")
        try:
            return find(found)
        except InvalidEventError as fault:
            raise StaysError(str(fault)) from None

    def _through_the_front_door(self, found: Found) -> Way:
        letter, said = found.letter, found.letter.attributes
        sent_at = read_time(said.get("sentAt"))
        body = Body(items=[letter.data], call=said.get("type", ""), sent_at=sent_at)
        arrival = tracking.Arrival(
            received_at=letter.at, global_privacy_control=said.get("globalPrivacyControl") == "true"
        )
        message = topics.of_event(tracking.track(letter.data, body, arrival, Counter()))
        intake.read_message(*message)  # or it would be back in a moment, as a letter of `decode`
        return self._publish_event(message)

    def _to_the_pipeline(self, found: Found) -> Way:
        """With a `messageId` of its own among the attributes: see `identity.message`, which does the same."""
        data, attributes = found.letter.data, found.letter.attributes
        event = intake.read_message(data, attributes)
        fresh = hashlib.blake2b(found.id.encode(), digest_size=16).hexdigest()
        return self._publish_event(Message(data, {**attributes, "messageId": fresh, "copyOf": event.message_id}))

    def _to_the_engine(self, found: Found) -> Way:
        if found.letter.reason != "engine_failed":
            raise StaysError(_COUNTED)
        return self._to_the_pipeline(found)

    def _publish_event(self, message: Message) -> Way:
        return Way("events", partial(self._publisher.publish, self._settings.events_topic, [message]))

    def _to_the_mailer(self, found: Found) -> Way:
        """The ledger comes first: dying before it is published, the send is woken by the mailer's next sweep."""
        letter = found.letter
        decision = decisions.read_message(letter.data, letter.attributes)
        entry = self._store.ledger_entry(decision.send_id)
        if entry is None and letter.reason == "outcome_unknown" and not self._may_repeat:
            raise StaysError(_DOUBTFUL)
        if entry is not None and entry.status in ledger.FINAL and entry.status != "dead_lettered":
            return Way("nowhere", lambda: None)
        self._check_open(entry and ledger.reopen(entry, self._now, self._may_repeat))

        def go() -> None:
            self._check_open(self._store.reopen(decision.send_id, self._now, self._may_repeat))
            self._publisher.publish(self._settings.sends_topic, [topics.of_decision(decision)])

        return Way("sends", go)

    def _check_open(self, entry: LedgerEntry | None) -> None:
        if entry is not None and entry.status == "dead_lettered":
            raise StaysError(_DOUBTFUL)

    def _to_the_clerk(self, found: Found) -> Way:
        letter = found.letter
        match letter.reason:
            case "unknown_mail":
                mail = inbound_mail.read(letter.data, letter.at, letter.attributes.get("to", ""))
                if not self._clerk.understands(mail):
                    raise StaysError("it is still no bounce, and nothing else that is understood")
                return Way("reports", partial(self._clerk.take_mail, mail, self._now))
            case "unreadable":
                reports = _reports(letter)
            case _:
                reports = [decode(letter.data, Report)]
        if not all(self._clerk.knows(one) for one in reports):
            raise StaysError("the ledger still does not know the mail that it is about")
        return Way("reports", partial(self._clerk.carry_out, reports, self._now))


def _reports(letter: DeadLetter) -> list[Report]:
    """Of a webhook, or of one of the many events that SendGrid posts at once. Who had sent it was proved then."""
    provider = letter.attributes.get("provider", "")
    if provider not in PARSERS:
        raise StaysError("it does not say of which provider it is")
    data = letter.data
    if provider == "sendgrid" and not data.lstrip().startswith(b"["):
        data = b"[" + data + b"]"
    reading = PARSERS[provider](data)
    if reading.unreadable:
        raise StaysError("it still cannot be read")
    return reading.reports
