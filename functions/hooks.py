"""What comes back about our mail, from providers and from mail servers.

`POST /hooks/<provider>` is for providers, each of them let in by its own kind of proof, and
`POST /hooks/inbound?to=<address>` for a mail server that passes on what is sent to our return path.

200 says that all of it is kept and told, and that what cannot be read is a dead letter; 503 asks for it again, and
providers do, for a while. Who cannot prove to be the provider is answered with 401 or 403, and nothing of what they
sent is repeated, in an answer or in a log.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import flask

from functions import answers, request_body
from functions.answers import HttpError
from tidings.adapters.pubsub import Publisher
from tidings.errors import InvalidEventError, TemporaryError
from tidings.records.store import Store
from tidings.settings import Settings, SettingsError
from tidings.webhooks import inbound_mail, mailgun, postmark, sendgrid, ses
from tidings.webhooks.clerk import PARSERS, Clerk
from tidings.webhooks.reports import AGE, AHEAD, ForgedError, Reading, check_basic

BODY_BYTES = 5_000_000
"""More than any provider sends at once; a bounce may bring the mail that it is about."""

log = logging.getLogger(__name__)


class Amazon(Protocol):
    """What SNS wants of us besides an answer; see `tidings.adapters.sns`."""

    def certificate(self, url: str) -> bytes:
        """The PEM at the URL; empty when there is none."""

    def confirm(self, url: str) -> None:
        """Visit the URL."""


class Hooks:
    """Answers the requests of one function instance; any number of threads may call it.

    Args:
        settings: which webhooks are let in, and by what they are known.
        store: the ledger, feedback, suppressions and consent.
        publisher: takes events and dead letters.
        amazon: fetches certificates, and confirms subscriptions.
        clock: the time; only the shell reads one.

    Raises:
        SettingsError: a key is none, or nobody is called that.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        amazon: Amazon,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = settings.hooks
        self._store = store
        self._clerk = Clerk(settings, store, publisher)
        self._amazon = amazon
        self._clock = clock
        self._readers = {
            "sendgrid": self._sendgrid,
            "ses": self._ses,
            "mailgun": self._mailgun,
            "postmark": self._postmark,
            "inbound": self._inbound,
        }
        if self._keys.keys() - self._readers.keys():  # not quoted: it may be a key in the wrong place
            raise SettingsError(f"TIDINGS_HOOKS: a name is none of {', '.join(self._readers)}")
        if "sendgrid" in self._keys:
            sendgrid.public_key(self._keys["sendgrid"])
        if "ses" in self._keys:
            ses.home(self._keys["ses"])
        if not self._keys:
            log.error("TIDINGS_HOOKS is empty: every request will be answered with 404")

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        provider = request.path.strip("/").removeprefix("hooks/")
        try:
            body = request_body.read(request, BODY_BYTES)
            return self._receive(provider, request, body)
        except InvalidEventError as fault:
            _log_refusal(provider if provider in self._readers else "none", fault.reason)
            status = 413 if fault.reason == "too_large" else 400
            return answers.failure(HttpError(status, fault.reason, fault.detail))
        except HttpError as error:
            return answers.failure(error)

    def _receive(self, provider: str, request: flask.Request, body: bytes) -> flask.Response:
        reader = self._readers.get(provider) if provider in self._keys else None
        if reader is None:
            if provider in self._readers:  # nobody's guess at a path, but reports that are lost
                _log_refusal(provider, "not_set_up")
            raise HttpError(404, "not_found", "No webhook is set up at this path.")
        if request.method != "POST":
            raise HttpError(405, "method_not_allowed", "This path takes POST.", {"Allow": "POST"})
        now = self._clock()
        try:
            counts = reader(request, body, now)
        except ForgedError as error:
            _log_refusal(provider, error.reason)
            raise _refusal(error) from None
        except TemporaryError as error:
            labels = {"provider": provider, "fault": type(error).__name__}
            log.error("A webhook comes again: %s", error, extra={"labels": labels})
            sentence = "This could not be kept. Send it again."
            raise HttpError(503, "not_kept", sentence, {"Retry-After": "30"}) from None
        found = {name: count for name, count in counts.items() if count}
        log.info("A webhook was answered", extra={"labels": {"provider": provider}, "counts": found})
        return answers.success({"success": True})

    def _take(self, provider: str, body: bytes, now: datetime) -> Counter[str]:
        """What has proved to be the provider's is never refused: it would not come again, or no more readable."""
        try:
            reading = PARSERS[provider](body)
        except InvalidEventError:
            reading = Reading([], Counter(), [body])
        counts = self._clerk.carry_out(reading.reports, now)
        if reading.unreadable:
            log.error("What a provider says cannot be read, and is kept as a dead letter")
            detail = "a part of a webhook is not what it should be"
            self._clerk.bury("unreadable", detail, reading.unreadable, now, {"provider": provider})
            counts["unreadable"] += len(reading.unreadable)
        return counts + Counter({f"ignored_{name}": count for name, count in reading.ignored.items()})

    def _sendgrid(self, request: flask.Request, body: bytes, now: datetime) -> Mapping[str, int]:
        signature, timestamp = (request.headers.get(name, "") for name in (sendgrid.SIGNATURE, sendgrid.TIMESTAMP))
        sendgrid.verify(body, signature, timestamp, self._keys["sendgrid"], now)
        return self._take("sendgrid", body, now)

    def _postmark(self, request: flask.Request, body: bytes, now: datetime) -> Mapping[str, int]:
        postmark.verify(request.headers.get("Authorization", ""), self._keys["postmark"])
        return self._take("postmark", body, now)

    def _mailgun(self, request: flask.Request, body: bytes, now: datetime) -> Mapping[str, int]:
        """A token is good for the body that it first came with: that may come again, because we asked for it."""
        token = mailgun.verify(body, self._keys["mailgun"], now)
        name = f"mailgun-{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"
        digest = f"body_{hashlib.sha256(body).hexdigest()}"
        [bodies] = self._store.tallies([name])
        if bodies and digest not in bodies:
            raise ForgedError("replayed")
        if not bodies:
            self._store.tally(name, {digest: 1}, now + AGE + AHEAD)
        return self._take("mailgun", body, now)

    def _ses(self, request: flask.Request, body: bytes, now: datetime) -> Mapping[str, int]:
        ses.verify(body, self._keys["ses"], self._amazon.certificate, now)
        if url := ses.subscription(body, self._keys["ses"]):
            self._amazon.confirm(url)
        counts = self._take("ses", body, now)
        if counts["ignored_unsubscribe_confirmation"]:
            log.error("The subscription to the topic of Amazon SES has ended: nothing more will be heard of its mail")
        return counts

    def _inbound(self, request: flask.Request, body: bytes, now: datetime) -> Mapping[str, int]:
        check_basic(request.headers.get("Authorization", ""), self._keys["inbound"])
        # A plus that nobody has quoted is a space in a query, and no address of ours has one.
        to = request.args.get("to", "").replace(" ", "+")
        mail = inbound_mail.read(body, now, to)
        if self._clerk.understands(mail):
            return self._clerk.take_mail(mail, now)
        said = {"to": to} if to else {}
        self._clerk.bury("unknown_mail", "no bounce, and nothing else that is understood", [body], now, said)
        return {"unknown_mail": 1}


def _log_refusal(provider: str, reason: str) -> None:
    log.warning("A webhook was refused", extra={"labels": {"provider": provider, "reason": reason}})


def _refusal(error: ForgedError) -> HttpError:
    if error.reason == "bad_credentials":
        challenge = {"WWW-Authenticate": 'Basic realm="webhooks"'}
        return HttpError(401, error.reason, "User and password are missing or wrong.", challenge)
    return HttpError(403, error.reason, "This does not prove that it comes from the provider.")
