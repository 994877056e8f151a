"""What people may ask of us about their data, over HTTP, for those whom the operator lets in. Never open to the world.

| POST | body | answer |
|---|---|---|
| `/privacy/export` | `person` | the copy, see docs/privacy.md |
| `/privacy/erase` | `person` or `address` | the receipt |
| `/privacy/letters` | nothing | how many dead letters of forgotten people went |
| `/privacy/receipts` | `person` or `address`, or nothing for all | receipts, newest first |
| `/privacy/suppress` | `address`, `reason` (`requested`) | since when and why it is suppressed |
| `/privacy/lift` | `address` | why it was suppressed |

Bodies and answers are JSON. A body must say that it is JSON: a page of somebody else's, which cannot say so without
being asked back, erases nobody on a developer's machine. Who may call it is a matter of IAM (terraform/functions.tf).
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import flask
import msgspec

from tidings.adapters.pubsub import Publisher
from tidings.errors import TemporaryError
from tidings.permission.consent import address_digest, person_digest
from tidings.privacy.erasure import erase, erase_address, letter_counts
from tidings.privacy.export import export
from tidings.privacy.letters import Forgotten
from tidings.records.store import Store
from tidings.settings import Settings
from tidings.wire.topics import Sieve

BODY_BYTES = 10_000

log = logging.getLogger(__name__)


class _RequestError(Exception):
    """The caller's fault. The message quotes nothing."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request may say.

    Attributes:
        person: `u:<userId>` or `a:<anonymousId>`.
        address: an email address.
        reason: of a suppression.
    """

    person: str = ""
    address: str = ""
    reason: str = ""


class Privacy:
    """Answers the requests of one function instance; any number of threads may call it.

    Args:
        settings: the secret of all digests, who answers for the data, the events topic.
        store: everything that is kept.
        publisher: tells the pipeline.
        sieve: over the dead letters.
        clock: the time; only the shell reads one.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        sieve: Sieve,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._sieve = sieve
        self._clock = clock
        self._paths: dict[str, Callable[[Body], Any]] = {
            "export": self._export,
            "erase": self._erase,
            "letters": self._letters,
            "receipts": self._receipts,
            "suppress": self._suppress,
            "lift": self._lift,
        }

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        request.max_content_length = BODY_BYTES
        what = request.path.strip("/").removeprefix("privacy/")
        if what not in self._paths:
            return _answer(404, {"error": "not_found", "message": f"there are: {', '.join(self._paths)}"})
        if request.method != "POST":
            return _answer(405, {"error": "method_not_allowed"}, {"Allow": "POST"})
        try:
            answer = self._paths[what](_read(request))
        except _RequestError as fault:
            return _answer(400, {"error": "bad_request", "message": str(fault)})
        except TemporaryError as error:
            log.error("A request about data comes again: %s", error, extra={"labels": {"what": what}})
            message = "Not everything could be reached. Ask again: what is done is done."
            return _answer(503, {"error": "try_again", "message": message}, {"Retry-After": "30"})
        log.info("A request about data was carried out", extra={"labels": {"what": what}})
        return _answer(200, answer)

    def _export(self, body: Body) -> object:
        return export(self._store, self._settings, _person(body), self._clock(), "operator")

    def _erase(self, body: Body) -> object:
        doors = (self._store, self._publisher, self._settings)
        if body.address and not body.person:
            return erase_address(*doors, _address(body), self._clock(), "operator", self._sieve)
        return erase(*doors, _person(body), self._clock(), "operator", self._sieve)

    def _letters(self, _: Body) -> object:
        return letter_counts(self._sieve(Forgotten(self._store, self._settings)))

    def _receipts(self, body: Body) -> object:
        secret = self._settings.secret
        if body.address and not body.person:
            return self._store.receipts(address_digest(_address(body), secret))
        return self._store.receipts(person_digest(_person(body), secret) if body.person else None)

    def _suppress(self, body: Body) -> object:
        digest = address_digest(_address(body), self._settings.secret)
        self._store.suppress(digest, body.reason or "requested", self._clock())
        return self._store.suppression(digest)

    def _lift(self, body: Body) -> object:
        digest = address_digest(_address(body), self._settings.secret)
        before = self._store.suppression(digest)
        self._store.lift_suppression(digest)
        return {"was": before}


def _read(request: flask.Request) -> Body:
    if request.mimetype != "application/json":
        raise _RequestError("the Content-Type must be application/json")
    try:
        return msgspec.json.decode(request.get_data() or b"{}", type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _RequestError("the body must be JSON with `person`, `address` and `reason` as text") from None


def _person(body: Body) -> str:
    if body.person[:2] not in ("u:", "a:") or not body.person[2:] or body.address:
        raise _RequestError("`person` must be u:<userId> or a:<anonymousId>, and nothing else")
    return body.person


def _address(body: Body) -> str:
    if "@" not in body.address or body.person:
        raise _RequestError("`address` must be an email address, and nothing else")
    return body.address


def _answer(status: int, content: object, headers: dict[str, str] | None = None) -> flask.Response:
    safe = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return flask.Response(msgspec.json.encode(content), status, safe, content_type="application/json")
