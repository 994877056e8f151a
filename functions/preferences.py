"""What an unsubscribe link can change, and how a change is kept and told. No HTTP in here.

A change is one consent record and one event, `Unsubscribed` or `Consent Given`, that names the same record: the
pipeline, which turns such events into consent as well, writes it a second time and so not at all.
"""

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from tidings import attributes
from tidings.adapters.pubsub import Message, Publisher
from tidings.consent import MARKETING, from_event
from tidings.errors import PublishError
from tidings.events import Event, encode
from tidings.store import Store
from tidings.tokens import Unsubscribe

State = Literal["subscribed", "left_category", "left_all"]

_UNPUBLISHED = ":unpublished"
"""Ends the id of a withdrawal that holds already although its event could not be published yet."""


class Change(NamedTuple):
    """What a person asks for.

    Attributes:
        category: what it is about; `marketing` is all of it.
        given: True to get such mail again, False to get no more of it.
        source: `one_click` or `preferences_page`.
        words: what the person was shown.
    """

    category: str
    given: bool
    source: str
    words: str


def state(link: Unsubscribe, store: Store) -> State:
    """How things stand for the person and the category of the link."""
    latest = {record.category: record.given for record in store.consent(link.person)}
    if latest.get(MARKETING) is False:
        return "left_all"
    return "left_category" if latest.get(link.category) is False else "subscribed"


def apply(
    change: Change, link: Unsubscribe, now: datetime, store: Store, publisher: Publisher, events_topic: str
) -> bool:
    """Keep and tell a change; asking for what is already so changes nothing and tells nobody.

    A withdrawal holds at once even when Pub/Sub takes nothing. It is then told by the next try, which finds that it
    was not told yet. Consent is given back only to undo a withdrawal: nobody agrees by accident.

    Returns whether this was a real transition.

    Raises:
        PublishError: the event could not be published; ask again.
        StoreError: ask again.
    """
    records = [record for record in store.consent(link.person) if record.category == change.category]
    told = [record for record in records if not record.record_id.endswith(_UNPUBLISHED)]
    withdrawn = bool(records) and not records[-1].given
    if change.given and not withdrawn:
        return False
    if not change.given and withdrawn and told and told[-1] is records[-1]:
        return False
    at = max([now, *(record.at for record in records)])  # a withdrawal is never older than what it withdraws
    event = _event(change, link, at, told[-1].record_id if told else "", store)
    [record] = from_event(event)
    try:
        publisher.publish(events_topic, [Message(encode(event), attributes.of_event(event))])
    except PublishError:
        if not change.given:
            store.record_consent([replace(record, record_id=record.record_id + _UNPUBLISHED)])
        raise
    store.record_consent([record])
    return True


def _event(change: Change, link: Unsubscribe, at: datetime, overturns: str, store: Store) -> Event:
    """The change as a track event (https://segment.com/docs/connections/spec/email/).

    The messageId is derived from the link, the change and the record that it overturns: trying again gives the same
    event, and leaving a second time, after coming back, gives another one.
    """
    said = (link.person, link.send_id, change.category, str(change.given), overturns)
    digest = hashlib.blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()
    entry = store.ledger_entry(link.send_id)
    properties = {
        "category": change.category,
        "email_id": link.send_id,
        "campaign_id": entry.decision.rule_id if entry else None,
        "source": change.source,
        "words": change.words,
    }
    kind, _, identity = link.person.partition(":")
    return Event(
        message_id=f"consent-{digest}",
        type="track",
        event="Consent Given" if change.given else "Unsubscribed",
        user_id=identity if kind == "u" else None,
        anonymous_id=identity if kind == "a" else None,
        timestamp=at,
        received_at=at,
        properties=msgspec.Raw(msgspec.json.encode({name: value for name, value in properties.items() if value})),
    )
