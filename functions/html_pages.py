"""What the pages behind the links of a mail have in common: how they look, what protects them, how they fail.

None of them sets a cookie or asks for a login: the signed token in the address is all the authority there is. So there
is nothing that another site could make a browser send along, and no forgery of requests across sites (CSRF) to guard
against; what must be guarded is the address. It is not cached, not indexed, told to no other site, and not logged.
"""

import base64
import hashlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files

import flask
import jinja2
from markupsafe import Markup

from functions import speech
from functions.speech import ENGLISH, Speech
from tidings.adapters.pubsub import Publisher
from tidings.errors import TemporaryError
from tidings.mailing.message import sender
from tidings.records.store import Store
from tidings.settings import Settings

FORM_BYTES = 100_000
"""What a POST may bring: a mail program sends about 200 bytes, the preference centre up to 160 for each category, and
of those there may be as many as somebody's events have named."""

_STYLE = files("functions").joinpath("pages", "page.css").read_text("utf-8")
_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("functions", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
HEADERS: Mapping[str, str] = {
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


class Pages:
    """What can show a page; any number of threads may call it.

    Args:
        settings: who sends, and the secret that signed the links.
        store: what is kept.
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
        name, self._address = sender(settings)
        self._sender = name or self._address

    def _plain(
        self,
        say: Speech,
        status: int,
        title: str,
        sentence: str,
        headers: Mapping[str, str] | None = None,
        **facts: str,
    ) -> flask.Response:
        """A page that says one thing, given in English, with facts in it."""
        return self._page("plain.html", status, headers, say, title=say(title), sentence=say(sentence, **facts))

    def _page(
        self,
        template: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        say: Speech = ENGLISH,
        **facts: object,
    ) -> flask.Response:
        html = _PAGES.get_template(template).render(
            say=say,
            sender=self._sender,
            sender_address=self._address,
            postal_address=self._settings.postal_address,
            style=Markup(_STYLE),  # noqa: S704 our own file
            **facts,
        )
        return flask.Response(html, status, {**HEADERS, **(headers or {})}, content_type="text/html; charset=utf-8")


class LinkPages(Pages, ABC):
    """What is behind one kind of link, `/<path>/<token>`, that people act on; see `Pages`."""

    path: str
    """The first part of the address."""
    missing = "Please use the link at the end of the mail itself, or answer the mail and tell us what you want."
    """What to do instead when a link is not ours."""

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        request.max_content_length = FORM_BYTES
        if request.method not in {"GET", "HEAD", "POST"}:
            return flask.Response(status=405, headers={"Allow": "GET, HEAD, POST", **HEADERS})
        found = re.fullmatch(f"/{self.path}/([^/]+)/?", request.path)
        try:
            return self._answer(request, found[1] if found else "")
        except TemporaryError as error:
            log.error("A page is asked for again: %s", error, extra={"labels": {"fault": type(error).__name__}})
            say = speech.of_reader(request)
            sorry = "Something on our side did not answer. Please try again in a minute."
            return self._plain(say, 503, "That did not work", sorry, headers={"Retry-After": "60"})

    @abstractmethod
    def _answer(self, request: flask.Request, token: str) -> flask.Response:
        """Answer GET, HEAD or POST.

        Raises:
            TemporaryError: not now; the visitor is asked to try again.
        """

    def _unknown(self, say: Speech) -> flask.Response:
        """404 for a link that we never signed, for people and for mail programs: nobody was unsubscribed by it."""
        sentence = "It was cut short on its way, or it is not ours. {way_on}"
        return self._plain(say, 404, "This link does not work", sentence, way_on=say(self.missing))

    def _gone(self, erased: datetime, say: Speech) -> flask.Response:
        """For somebody whose data was erased, and who has opened the link of an old mail. Nothing is done by it."""
        sentence = (
            "Your data was erased on {day}. What is left is a fingerprint of your address, by which we know "
            "that we must not write to it, and a receipt. Neither says who you are."
        )
        return self._plain(say, 200, "We keep nothing about you", sentence, day=say.day(erased))
