"""The one builder of dead letters: what could not be used, kept so that it can be found, understood and replayed.

The payload is the data of the message, untouched; why it is here is in the attributes, so that nothing has to be
parsed to count dead letters by reason. https://cloud.google.com/pubsub/quotas#resource_limits has the limits.
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from tidings.errors import InvalidEventError
from tidings.wire.attributes import clip

SCHEMA = "tidings.dead_letter.v1"
"""The attribute `schema` of every dead letter; another value is not ours."""

DATA_BYTES = 9_500_000
"""What of a message may be data: Pub/Sub takes 10 MB for data and attributes together."""

UNDELIVERABLE = "undeliverable"
"""The reason of a letter that Pub/Sub moved here by itself, when a subscription's delivery attempts were used up."""

_ORIGINAL = "original_"
_MOVED = "CloudPubSubDeadLetterSource"
"""What Pub/Sub's own attributes of such a letter begin with (https://cloud.google.com/pubsub/docs/dead-letter-topics)."""
_OWN_ATTRIBUTES = 7
_MOST_ATTRIBUTES = 100
_KEY_BYTES = 256
_WRITE_KEY = re.compile(rb'("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"')


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter that was read back.

    Attributes:
        step: where it failed (`collect`, `decode`, `decide`, ...); `pubsub` when nobody came to say where.
        reason: a short code from that step's closed set.
        detail: one sentence for a person, without personal data.
        data / attributes: the message as it was before it failed.
        at: when it was set aside; of a letter that Pub/Sub moved, when the message was first published.
        truncated: the payload was too large to be kept whole; it cannot be replayed.
    """

    step: str
    reason: str
    detail: str
    data: bytes
    attributes: dict[str, str]
    at: datetime
    truncated: bool = False


def build(
    step: str, reason: str, detail: str, data: bytes, attributes: Mapping[str, str], at: datetime
) -> tuple[bytes, dict[str, str]]:
    """Put what failed into an envelope: `(data, attributes)` of the message for the dead-letters topic.

    `data` stays as it is when it fits, and loses its end when it does not (`truncated` says so). `detail` must carry no
    personal data. Attributes of the failed message come back under `original_...`, cut to what Pub/Sub takes.
    """
    envelope = {
        "schema": SCHEMA,
        "step": clip(step),
        "reason": clip(reason),
        "detail": clip(detail),
        "at": at.isoformat(),
    }
    if len(data) > DATA_BYTES:
        data = data[:DATA_BYTES]
        envelope["truncated"] = "true"
    for key, value in list(attributes.items())[: _MOST_ATTRIBUTES - _OWN_ATTRIBUTES]:
        envelope[clip(_ORIGINAL + key, _KEY_BYTES)] = clip(value)
    return data, envelope


def read(data: bytes, attributes: Mapping[str, str]) -> DeadLetter:
    """The inverse of `build`, for replay. A message that Pub/Sub moved here by itself is read as well.

    Raises:
        InvalidEventError: `not_a_dead_letter`.
    """
    is_moved = _MOVED + "Subscription" in attributes
    if attributes.get("schema") != SCHEMA and not is_moved:
        raise InvalidEventError("not_a_dead_letter", f"the attribute schema must be {SCHEMA}")
    try:
        return _read_moved(data, attributes) if is_moved else _read_built(data, attributes)
    except KeyError as error:
        raise InvalidEventError("not_a_dead_letter", f"the attribute {error.args[0]} is missing") from None


def _read_built(data: bytes, attributes: Mapping[str, str]) -> DeadLetter:
    return DeadLetter(
        step=attributes["step"],
        reason=attributes["reason"],
        detail=attributes["detail"],
        data=data,
        attributes={k.removeprefix(_ORIGINAL): v for k, v in attributes.items() if k.startswith(_ORIGINAL)},
        at=_time(attributes, "at"),
        truncated=attributes.get("truncated") == "true",
    )


def _read_moved(data: bytes, attributes: Mapping[str, str]) -> DeadLetter:
    count, subscription = attributes[_MOVED + "DeliveryCount"], attributes[_MOVED + "Subscription"]
    return DeadLetter(
        step="pubsub",
        reason=UNDELIVERABLE,
        detail=f"Pub/Sub gave up after {count} deliveries to {subscription}",
        data=data,
        attributes={key: value for key, value in attributes.items() if not key.startswith(_MOVED)},
        at=_time(attributes, _MOVED + "TopicPublishTime"),
    )


def _time(attributes: Mapping[str, str], key: str) -> datetime:
    try:
        return datetime.fromisoformat(attributes[key])
    except ValueError:
        raise InvalidEventError("not_a_dead_letter", f"the attribute {key} is not a time") from None


def without_write_key(data: bytes) -> bytes:
    """JSON with the value of every `writeKey` blanked and every other byte as it was: a credential is not kept."""
    return _WRITE_KEY.sub(rb'\1""', data)
