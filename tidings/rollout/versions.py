"""Every valid version of a rule or segment is kept: a chain of records, each named by its content and what it follows.

Several workers that notice the same edit derive the same record, so that it is written once.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tidings.records.store import DocumentKind, VersionRecord

FIRST_SEEN = "first seen in the store"
EDITED = "edited in the store"

_TICK = timedelta(microseconds=1)


def canonical(document: Any) -> str:
    """A document as text: equal for documents that a store cannot tell apart, and different for all others.

    Python's own `==` takes 1, 1.0 and true for the same.
    """
    return json.dumps(as_stored(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_stored(document: Any) -> Any:
    """What a store gives back when it is given this: JSON knows no dates, for example."""
    return msgspec.json.decode(msgspec.json.encode(document))


def same(one: Any, other: Any) -> bool:
    """Whether two documents say the same, in whatever order."""
    return canonical(one) == canonical(other)


def follow(
    newest: VersionRecord | None,
    kind: DocumentKind,
    document_id: str,
    version: str,
    document: dict[str, Any],
    now: datetime,
    note: str,
) -> VersionRecord:
    """The record of a document that comes after the newest one there is.

    Its time is later than that of what it follows, whatever the clocks of different machines say.
    """
    follows = newest.record_id if newest else ""
    digest = hashlib.blake2b(f"{follows}\n{canonical(document)}".encode(), digest_size=16)
    return VersionRecord(
        record_id=digest.hexdigest(),
        document_id=document_id,
        kind=kind,
        version=version,
        document=as_stored(document),
        at=max(now, newest.at + _TICK) if newest else now,
        note=note,
        follows=follows,
    )


def earlier(
    records: Iterable[VersionRecord], document: dict[str, Any] | None, version: str = ""
) -> VersionRecord | None:
    """The newest record that says something else than `document`.

    Args:
        records: newest first.
        document: what is in the store now; None when there is nothing.
        version: the beginning of its version; empty for any.
    """
    ways = (one for one in records if one.version.startswith(version))
    return next((one for one in ways if document is None or not same(one.document, document)), None)
