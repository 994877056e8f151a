"""The body of a request to Segment's tracking API: one event, or a batch with things said once for all of its events.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from datetime import datetime
from typing import Any

import msgspec

from tidings.errors import InvalidEventError
from tidings.ingest import lenient_json
from tidings.ingest.clock_skew import read_time

EVENT_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
BATCH_EVENTS = 2_500
SHARED_BYTES = 4 * 1024
"""What a batch may say once for all of its events: it is copied into each, and 2,500 copies must stay harmless."""


_ITEM_LEVEL = 2
"""An item of a batch stands in two brackets: those of the body, and those of `batch`."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """An opened body. The items are still encoded, so that one bad item does not spoil the others.

    Attributes:
        call: the type that the endpoint implies, or empty for a batch, where each item names its own.
        sent_at / context / integrations: said once for all items.
    """

    items: list[bytes]
    call: str = ""
    write_key: str = ""
    sent_at: datetime | None = None
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    write_key: Any = None
    sent_at: Any = None
    context: msgspec.Raw = msgspec.Raw(b"null")
    integrations: msgspec.Raw = msgspec.Raw(b"null")


_batch = msgspec.json.Decoder(_Batch)


def limit(call: str) -> int:
    """How many bytes a body may have, decompressed."""
    return EVENT_BYTES if call else BATCH_BYTES


def open_body(data: bytes, call: str) -> Body:
    """Open the body of a request to an endpoint for one event (`call` is its type) or for a batch (`call` is empty).

    Raises:
        InvalidEventError: nothing of it can be used: `unreadable`, `too_deep`, `wrong_shape`, `not_an_object`,
            `empty_batch`; or it is too big: `too_large`, `too_many_events`.
    """
    if len(data) > limit(call):
        raise InvalidEventError("too_large", "an event may take 32 KB, and a batch 500 KB")
    if call:
        item = as_object(lenient_json.read(data), "the body")
        return Body(items=[data], call=call, write_key=_key(item.get("writeKey")))
    batch = _open_batch(data)
    if not batch.batch:
        raise InvalidEventError("empty_batch", "batch holds no event")
    if len(batch.batch) > BATCH_EVENTS:
        raise InvalidEventError("too_many_events", f"a batch may hold {BATCH_EVENTS} events")
    context, integrations = bytes(batch.context), bytes(batch.integrations)
    if len(context) + len(integrations) > SHARED_BYTES:
        raise InvalidEventError("too_large", "the context and integrations of a batch may take 4 KB together")
    return Body(
        items=[bytes(item) for item in batch.batch],
        write_key=_key(batch.write_key),
        sent_at=read_time(batch.sent_at),
        context=as_optional_object(lenient_json.read(context), "context"),
        integrations=as_optional_object(lenient_json.read(integrations), "integrations"),
    )


def _open_batch(data: bytes) -> _Batch:
    """The batch; an item that nests too deep for any reader is handed on as it is, and costs nobody but itself."""
    try:
        return lenient_json.decode(data, _batch)
    except InvalidEventError as fault:
        if fault.reason != "too_deep":
            raise
        rest, aside = lenient_json.set_aside(data, _ITEM_LEVEL)
        batch = lenient_json.decode(rest, _batch)
        batch.batch = [msgspec.Raw(aside.pop(bytes(item), bytes(item))) for item in batch.batch]
        if aside:
            raise  # it was no item, but a part of what is said for all of them
        return batch


def as_object(value: object, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InvalidEventError: `not_an_object`.
    """
    if not isinstance(value, dict):
        raise InvalidEventError("not_an_object", f"{name} must be a JSON object")
    return value


def as_optional_object(value: object, name: str) -> dict[str, Any]:
    """A JSON object; null counts as an empty one. Raises as `as_object` does."""
    return {} if value is None else as_object(value, name)


def _key(value: object) -> str:
    return value if isinstance(value, str) else ""
