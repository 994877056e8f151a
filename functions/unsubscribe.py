"""The page behind an unsubscribe link: one click for mail programs, a confirmation for people, nothing for scanners.

GET and HEAD never change anything, because link scanners fetch every link. POST needs no cookie and no login, is never
redirected, and may be repeated at will. Source: RFC 8058 section 3, and section 5 on why the link must be signed.
"""

import logging

import flask

from functions import origins
from functions.html_pages import LinkPages
from tidings import categories, preferences
from tidings.consent import MARKETING
from tidings.preferences import Change
from tidings.tokens import Preferences, Unsubscribe, read_unsubscribe, sign_preferences

log = logging.getLogger(__name__)

ONE_CLICK_WORDS = "Unsubscribe, in the mail program (List-Unsubscribe-Post)"


class UnsubscribePages(LinkPages):
    """Answers the requests to `/u/<token>`; see `LinkPages`."""

    path = "u"
    missing = "Please use the link at the end of the mail itself, or answer the mail and ask to be unsubscribed."

    def _answer(self, request: flask.Request, token: str) -> flask.Response:
        link = read_unsubscribe(token, self._settings.secret)
        if link is None:
            return self._unknown()
        if erased := preferences.forgotten(link.person, self._store, self._settings.secret):
            return self._gone(erased)
        return self._post(link, request) if request.method == "POST" else self._show(link)

    def _post(self, link: Unsubscribe, request: flask.Request) -> flask.Response:
        origin = origins.read(request)
        if request.form.get("List-Unsubscribe") == "One-Click":
            return self._change(link, Change(link.category, False, "one_click", ONE_CLICK_WORDS, origin=origin))
        choice = request.form.get("choice", "")
        offers = self._offers(link.category)
        if choice not in offers:
            return self._show(link, 400)
        category = MARKETING if choice.endswith("all") else link.category
        given = choice.startswith("resubscribe")
        if given and preferences.state(link, self._store) == "subscribed":
            return self._show(link)  # here consent is given back only to undo a withdrawal: nobody agrees by accident
        change = Change(category, given, "preferences_page", offers[choice], language="en", origin=origin)
        return self._change(link, change)

    def _change(self, link: Unsubscribe, change: Change) -> flask.Response:
        changed = preferences.apply(
            change, link, self._clock(), self._store, self._publisher, self._settings.events_topic
        )
        labels = {"source": change.source, "given": change.given, "changed": changed}
        log.info("A link was used", extra={"labels": labels})
        notice = "Welcome back. That is undone." if change.given else "Done, with immediate effect."
        return self._show(link, notice=notice)

    def _show(self, link: Unsubscribe, status: int = 200, notice: str = "") -> flask.Response:
        """The page for how things stand now."""
        kind = self._kind(link.category)
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
        offers = self._offers(link.category)
        token = sign_preferences(Preferences(link.person, link.send_id), self._settings.secret)
        return self._page(
            "unsubscribe.html",
            status,
            title=title,
            sentence=sentence,
            notice=notice,
            buttons=[(choice, offers[choice]) for choice in choices if choice in offers],
            preferences=f"/p/{token}",
        )

    def _kind(self, category: str) -> str:
        """What mail of this category is called on the page."""
        if category == MARKETING:
            return "marketing email"
        return f"“{categories.load(self._settings.policy)[category].title}” email"

    def _offers(self, category: str) -> dict[str, str]:
        """Every choice that the page can offer, with the words on its button."""
        everything = {"all": "Stop all marketing email", "resubscribe_all": "Send me marketing email again"}
        if category == MARKETING:
            return everything
        kind = self._kind(category)
        return {"category": f"Stop {kind}", "resubscribe": f"Send me {kind} again", **everything}
