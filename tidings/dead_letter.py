"""The one builder of dead letters: what could not be used, kept so that it can be found, understood and replayed.

The payload is the data of the message, untouched; why it is here is in the attributes, so that nothing has to be
parsed to count dead letters by reason. https://cloud.google.com/pubsub/quotas#resource_limits has the limits.
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from tidings.attributes import clip
from tidings.errors import InvalidEventError

SCHEMA = "tidings.dead_letter.v1"
"""The attribute `schema` of every dead letter; another value is not ours."""

DATA_BYTES = 9_500_000
"""What of a message may be data: Pub/Sub takes 10 MB for data and attributes together."""

_ORIGINAL = "original_"
_OWN_ATTRIBUTES = 7
_MOST_ATTRIBUTES = 100
_KEY_BYTES = 256
_WRITE_KEY = re.compile(rb'("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"')


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter that was read back.

    Attributes:
        step: where it failed (`collect`, `decode`, `decide`, ...).
        reason: a short code from that step's closed set.
        detail: one sentence for a person, without personal data.
        data / attributes: the message as it was before it failed.
        at: when it was set aside.
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
    """The inverse of `build`, for replay.

    Raises:
        InvalidEventError: `not_a_dead_letter`.
    """
    if attributes.get("schema") != SCHEMA:
        raise InvalidEventError("not_a_dead_letter", f"the attribute schema must be {SCHEMA}")
    try:
        return DeadLetter(
            step=attributes["step"],
            reason=attributes["reason"],
            detail=attributes["detail"],
            data=data,
            attributes={k.removeprefix(_ORIGINAL): v for k, v in attributes.items() if k.startswith(_ORIGINAL)},
            at=datetime.fromisoformat(attributes["at"]),
            truncated=attributes.get("truncated") == "true",
        )
    except KeyError as error:
        raise InvalidEventError("not_a_dead_letter", f"the attribute {error.args[0]} is missing") from None
    except ValueError:
        raise InvalidEventError("not_a_dead_letter", "the attribute at is not a time") from None


def without_write_key(data: bytes) -> bytes:
    """JSON with the value of every `writeKey` blanked and every other byte as it was: a credential is not kept."""
    return _WRITE_KEY.sub(rb'\1""', data)
