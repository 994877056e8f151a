"""The bytes that a client sent, whatever it says about them, and never more of them than are wanted.

SDKs send gzip as a form, and JSON as text/plain: the content type is not looked at, and no form is ever parsed.
"""

import io
import zlib

import flask
from werkzeug.exceptions import ClientDisconnected

from tidings.errors import InvalidEventError

_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_OVERHEAD = 1024
"""gzip makes what cannot be compressed a little longer; what is sent may be longer than the limit by so much."""


def read(request: flask.Request, limit: int) -> bytes:
    """The body, unpacked when it is gzip, which its first two bytes tell (JSON never begins with them).

    The request is always read to its end, because a server that answers early resets the connection; what is over the
    limit is thrown away as it comes.

    Raises:
        InvalidEventError: `too_large` for more than `limit` bytes, packed or unpacked, or `unreadable`.
    """
    body = bytearray()
    size = 0
    try:
        while chunk := request.stream.read(_CHUNK):
            size += len(chunk)
            if size <= limit + _GZIP_OVERHEAD:
                body += chunk
    except (ClientDisconnected, OSError):
        request.stream = io.BytesIO()  # the framework reads the rest before it answers, and would fail again
        raise InvalidEventError("unreadable", "the body ended before its announced length") from None
    if size > limit + _GZIP_OVERHEAD:
        raise _too_large(limit)
    return _unzip(bytes(body), limit) if body.startswith(_GZIP) else bytes(body)


def _unzip(data: bytes, limit: int) -> bytes:
    """Unpack one gzip member, and stop at the limit: ten kilobytes can hold ten megabytes."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise InvalidEventError("unreadable", "not gzip, although it begins like it") from None
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise InvalidEventError("unreadable", "the gzip stream is cut off")
    if unpacker.unused_data:
        raise InvalidEventError("unreadable", "there is something after the gzip stream")
    return body


def _too_large(limit: int) -> InvalidEventError:
    return InvalidEventError("too_large", f"the body may take {limit // 1024} KB, unpacked")
