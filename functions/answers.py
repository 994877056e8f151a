"""Answers of the front door: JSON with CORS headers, errors as well, so that a browser lets its page read them."""

from collections.abc import Mapping

import flask
import msgspec

from tidings.errors import TidingsError

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, anonymousid, sentat, x-strict-mode, x-retry-count",
    "Access-Control-Expose-Headers": "retry-after",
    "Access-Control-Max-Age": "86400",
}


class HttpError(TidingsError):
    """A request that ends in an error answer: status, a snake_case code, a sentence, and headers and fields of it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.fields = fields or {}


def success(content: object) -> flask.Response:
    """200 with this as JSON."""
    return _answer(msgspec.json.encode(content), 200, {"Content-Type": "application/json"})


def preflight(allow: str) -> flask.Response:
    """What a browser wants to hear before it posts from another origin."""
    return _answer(b"", 204, {"Allow": allow})


def failure(error: HttpError) -> flask.Response:
    """`{"success": false, "error": code, "message": sentence, ...}` with the error's status and headers."""
    content = {"success": False, "error": error.code, "message": error.message, **error.fields}
    return _answer(msgspec.json.encode(content), error.status, {"Content-Type": "application/json", **error.headers})


def _answer(body: bytes, status: int, headers: Mapping[str, str]) -> flask.Response:
    return flask.Response(body, status, {**_CORS, **headers})
