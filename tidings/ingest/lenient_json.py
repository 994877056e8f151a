"""Reading JSON that a stranger wrote: strict first, once more after a repair, and never deeper than a reader can go."""

import json
import math
import re
from typing import Any, TypeVar

import msgspec

from tidings.errors import InvalidEventError

DEPTH = 100
"""How deeply objects and arrays may nest. Deeper ones would end in a RecursionError in some reader further on."""

_MARKS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
"""What tells how deep a value nests: brackets, and texts, in which a bracket is only a character."""

T = TypeVar("T")
_anything = msgspec.json.Decoder()


def read(data: bytes) -> Any:
    """Decode JSON of any shape.

    Raises:
        InvalidEventError: `unreadable` or `too_deep`.
    """
    value = decode(data, _anything)
    if data.count(b"{") + data.count(b"[") > DEPTH and _deeper_than(DEPTH, value):
        raise _too_deep()
    return value


def decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON of the shape that the decoder knows.

    Raises:
        InvalidEventError: `unreadable`; `wrong_shape`, with the path at fault; or `too_deep` for any reader.
    """
    try:
        try:
            return decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return decoder.decode(_repaired(data))
    except RecursionError:
        raise _too_deep() from None
    except msgspec.ValidationError as error:
        raise InvalidEventError("wrong_shape", str(error)) from None
    except ValueError as error:
        raise InvalidEventError("unreadable", f"not JSON: {error}") from None


def set_aside(data: bytes, level: int) -> tuple[bytes, dict[bytes, bytes]]:
    """Take out what stands in so many brackets and nests too deep for any reader, so that the rest can be read.

    Goes by brackets alone, and never down into them. Returns the rest, with a text in the place of each value that was
    taken out, and what each of these texts stands for.
    """
    rest: list[bytes] = []
    aside: dict[bytes, bytes] = {}
    depth = deepest = begin = end = 0
    for mark in _MARKS.finditer(data):
        if mark[0] in (b"[", b"{"):
            if depth == level:
                begin, deepest = mark.start(), 0
            depth += 1
            deepest = max(deepest, depth - level)
        elif mark[0] in (b"]", b"}"):
            depth -= 1
            if depth == level and deepest > DEPTH:
                stand_in = b'"too deep: %d"' % len(aside)
                rest += [data[end:begin], stand_in]
                end = mark.end()
                aside[stand_in] = data[begin:end]
    return b"".join([*rest, data[end:]]), aside


def _too_deep() -> InvalidEventError:
    return InvalidEventError("too_deep", f"objects and arrays may nest {DEPTH} deep")


def _deeper_than(room: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return room == 0 or any(_deeper_than(room - 1, child) for child in children)


def _repaired(data: bytes) -> bytes:
    """Mend what real SDKs get wrong, so that one odd value does not cost a whole batch.

    Python clients write NaN and Infinity (they become null), and a browser that cuts an emoji in two writes half a
    surrogate pair (it becomes U+FFFD). A byte order mark and UTF-16 are read as well.
    """
    value = json.loads(data, parse_constant=lambda _: None, parse_float=_finite)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
