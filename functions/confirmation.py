"""The page behind the link in a mail that asks for a confirmation, `/c/<token>`: here the mailbox itself speaks.

GET and HEAD show what is about to be confirmed; POST confirms it. A link works once, and for so long as
`tidings.mailing.links` says. One that is over is answered with 410 and a way on, and one that was used with 200 and
what came of it.

A yes is used up by its own record, which the link alone determines: no crash can use up the link and lose the yes. A
copy and an erasure are marked as done when they are done, so that one that fails half-way can be asked for again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import flask
import msgspec

from functions import origins, speech, trust
from functions.html_pages import HEADERS, LinkPages
from functions.speech import Speech
from tidings.adapters.pubsub import Publisher
from tidings.permission import categories, choices, preferences
from tidings.permission.choices import Wording
from tidings.permission.consent import said_for
from tidings.privacy.erasure import erase
from tidings.privacy.export import export
from tidings.records.store import ConsentRecord, Receipt, Store
from tidings.settings import Settings
from tidings.tokens import Confirmation, Preferences, read_confirmation, sign_preferences

log = logging.getLogger(__name__)

YES = "Yes, send it to me"
BY_THE_PERSON = "recipient"


class _Page(NamedTuple):
    """What is shown, in English; `facts` are what its sentences name beside `{sender}` and `{address}`."""

    title: str
    sentences: Sequence[str]
    lists: Sequence[tuple[str, Sequence[str]]] = ()
    what: Wording | None = None
    button: str = ""
    danger: bool = False
    done: str = ""
    status: int = 200
    is_last: bool = False  # there are no choices left to lead to
    facts: Mapping[str, str] = {}


class Rights(NamedTuple):
    """What is done for a person who has confirmed it. Both may raise `TemporaryError`: then it is to be done again."""

    export: Callable[[str, datetime], dict[str, Any]]
    erase: Callable[[str, datetime], Receipt]


def rights(store: Store, publisher: Publisher, settings: Settings) -> Rights:
    """Those of `tidings.privacy`; archive and dead letters are not for a function that is open to the internet."""
    return Rights(
        lambda person, at: export(store, settings, person, at, BY_THE_PERSON),
        lambda person, at: erase(store, publisher, settings, person, at, BY_THE_PERSON),
    )


class ConfirmationPages(LinkPages):
    """Answers the requests to `/c/<token>`; see `LinkPages`."""

    path = "c"

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], datetime],
        how: Rights,
    ) -> None:
        super().__init__(settings, store, publisher, clock)
        self._rights = how

    def _answer(self, request: flask.Request, token: str) -> flask.Response:
        link = read_confirmation(token, self._settings.secret)
        say = speech.of_reader(request)
        if link is None:
            return self._unknown(say)
        is_confirmed = request.method == "POST" and request.form.get("choice") == "confirm"
        if link.purpose == "subscribe":
            return self._show(self._subscription(link, request, say, is_confirmed), link, say)
        if self._is_done(link):
            return self._show(self._already(link), link, say)
        if self._is_over(link):
            return self._show(self._expired(link), link, say)
        if refusal := self._refusal(link, say):
            return self._show(refusal, link, say)
        if not is_confirmed:
            return self._show(self._offer(link), link, say)
        return self._download(link) if link.purpose == "export" else self._erase(link, say)

    # --- a yes to mail

    def _subscription(self, link: Confirmation, request: flask.Request, say: Speech, is_confirmed: bool) -> _Page:
        kind = categories.load(self._settings.policy)[link.category]
        records = self._store.consent(link.person)
        profile = self._store.profile(link.person)
        mailbox = trust.mailbox(profile, self._settings.secret)
        is_elsewhere = trust.is_elsewhere(link, profile, self._store, self._settings.secret)
        said = [record.language for record in reversed(records) if record.language]
        wanted = [tag for tag, quality in request.accept_languages if quality > 0] or said[:1]
        what = choices.worded(kind, wanted)
        own = preferences.record_id(link, link.category, "confirmed")
        stands = choices.standing(kind, said_for(mailbox, records))
        if stands == "off":
            sentence = "“{name}” is not switched on: it was switched off meanwhile, or your data was erased."
            return _Page("Nothing to confirm", [sentence], status=409, facts={"name": what.name})
        if any(record.record_id == own for record in records):
            if is_confirmed:
                self._keep([], records, link)  # tells what could not be told before
            return self._elsewhere(link) if is_elsewhere else self._used(what, stands)
        if self._is_over(link):
            return self._expired(link)
        if is_elsewhere:
            return self._elsewhere(link)
        if not is_confirmed:
            sentence = "It comes from {sender}, to the address that got the mail with this link."
            return _Page("Please confirm", [sentence], what=what, button=YES)
        record = ConsentRecord(
            record_id=own,
            person=link.person,
            category=link.category,
            action="confirmed",
            at=max([self._clock(), *(record.at for record in records if record.category == link.category)]),
            source="confirmation_page",
            words=f"{what.words} [{say(YES)}]",
            language=what.language,
            origin=origins.read(request),
            mailbox=mailbox,
        )
        self._keep([record], [*records, record], link)
        log.info("Consent was confirmed")
        thanks = "You get “{name}” from {sender} from now on. You can leave again with one click in every mail."
        return _Page("Thank you", [thanks], done="Confirmed.", facts={"name": what.name})

    def _used(self, what: Wording, stands: choices.Standing) -> _Page:
        facts = {"name": what.name}
        if stands == "on":
            sentence = "You get “{name}” from {sender}. There is nothing more to do."
            return _Page("Already confirmed", [sentence], facts=facts)
        sentence = "You have left “{name}” since, and asked for it once more: please use the link in the newer mail."
        return _Page("This link was used", [sentence], facts=facts)

    def _keep(self, made: list[ConsentRecord], records: list[ConsentRecord], link: Confirmation) -> None:
        preferences.keep(made, records, link, self._store, self._publisher, self._settings.events_topic)

    # --- a person's data

    def _refusal(self, link: Confirmation, say: Speech) -> _Page | None:
        """Why the mailbox that this link went to has no say about the person's data; None when it has."""
        profile = self._store.profile(link.person)
        if link.purpose == "erase" and profile is None:
            return None  # an erasure that broke off: there is nobody left to protect, and it is to be completed
        if trust.is_elsewhere(link, profile, self._store, self._settings.secret):
            return self._elsewhere(link)
        why = trust.why_not(profile, self._clock(), say)
        sentence = "{why} If you need it sooner, write to {address}."
        return _Page("Not yet", [sentence], status=409, facts={"why": why}) if why else None

    def _offer(self, link: Confirmation) -> _Page:
        if link.purpose == "export":
            sentences = [
                "Everything that {sender} keeps about you, in one file (JSON) that people and programs can "
                "read. It holds what you did, what we sent, and what you agreed to: keep it where you keep letters.",
                "The button works once. If something goes wrong, ask for a new link.",
            ]
            return _Page("A copy of your data", sentences, button="Download my data")
        goes = (
            "your profile, and what you did on our site",
            "what we sent you, and mail that still waits to be sent",
            "your choices, and the records of them",
        )
        stays = (
            "a fingerprint of your address, which cannot be turned back into it: so we never write there again",
            "a receipt that says when we erased, and not whom",
            "for a while, the archive of what happened on our site, from which it is taken out by hand",
        )
        sentences = ["{sender} then forgets you. It cannot be taken back."]
        lists = (("What goes", goes), ("What stays", stays))
        return _Page("Erase your data?", sentences, lists, button="Erase my data for good", danger=True)

    def _download(self, link: Confirmation) -> flask.Response:
        now = self._clock()
        content = msgspec.json.format(msgspec.json.encode(self._rights.export(link.person, now)), indent=2)
        self._mark_done(link)
        log.info("A copy was handed out")
        as_file = {"Content-Disposition": f'attachment; filename="my-data-{now:%Y-%m-%d}.json"'}
        return flask.Response(content, 200, {**HEADERS, **as_file}, content_type="application/json")

    def _erase(self, link: Confirmation, say: Speech) -> flask.Response:
        receipt = self._rights.erase(link.person, self._clock())
        self._mark_done(link)
        log.info("A person was erased")
        sentences = [
            "We have forgotten you, and nothing is sent to your address any more.",
            "The number of your receipt: {receipt}. It says when, and not whom.",
        ]
        facts = {"receipt": receipt.receipt_id}
        page = _Page("Your data is erased", sentences, done="Erased.", is_last=True, facts=facts)
        return self._show(page, link, say)

    def _already(self, link: Confirmation) -> _Page:
        if link.purpose == "export":
            sentences = [
                "This link has handed out its copy. If it was not you, or you need another one, ask for it anew."
            ]
            return _Page("Already downloaded", sentences)
        return _Page("Already erased", ["This link has done its work. There is nothing more to do."])

    # --- all of them

    def _elsewhere(self, link: Confirmation) -> _Page:
        again = {
            "subscribe": "If that is right, switch it on again on the page with your choices. "
            "If not, write to {address}.",
            "export": "If that is right, ask for a copy again on the page with your choices. "
            "If not, write to {address}.",
            "erase": "If that is right, ask for it again on the page with your choices. If not, write to {address}.",
        }
        happened = "Since the mail with this link was sent, mail for you goes to another address: nothing was done."
        return _Page("The address has changed", [happened, again[link.purpose]], status=409)

    def _expired(self, link: Confirmation) -> _Page:
        again = "It worked for a few days only. Ask for a new one on the page with your choices."
        if link.purpose == "subscribe":
            again = "It worked for a few days only. Switch it on again on the page with your choices."
        return _Page("This link is too old", [again], status=410)

    def _show(self, page: _Page, link: Confirmation, say: Speech) -> flask.Response:
        token = sign_preferences(Preferences(link.person, link.send_id), self._settings.secret)
        facts = {"sender": self._sender, "address": self._address, **page.facts}
        return self._page(
            "confirmation.html",
            page.status,
            say=say,
            title=say(page.title),
            done=page.done and say(page.done),
            what=page.what,
            sentences=[say(sentence, **facts) for sentence in page.sentences],
            lists=[(say(heading), [say(point) for point in points]) for heading, points in page.lists],
            button=page.button and say(page.button),
            danger=page.danger,
            preferences="" if page.is_last else f"/p/{token}",
        )

    def _is_over(self, link: Confirmation) -> bool:
        return self._clock().timestamp() >= link.expires_at

    def _is_done(self, link: Confirmation) -> bool:
        return bool(self._store.tallies([_name(link)])[0])

    def _mark_done(self, link: Confirmation) -> None:
        until = datetime.fromtimestamp(link.expires_at, UTC) + timedelta(days=30)  # then 410 says enough
        self._store.tally(_name(link), {link.purpose: 1}, until)


def _name(link: Confirmation) -> str:
    return f"confirmed:{link.send_id}"
