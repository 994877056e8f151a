"""What Firestore can hold as it is, and what becomes of the rest.

Source: https://cloud.google.com/firestore/quotas and https://cloud.google.com/firestore/docs/best-practices
"""

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

MAX_ID_BYTES = 1500
MAX_PATH_BYTES = 1400
"""Of a field's name with the names around it; the limit is 1500, and some of it goes to the map that we put around."""
MAX_DEPTH = 20
MAX_DOCUMENT_BYTES = 900_000
"""Below Firestore's 1 MiB, because names and indexes count too."""

_PLAIN_ID = re.compile(r"(?!\.{1,2}\Z|__.*__\Z|~[0-9a-f]{64}\Z)[^/\x00-\x1f\ud800-\udfff]+", re.DOTALL)
_INSIDE = 2
"""How deep what `pack` returns stands in a document at most: `_tidings.report`."""
_INT64 = range(-(2**63), 2**63)


def document_id(key: str) -> str:
    """A key as a document id: the key itself where Firestore takes it, otherwise `~` and its SHA-256.

    Two keys never share an id: a key that looks like one of our digests is digested too.
    """
    if _PLAIN_ID.fullmatch(key) and len(key.encode()) <= MAX_ID_BYTES:
        return key
    return "~" + _digest(key)


def person_id(person: str) -> str:
    """The document id of a person: always a digest.

    User ids often count upwards, and neighbours in Firestore make a hot spot; and they are sometimes addresses,
    which must not appear in the document names that Google's error messages quote.
    """
    return _digest(person)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def faults(value: Any, inside: int = 0) -> list[dict[str, object]]:
    """Everything in a JSON value that Firestore refuses: `path`, `value` and `reason`, as in `InvalidRuleError`.

    `inside` is how many levels of a document lie around the value.
    """
    found = [{"path": path, "value": part, "reason": reason} for path, part, reason in _walk(value, "", inside)]
    if not found and len(msgspec.json.encode(value)) > MAX_DOCUMENT_BYTES:
        found.append({"path": "", "value": None, "reason": f"is larger than {MAX_DOCUMENT_BYTES} bytes"})
    return found


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, object, str]]:
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        yield path, None, f"is nested more than {MAX_DEPTH} levels deep"
    elif isinstance(value, dict):
        for name, part in value.items():
            here = f"{path}.{name}" if path else name
            if not name or re.fullmatch("__.*__", name, re.DOTALL) or len(here.encode()) > MAX_PATH_BYTES:
                yield here, name, "is no name that Firestore allows for a field"
            yield from _walk(part, here, depth + 1)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, list):
                yield f"{path}.{index}", part, "is a list directly inside a list"
            yield from _walk(part, f"{path}.{index}", depth + 1)
    elif isinstance(value, int) and value not in _INT64:
        yield path, value, "does not fit into 64 bits"


def pack(value: dict[str, Any] | None) -> dict[str, Any] | str | None:
    """A map that people can read in the console; as JSON text where Firestore cannot hold it as a map."""
    value = msgspec.to_builtins(value)
    return msgspec.json.encode(value).decode() if faults(value, _INSIDE) else value


def unpack(value: Any) -> dict[str, Any] | None:
    """The inverse of `pack`. None for what `pack` cannot have written: people can edit this field too."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return None
    return plain(value) if isinstance(value, dict) else None


def plain(value: Any) -> Any:
    """What was read from Firestore, as JSON knows it.

    The console offers types that JSON has not. A timestamp becomes its ISO text; any other (a location, a reference,
    bytes, a number that is none) the name of its type in angle brackets, which no rule accepts and every fault shows.
    """
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return f"<{type(value).__name__}>"


def instants(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record with Google's subclass of `datetime` turned back into `datetime` itself."""
    return {
        name: datetime.combine(value.date(), value.timetz()) if isinstance(value, datetime) else value
        for name, value in fields.items()
    }
