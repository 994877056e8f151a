"""The open pixel `/o/<token>` and the tracked links `/l/<token>`: answer the person first, then say who it seems to be.

Where a link leads stands in the ledger, never in the link. Once that is known, nothing keeps a person from their page:
keeping and telling the hit may take `PATIENCE`, and what goes wrong with it is logged and counted.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import flask
import msgspec

from functions import origins, speech
from functions.html_pages import Pages
from tidings.adapters.pubsub import Publisher
from tidings.errors import TemporaryError
from tidings.feedback import email_events, hits
from tidings.feedback.hits import Verdict, Visit
from tidings.mailing.link_tracking import PIXEL, leads_somewhere
from tidings.records import retention
from tidings.records.feedback import Feedback
from tidings.records.store import LedgerEntry, Store
from tidings.settings import Settings
from tidings.tokens import Hit, read_hit
from tidings.wire import topics

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import Headers

PATIENCE = 2.0
"""Seconds that a person may be kept waiting for our bookkeeping."""

WORKERS = 16
"""So many hits are kept at the same time; further ones wait their turn, and nobody waits for them beyond `PATIENCE`."""

METHODS = ("GET", "HEAD", "OPTIONS")

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""One transparent pixel, 43 bytes (https://www.w3.org/Graphics/GIF/spec-gif89a.txt)."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the token is nobody's business but ours
    "X-Robots-Tag": "noindex",
}

log = logging.getLogger(__name__)


class _Redirect(flask.Response):
    """To a target as it stands: Werkzeug would encode anew what is in a Location, and a signed query would break."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> "Headers":
        """See Werkzeug."""
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers


class TrackingPages(Pages):
    """Answers the requests to `/o/` and `/l/` of one function instance; see `Pages`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(settings, store, publisher, clock)
        self._workers = ThreadPoolExecutor(WORKERS, "hits")

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        if request.method not in METHODS:
            return flask.Response(status=405, headers={"Allow": ", ".join(METHODS), **_HEADERS})
        path = re.fullmatch(r"/([ol])/([^/]+)/?", request.path)
        hit = read_hit(path[2], self._settings.secret) if path else None
        return self._pixel(hit, request) if request.path.startswith("/o/") else self._link(hit, request)

    def _pixel(self, hit: Hit | None, request: flask.Request) -> flask.Response:
        """The picture, always: a broken one in a mail helps nobody."""
        if hit is not None and hit.link == PIXEL:
            self._keep(self._visit("opened", hit, request), hit, None)
        return flask.Response(_GIF, headers=_HEADERS, content_type="image/gif")

    def _link(self, hit: Hit | None, request: flask.Request) -> flask.Response:
        say = speech.of_reader(request)
        if hit is None or hit.link == PIXEL:
            return self._plain(say, 404, *_UNKNOWN)
        try:
            entry = self._store.ledger_entry(hit.send_id)
        except TemporaryError as error:
            log.error("A link leads nowhere for now: %s", error, extra={"labels": {"fault": type(error).__name__}})
            return self._plain(say, 503, *_AWAY, headers={"Retry-After": "5"})
        if entry is None or hit.link > len(entry.links):
            return self._plain(say, 410, "This link is too old", _GONE, sender=self._sender)
        target = entry.links[hit.link - 1]
        if not leads_somewhere(target):
            log.error("A target in the ledger cannot be redirected to", extra={"labels": {"link": hit.link}})
            return self._plain(say, 404, *_UNKNOWN)
        self._keep(self._visit("clicked", hit, request), hit, entry)
        if request.method == "OPTIONS":
            return flask.Response(status=204, headers={"Allow": ", ".join(METHODS), **_HEADERS})
        return _Redirect(status=302, headers={"Location": target, **_HEADERS})

    def _visit(self, kind: Literal["opened", "clicked"], hit: Hit, request: flask.Request) -> Visit:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return Visit(kind, self._clock(), request.method, headers, origins.read(request), hit.link)

    def _keep(self, visit: Visit, hit: Hit, entry: LedgerEntry | None) -> None:
        """Keep and tell a hit, and come back when that is done, has failed, or takes too long for anybody to wait."""
        work = self._workers.submit(self._record, visit, hit, entry)
        labels: dict[str, object] = {"kind": visit.kind}
        try:
            found = work.result(PATIENCE)
        except TimeoutError:
            log.error("A hit is still being kept", extra={"labels": labels})
        except TemporaryError as error:
            fault = {"fault": type(error).__name__}
            log.error("A hit is lost, or nobody was told of it: %s", error, extra={"labels": labels | fault})
        else:
            if isinstance(found, Verdict):
                log.info("A hit", extra={"labels": labels | {"agent": found.agent}})
            elif found == "too_many":
                log.info("A hit beyond those that are kept", extra={"labels": labels})

    def _record(
        self, visit: Visit, hit: Hit, entry: LedgerEntry | None
    ) -> Verdict | Literal["unknown_mail", "too_many"]:
        """Keep a hit, and tell it when there is a person behind it; or say why it is not kept.

        Raises:
            StoreError: the hit is not kept, or could not be looked at again.
            PublishError: it is kept, and its event is lost.
        """
        entry = entry or self._store.ledger_entry(hit.send_id)
        if entry is None:
            return "unknown_mail"
        until = entry.updated_at + retention.LEDGER  # then nobody knows the mail any more
        if not self._store.take(f"hits:{visit.kind}:{entry.send_id}", 1, hits.MOST_KEPT, until):
            return "too_many"
        verdict = self._judge(visit, entry)
        feedback = _feedback(visit, entry, verdict)
        self._store.append_feedback([feedback])
        if visit.kind == "clicked" and verdict.agent == "human" and len(entry.links) > 1:
            # Others of the same burst may have come at the same time, in other threads and other instances. Whoever
            # looks after having written sees all that had been written: so of one burst two at most are told.
            verdict = self._judge(visit, entry, feedback.feedback_id)
        told = msgspec.structs.replace(feedback, agent=verdict.agent)
        event = email_events.of_feedback(told, entry, visit.at)
        if event is not None:
            self._publisher.publish(self._settings.events_topic, [topics.of_event(event)])
        return verdict

    def _judge(self, visit: Visit, entry: LedgerEntry, itself: str = "") -> Verdict:
        """With what else is known of the mail. An open is judged alone: it is weak evidence, and there are many."""
        others: list[Feedback] = []
        if visit.kind == "clicked":
            person, send_id = entry.decision.person, entry.send_id
            known = self._store.feedback(person, send_id, hits.MOST_OTHERS, origins=True)
            others = [one for one in known if one.feedback_id != itself]
        return hits.judge(visit, entry.updated_at, len(entry.links), others)


_UNKNOWN = ("This link does not work", "It was cut short on its way, or it is not ours. Please open it from the mail.")
_AWAY = ("That did not work", "Something on our side did not answer. Please try again in a moment.")
_GONE = "We no longer know where it led. Please look for {sender} on the web."


def _feedback(visit: Visit, entry: LedgerEntry, verdict: Verdict) -> Feedback:
    """The hit as it is kept; its id is derived from all that tells it from another."""
    said = (entry.send_id, visit.kind, visit.link, visit.at.isoformat(), visit.method, visit.origin)
    detail: dict[str, object] = {"method": visit.method}
    if visit.kind == "clicked":
        detail |= {"link": visit.link, "url": entry.links[visit.link - 1]}
    return Feedback(
        feedback_id=f"hit-{hashlib.blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()}",
        person=entry.decision.person,
        send_id=entry.send_id,
        at=visit.at,
        kind=visit.kind,
        source="engage",
        agent=verdict.agent,
        reasons=verdict.reasons,
        detail=detail,
        origin=visit.origin,
    )
