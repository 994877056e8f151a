"""The erasure of a person as a message on the events topic: what the pipeline remembers of an id ends where it comes.

It travels with the events so that it finds the same state cell, and takes its place among them: what was received
before it is forgotten, timers find nothing, and what comes after it is somebody new. It leaves no trace of its own: no
profile, no activity, no decision, no line in the archive (whose subscription takes events alone).

One message says one id. The anonymous ids that have joined a person have cells of their own, so whoever erases a person
sends a message for each of them (`Store.joined_to` names them); what they hand over then is nothing.

What was received before the erasure and arrives before it is taken back from the store as well, which may have been
written to since it was cleared (`bookkeeping.let_go`). What was received before it and arrives after it is told by the
receipt of the erasure (`tidings.ingest.overtaken`), but for the last few seconds. What is left of those is treated as
new, and the mailer asks `Store.erased_at` before it sends.
"""

import hashlib
from datetime import datetime

import msgspec

from tidings.errors import InvalidEventError
from tidings.wire.events import Event
from tidings.wire.topics import Message

SCHEMA = "tidings.erasure.v1"
"""The Pub/Sub attribute `schema` of every erasure."""


class Erased(Event, frozen=True, kw_only=True):
    """That all is to be forgotten that is remembered of `person`. It is no event of theirs, and no rule hears of it.

    Made by `erased`; `type` has no meaning.
    """


class _Wire(msgspec.Struct, frozen=True):
    person: str
    at: datetime


_decoder = msgspec.json.Decoder(_Wire)


def erased(person: str, at: datetime) -> Erased:
    """The erasure of an id.

    Args:
        person: as `Event.person`.
        at: when it was asked for, with its time zone.

    Raises:
        InvalidEventError: `not_an_erasure`, the person is no key or the time has no zone.
    """
    kind, _, name = person.partition(":")
    if kind not in ("u", "a") or not name or at.tzinfo is None:
        raise InvalidEventError("not_an_erasure", "a person is u:<userId> or a:<anonymousId>, and a time has an offset")
    return Erased(
        message_id=_id(person, at),
        type="alias",  # one that joins nobody: who is in a hurry about other types takes a second look at those
        event="Erased",
        user_id=name if kind == "u" else None,
        anonymous_id=name if kind == "a" else None,
        timestamp=at,
        received_at=at,
    )


def encode(event: Erased) -> bytes:
    """The wire form, one line of JSON."""
    return msgspec.json.encode(_Wire(event.person, event.timestamp))


def decode(data: bytes) -> Erased:
    """Read an erasure from the wire.

    Raises:
        InvalidEventError: `not_an_erasure`.
    """
    try:
        wire = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_an_erasure", f"not what erases: {type(error).__name__}") from None
    return erased(wire.person, wire.at)


def message(person: str, at: datetime) -> Message:
    """What to publish to the events topic, for one id.

    Published again it is the same message, and Dataflow takes it once.

    Raises:
        InvalidEventError: as `erased`.
    """
    event = erased(person, at)
    return Message(encode(event), {"schema": SCHEMA, "messageId": event.message_id})


def _id(person: str, at: datetime) -> str:
    return hashlib.blake2b(f"{person}\0{at.isoformat()}".encode(), digest_size=16).hexdigest()
