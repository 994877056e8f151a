"""The page behind an unsubscribe link: one click for mail programs, a confirmation for people, nothing for scanners.

GET and HEAD never change anything, because link scanners fetch every link. POST needs no cookie and no login, is never
redirected, and may be repeated at will. Source: RFC 8058 section 3, and section 5 on why the link must be signed.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files

import flask
import jinja2
from markupsafe import Markup

from functions import preferences
from functions.preferences import Change
from tidings.adapters.pubsub import Publisher
from tidings.consent import MARKETING
from tidings.errors import TemporaryError
from tidings.message import sender
from tidings.settings import Settings
from tidings.store import Store
from tidings.tokens import Unsubscribe, read_unsubscribe

FORM_BYTES = 10_000
"""What a POST may bring: a mail program sends about 200 bytes."""

_STYLE = files("functions").joinpath("pages", "unsubscribe.css").read_text("utf-8")
_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("functions", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; style-src 'sha256-"
        f"{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
    ),
    "Referrer-Policy": "no-referrer",  # the address of the page is all that it takes to unsubscribe somebody
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

log = logging.getLogger(__name__)


class UnsubscribePages:
    """Answers the requests to `/u/<token>` of one function instance; any number of threads may call it.

    Args:
        settings: who sends, and the secret that signed the links.
        store: consent, and the ledger for the campaign's name.
        publisher: takes the events.
        clock: the time; only the shell reads one.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._clock = clock
        name, address = sender(settings)
        self._sender = name or address

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        request.max_content_length = FORM_BYTES
        if request.method not in {"GET", "HEAD", "POST"}:
            return flask.Response(status=405, headers={"Allow": "GET, HEAD, POST", **_HEADERS})
        path = re.fullmatch(r"/u/([^/]+)/?", request.path)
        link = read_unsubscribe(path[1], self._settings.secret) if path else None
        try:
            return self._post(link, request) if request.method == "POST" else self._show(link)
        except TemporaryError as error:
            log.error("A change of consent comes again: %s", error, extra={"labels": {"fault": type(error).__name__}})
            sorry = "Something on our side did not answer. Please try again in a minute."
            return self._page(503, "That did not work", sorry, headers={"Retry-After": "60"})

    def _post(self, link: Unsubscribe | None, request: flask.Request) -> flask.Response:
        if request.form.get("List-Unsubscribe") == "One-Click":
            if link is None:  # nothing that trying again would mend, so the mail program need not
                return self._page(200, *_UNKNOWN)
            words = "Unsubscribe, in the mail program (List-Unsubscribe-Post)"
            return self._change(link, Change(link.category, False, "one_click", words))
        if link is None:
            return self._show(link)
        choice = request.form.get("choice", "")
        offers = _offers(link.category)
        if choice not in offers:
            return self._show(link, 400)
        category = MARKETING if choice.endswith("all") else link.category
        return self._change(
            link, Change(category, choice.startswith("resubscribe"), "preferences_page", offers[choice])
        )

    def _change(self, link: Unsubscribe, change: Change) -> flask.Response:
        changed = preferences.apply(
            change, link, self._clock(), self._store, self._publisher, self._settings.events_topic
        )
        labels = {"source": change.source, "given": change.given, "changed": changed}
        log.info("A link was used", extra={"labels": labels})
        notice = "Welcome back. That is undone." if change.given else "Done, with immediate effect."
        return self._show(link, notice=notice)

    def _show(self, link: Unsubscribe | None, status: int = 200, notice: str = "") -> flask.Response:
        """The page for how things stand now."""
        if link is None:
            return self._page(404, *_UNKNOWN)
        kind = _kind(link.category)
        match preferences.state(link, self._store):
            case "subscribed":
                title = "You are subscribed" if notice else "Unsubscribe?"
                sentence = f"You get {kind} from {self._sender}."
                choices = ["category", "all"]
            case "left_category":
                title = "You are unsubscribed"
                sentence = f"You get no more {kind} from {self._sender}. Was that a slip? Take it back here."
                choices = ["resubscribe", "all"]
            case "left_all":
                title = "You are unsubscribed"
                sentence = f"You get no more marketing email from {self._sender}. Was that a slip? Take it back here."
                choices = ["resubscribe_all"]
        offers = _offers(link.category)
        buttons = [(choice, offers[choice]) for choice in choices if choice in offers]
        footnote = "Mail about your orders and your account is not affected."
        return self._page(status, title, sentence, notice, buttons, footnote)

    def _page(
        self,
        status: int,
        title: str,
        sentence: str,
        notice: str = "",
        buttons: list[tuple[str, str]] | None = None,
        footnote: str = "",
        headers: dict[str, str] | None = None,
    ) -> flask.Response:
        html = _PAGES.get_template("unsubscribe.html").render(
            title=title,
            sentence=sentence,
            notice=notice,
            buttons=buttons or [],
            footnote=footnote,
            sender=self._sender,
            style=Markup(_STYLE),  # noqa: S704 our own file
        )
        return flask.Response(html, status, {**_HEADERS, **(headers or {})}, content_type="text/html; charset=utf-8")


_UNKNOWN = (
    "This link does not work",
    "It was cut short on its way, or it is not ours. Please use the link at the end of the mail itself, or answer the "
    "mail and ask to be unsubscribed.",
)


def _kind(category: str) -> str:
    """What mail of this category is called on the page."""
    return "marketing email" if category == MARKETING else f"“{re.sub('[-_]+', ' ', category)}” email"


def _offers(category: str) -> dict[str, str]:
    """Every choice that the page can offer, with the words on its button."""
    everything = {"all": "Stop all marketing email", "resubscribe_all": "Send me marketing email again"}
    if category == MARKETING:
        return everything
    kind = _kind(category)
    return {"category": f"Stop {kind}", "resubscribe": f"Send me {kind} again", **everything}
