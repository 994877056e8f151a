"""What Pub/Sub's push requests hold. Source: https://cloud.google.com/pubsub/docs/push#receive_push."""

import re

import msgspec

from tidings import decisions
from tidings.decisions import Decision
from tidings.errors import InvalidEventError


class Push(msgspec.Struct, frozen=True):
    """What one push request brings.

    Attributes:
        data / attributes: of the message.
        attempt: the how manieth delivery of it this is; 0 where Pub/Sub does not count, for want of a dead-letter
            policy (https://cloud.google.com/pubsub/docs/handling-failures#track-delivery-attempts).
    """

    data: bytes = b""
    attributes: dict[str, str] = {}
    attempt: int = 0


class _Message(msgspec.Struct):
    """`data` stands in base64 on the wire; both fields may be absent there."""

    data: bytes = b""
    attributes: dict[str, str] = {}


class _Envelope(msgspec.Struct, rename="camel"):
    message: _Message
    delivery_attempt: int = 0


_decoder = msgspec.json.Decoder(_Envelope)


def read(body: bytes) -> Push:
    """The message of one push request; a body that is no push request comes back as the data of one."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Push(data=body)
    return Push(found.message.data, found.message.attributes, found.delivery_attempt)


def decision(push: Push) -> Decision:
    """The decision that the message carries.

    Raises:
        InvalidEventError: `not_a_decision`; the detail says why and quotes nothing.
    """
    if push.attributes.get("schema") != decisions.SCHEMA:
        raise InvalidEventError("not_a_decision", f"the attribute schema must be {decisions.SCHEMA}")
    try:
        found = decisions.decode(push.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_a_decision", f"the data cannot be read: {type(error).__name__}") from None
    if not re.fullmatch(r"[0-9a-f]{32}", found.send_id):  # it becomes a Message-ID, a header
        raise InvalidEventError("not_a_decision", "sendId must be 32 hexadecimal digits")
    instants = (found.due_at, found.decided_at, *(one.timestamp for one in (found.event, *found.events)))
    if any(instant.tzinfo is None for instant in instants):
        raise InvalidEventError("not_a_decision", "dueAt, decidedAt and the timestamps of events need an offset")
    return found
