"""What people change by the links of a mail, and how a change is kept and told. No HTTP in here.

A change is one consent record and one event, `Unsubscribed`, `Consent Given` or the like, that names the same record:
the pipeline, which turns such events into consent as well, writes it a second time and so not at all.

The record comes first, so that a withdrawal holds for the next mail, whatever becomes of the event. That the event is
still to be told is noted before, and the note goes when Pub/Sub has it: whatever fails or crashes in between, the next
try finds the note and tells it.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from tidings.permission.choices import NO_MAIL
from tidings.permission.consent import MARKETING, last_words, latest, objection, person_digest
from tidings.records.feedback import Origin
from tidings.records.store import ConsentAction, ConsentRecord, Store
from tidings.tokens import Confirmation, Preferences, Unsubscribe
from tidings.wire import topics
from tidings.wire.events import Event, track
from tidings.wire.topics import Publisher

Link = Unsubscribe | Preferences | Confirmation
"""Whoever has one speaks for its `person`; `send_id` is the mail that carried it."""

State = Literal["subscribed", "left_category", "left_all"]

_NAMES: dict[ConsentAction, str] = {
    "given": "Consent Given",
    "confirmed": "Consent Confirmed",
    "withdrawn": "Unsubscribed",
}


class Change(NamedTuple):
    """What a person asks for.

    Attributes:
        category: what it is about; `marketing` is all of it.
        given: True to get such mail, False to get no more of it.
        source: `one_click`, `preferences_page`, ...
        words: what the person was shown.
        words_version / language: which edition of it, and in which language.
        origin: from where the request came.
    """

    category: str
    given: bool
    source: str
    words: str
    words_version: str = ""
    language: str = ""
    origin: Origin | None = None


def forgotten(person: str, store: Store, secret: str) -> datetime | None:
    """When they were erased, if nothing has been heard of them since: links in old mail must not bring them back."""
    erased = store.erased_at(person_digest(person, secret))
    return erased if erased and store.profile(person) is None and not store.consent(person) else None


def state(link: Unsubscribe, store: Store) -> State:
    """How things stand for the person and the category of an unsubscribe link."""
    against = objection(last_words(store.consent(link.person)), link.category)
    if against is None:
        return "subscribed"
    return "left_all" if against[0] == MARKETING else "left_category"


def apply(change: Change, link: Link, now: datetime, store: Store, publisher: Publisher, events_topic: str) -> bool:
    """As `apply_all`, for one change. Returns whether this was a real transition."""
    return bool(apply_all([change], link, now, store, publisher, events_topic))


def apply_all(
    changes: Sequence[Change], link: Link, now: datetime, store: Store, publisher: Publisher, events_topic: str
) -> list[ConsentRecord]:
    """Keep and tell changes, in this order; asking for what is already so changes nothing and tells nobody.

    Returns the records that are new.

    Raises:
        PublishError: what is kept could not be told; ask again.
        StoreError: ask again.
    """
    records = store.consent(link.person)
    made: list[ConsentRecord] = []
    for change in changes:
        if not _is_so(change, records):
            made.append(_record(change, link, records, now))
            records.append(made[-1])
    keep(made, records, link, store, publisher, events_topic)
    return made


def keep(
    made: Sequence[ConsentRecord],
    records: Sequence[ConsentRecord],
    link: Link,
    store: Store,
    publisher: Publisher,
    events_topic: str,
) -> None:
    """Keep new records and tell them, and what was not told before.

    Args:
        made: the new ones.
        records: all of the person's.
        link: whose they are, and from which mail.
        store: keeps them, and the note.
        publisher: takes their events.
        events_topic: its short name.

    Raises:
        PublishError, StoreError: ask again.
    """
    # The name of the note is nobody's id; it is there for seconds, or until the person comes again.
    name = f"untold:{_digest(link.person)}"
    noted = (store.note(name) or {}).get("untold", [])
    mails: dict[str, str] = {one["record"]: one["mail"] for one in noted}
    if made:
        mails |= {record.record_id: link.send_id for record in made}
        store.put_note(name, {"untold": [{"record": record, "mail": mail} for record, mail in mails.items()]})
        store.record_consent(made)
    if mails:
        events = [_event(record, mails[record.record_id], store) for record in records if record.record_id in mails]
        if events:  # there are none when the person was erased meanwhile
            publisher.publish(events_topic, [topics.of_event(event) for event in events])
        store.put_note(name, None)


def record_id(link: Link, category: str, action: ConsentAction, overturns: str = "") -> str:
    """The id of the record of a change.

    It is derived from the link, the change and the record that it overturns: trying again gives the same one, and
    leaving a second time, after coming back, gives another one.
    """
    return f"consent-{_digest(link.person, link.send_id, category, action, overturns)}:{category}:{action}"


def _is_so(change: Change, records: Sequence[ConsentRecord]) -> bool:
    """Whether a change asks for what is already so."""
    said = latest(records)
    word = said.get(change.category)
    if word is None or word.given is not change.given:
        return False
    if change.category in NO_MAIL:
        return True
    if change.given:  # and not stopped by a general no that came later
        return objection(last_words(records), change.category) is None
    others = [other for other in said.values() if other.given and other.category not in NO_MAIL]
    return change.category != MARKETING or all(other.at <= word.at for other in others)


def _record(change: Change, link: Link, records: Sequence[ConsentRecord], now: datetime) -> ConsentRecord:
    """The record of a change. No clock that is behind can make it older than what it overturns; a tie means no."""
    action: ConsentAction = "given" if change.given else "withdrawn"
    least = timedelta(milliseconds=1 if change.given else 0)
    about = [
        one.at for one in records if MARKETING in (change.category, one.category) or one.category == change.category
    ]
    return ConsentRecord(
        record_id=record_id(link, change.category, action, records[-1].record_id if records else ""),
        person=link.person,
        category=change.category,
        action=action,
        at=max([now, *(at + least for at in about)]),
        source=change.source,
        words=change.words,
        words_version=change.words_version,
        language=change.language,
        origin=change.origin,
    )


def _event(record: ConsentRecord, send_id: str, store: Store) -> Event:
    """A change as a track event (https://segment.com/docs/connections/spec/email/).

    It carries no address of a browser: that is kept for a shorter time than events are (`tidings.records.retention`).
    """
    entry = store.ledger_entry(send_id)
    is_withdrawn = record.category in NO_MAIL and not record.given
    properties = {
        "category": record.category,
        "email_id": send_id,
        "campaign_id": entry.decision.rule_id if entry else None,
        "source": record.source,
        "words": record.words,
        "words_version": record.words_version,
        "language": record.language,
    }
    return track(
        message_id=record.record_id.partition(":")[0],
        name="Consent Withdrawn" if is_withdrawn else _NAMES[record.action],
        person=record.person,
        properties=properties,
        at=record.at,
    )


def _digest(*said: str) -> str:
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()
