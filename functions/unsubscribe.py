"""The page behind an unsubscribe link: one click for mail programs, a confirmation for people, nothing for scanners.

GET and HEAD never change anything, because link scanners fetch every link. POST needs no cookie and no login, is never
redirected, and may be repeated at will. Source: RFC 8058 section 3, and section 5 on why the link must be signed.
"""

import logging

import flask

from functions import origins, speech
from functions.html_pages import LinkPages
from functions.speech import Speech
from tidings.permission import categories, preferences
from tidings.permission.choices import worded
from tidings.permission.consent import MARKETING
from tidings.permission.preferences import Change
from tidings.tokens import Preferences, Unsubscribe, read_unsubscribe, sign_preferences

log = logging.getLogger(__name__)

ONE_CLICK_WORDS = "Unsubscribe, in the mail program (List-Unsubscribe-Post)"


class UnsubscribePages(LinkPages):
    """Answers the requests to `/u/<token>`; see `LinkPages`."""

    path = "u"
    missing = "Please use the link at the end of the mail itself, or answer the mail and ask to be unsubscribed."

    def _answer(self, request: flask.Request, token: str) -> flask.Response:
        link = read_unsubscribe(token, self._settings.secret)
        say = speech.of_reader(request)
        if link is None:
            return self._unknown(say)
        if erased := preferences.forgotten(link.person, self._store, self._settings.secret):
            return self._gone(erased, say)
        return self._post(link, request, say) if request.method == "POST" else self._show(link, say)

    def _post(self, link: Unsubscribe, request: flask.Request, say: Speech) -> flask.Response:
        origin = origins.read(request)
        if request.form.get("List-Unsubscribe") == "One-Click":
            return self._change(link, Change(link.category, False, "one_click", ONE_CLICK_WORDS, origin=origin), say)
        choice = request.form.get("choice", "")
        offers = self._offers(link.category, say)
        if choice not in offers:
            return self._show(link, say, 400)
        category = MARKETING if choice.endswith("all") else link.category
        given = choice.startswith("resubscribe")
        if given and preferences.state(link, self._store) == "subscribed":
            return self._show(link, say)  # consent is given back only to undo a withdrawal: nobody agrees by accident
        words, language = offers[choice], say.language
        change = Change(category, given, "preferences_page", words, language=language, origin=origin)
        return self._change(link, change, say)

    def _change(self, link: Unsubscribe, change: Change, say: Speech) -> flask.Response:
        changed = preferences.apply(
            change, link, self._clock(), self._store, self._publisher, self._settings.events_topic
        )
        labels = {"source": change.source, "given": change.given, "changed": changed}
        log.info("A link was used", extra={"labels": labels})
        notice = say("Welcome back. That is undone.") if change.given else say("Done, with immediate effect.")
        return self._show(link, say, notice=notice)

    def _show(self, link: Unsubscribe, say: Speech, status: int = 200, notice: str = "") -> flask.Response:
        """The page for how things stand now."""
        kind, sender = self._kind(link.category, say), self._sender
        left = "You get no more {kind} from {sender}. Was that a slip? Take it back here."
        match preferences.state(link, self._store):
            case "subscribed":
                title = say("You are subscribed") if notice else say("Unsubscribe?")
                sentence = say("You get {kind} from {sender}.", kind=kind, sender=sender)
                choices = ["category", "all"]
            case "left_category":
                title = say("You are unsubscribed")
                sentence = say(left, kind=kind, sender=sender)
                choices = ["resubscribe", "all"]
            case "left_all":
                title = say("You are unsubscribed")
                sentence = say(left, kind=say("marketing email"), sender=sender)
                choices = ["resubscribe_all"]
        offers = self._offers(link.category, say)
        token = sign_preferences(Preferences(link.person, link.send_id), self._settings.secret)
        return self._page(
            "unsubscribe.html",
            status,
            say=say,
            title=title,
            sentence=sentence,
            notice=notice,
            buttons=[(choice, offers[choice]) for choice in choices if choice in offers],
            preferences=f"/p/{token}",
        )

    def _kind(self, category: str, say: Speech) -> str:
        """What mail of this category is called on the page."""
        if category == MARKETING:
            return say("marketing email")
        described = categories.load(self._settings.policy)[category]
        return say("“{name}” email", name=worded(described, [say.language]).name)

    def _offers(self, category: str, say: Speech) -> dict[str, str]:
        """Every choice that the page can offer, with the words on its button."""
        everything = {
            "all": say("Stop all marketing email"),
            "resubscribe_all": say("Send me {kind} again", kind=say("marketing email")),
        }
        if category == MARKETING:
            return everything
        kind = self._kind(category, say)
        return {
            "category": say("Stop {kind}", kind=kind),
            "resubscribe": say("Send me {kind} again", kind=kind),
            **everything,
        }
