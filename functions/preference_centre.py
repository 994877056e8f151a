"""The page on which a person sees and chooses what they get, `/p/<token>`: one for each person, without a login.

Its link may be forwarded, so the page tells nothing that is not already in the mail that carried it, and does nothing
that cannot be taken back. Copies and erasure are only asked for here; they are confirmed from the mailbox itself.

GET and HEAD change nothing, with one exception: a browser that sends `Sec-GPC: 1` objects to the sale and sharing of
data with every request that it makes (11 CCR 7025), and is taken at its word by the first one. It is about no mail.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal, TypeVar

import flask
import msgspec

from functions import origins, speech, trust
from functions.html_pages import LinkPages
from functions.speech import Speech
from functions.trust import address
from tidings.errors import PublishError
from tidings.permission import categories, choices, preferences
from tidings.permission.choices import Choice
from tidings.permission.consent import MARKETING, SALE_AND_SHARING, TRACKING, address_digest, latest, said_for
from tidings.permission.preferences import Change
from tidings.records.store import ConsentRecord, Profile, Suppression
from tidings.tokens import Preferences, read_preferences
from tidings.wire import events, topics

log = logging.getLogger(__name__)

_Kept = TypeVar("_Kept")

STOP_ALL = "Stop all marketing email"
_ASKED = "because we were asked not to write there"
"""The reason that an operator gives for a suppression is in their own words, and not for this page."""
_SAID_BY_A_SERVER = re.compile(r"the mail server says: |5\d\d\b")
MOST = 500
"""How far sends, events and the like are counted: each one is a read in the database."""
ASK_AGAIN = timedelta(hours=1)
"""A copy or an erasure is asked for once in this time, however often the button is pressed: each one is a mail."""


class PreferenceCentre(LinkPages):
    """Answers the requests to `/p/<token>`; see `LinkPages`."""

    path = "p"

    def _answer(self, request: flask.Request, token: str) -> flask.Response:
        link = read_preferences(token, self._settings.secret)
        say = speech.of_reader(request)
        if link is None:
            return self._unknown(say)
        if erased := preferences.forgotten(link.person, self._store, self._settings.secret):
            return self._gone(erased, say)
        if request.headers.get("Sec-GPC") == "1" and request.method != "HEAD":
            self._note_objection(link, request)
        return self._post(link, request) if request.method == "POST" else self._show(link, request)

    def _post(self, link: Preferences, request: flask.Request) -> flask.Response:
        say = speech.of_reader(request)
        match request.form.get("choice", ""):
            case "save":
                return self._save(link, request)
            case "none":
                words = say(STOP_ALL)
                self._apply([self._change(MARKETING, False, words, request, language=say.language)], link)
                notice = say("You get no more marketing email from us, as of now.")
                return self._show(link, request, notices=[notice])
            case "export" | "erase" as what:
                return self._ask(what, link, request)
            case _:
                error = say("Nothing was changed, because the form arrived incomplete. Please choose again.")
                return self._show(link, request, 400, error=error)

    def _save(self, link: Preferences, request: flask.Request) -> flask.Response:
        """Keep what was ticked: what stops mail in any case, and what begins it only by the words that were read."""
        profile = self._store.profile(link.person)
        records = said_for(trust.mailbox(profile, self._settings.secret), self._store.consent(link.person))
        by_value = {one.value: one for one in self._offered(records, request)}
        edition = choices.version(list(by_value.values()))
        pairs = [one.partition(":") for one in request.form.getlist("was")]
        was = {by_value[value].category: state == "on" for state, _, value in pairs if value in by_value}
        wanted = [by_value[value].category for value in request.form.getlist("want") if value in by_value]
        asked = choices.meant(was, wanted)
        offered = {one.category: one for one in by_value.values()}
        is_current = request.form.get("version") == edition and len(was) == len(offered)
        changes = [
            self._change(category, given, offered[category].words(given), request, edition, offered[category].language)
            for category, given in asked
            if is_current or not given
        ]
        made = self._apply(changes, link)
        say = speech.of_reader(request)
        if not is_current:
            error = say(
                "The choices on this page have changed since you opened it. What you switched off is off; please look "
                "at the rest once more."
            )
            return self._show(link, request, 409, error=error)
        return self._show(link, request, notices=self._told(made, offered, link, say))

    def _told(
        self, made: Sequence[ConsentRecord], offered: dict[str, Choice], link: Preferences, say: Speech
    ) -> list[str]:
        """What came of it, one sentence a change."""
        if not made:
            return [say("Your choices were already saved like this.")]
        known = categories.load(self._settings.policy)
        off = [offered[one.category].name for one in made if not one.given]
        waiting = [offered[one.category].name for one in made if one.given and known[one.category].double_opt_in]
        on = [offered[one.category].name for one in made if one.given and not known[one.category].double_opt_in]
        notices = [say("Saved. It holds from the next mail on.")]
        notices += [say("Switched off: {names}.", names=", ".join(off))] if off else []
        notices += [say("Switched on: {names}.", names=", ".join(on))] if on else []
        if waiting:
            where = self._masked(self._store.profile(link.person)) or say("your address")
            sentence = "{names}: please confirm in the mail that we send to {where}, three a day at most."
            notices.append(say(sentence, names=", ".join(waiting), where=where))
        return notices

    def _ask(self, what: Literal["export", "erase"], link: Preferences, request: flask.Request) -> flask.Response:
        """Publish `Data Requested`; a rule sends the mail that confirms it to the address on file.

        The messageId is that of the hour, so whoever presses the button again and again asks once.
        """
        now = self._clock()
        profile = self._store.profile(link.person)
        say = speech.of_reader(request)
        if refusal := trust.why_not(profile, now, say) or (say(trust.NO_ADDRESS) if self._suppression(profile) else ""):
            return self._show(link, request, 409, error=refusal)
        hour = int(now.timestamp() // ASK_AGAIN.total_seconds())
        digest = hashlib.blake2b(msgspec.json.encode((link.person, what, hour)), digest_size=16).hexdigest()
        said = {"what": what, "email_id": link.send_id, "source": "preferences_page"}
        event = events.track(f"data-{digest}", "Data Requested", link.person, said, now)
        self._publisher.publish(self._settings.events_topic, [topics.of_event(event)])
        log.info("Data was asked for", extra={"labels": {"what": what}})
        where = self._masked(profile)
        sentences = {
            "export": "Please look into your mailbox, {where}: we send you a link to your copy.",
            "erase": "Please look into your mailbox, {where}: we send you a link, and erase nothing before you use it.",
        }
        notices = [
            say(sentences[what], where=where),
            say("It can take a minute. We send such a mail once an hour and three times a day at most."),
        ]
        return self._show(link, request, notices=notices)

    def _note_objection(self, link: Preferences, request: flask.Request) -> None:
        """Record that the browser objects to sale and sharing, once."""
        objection = Change(SALE_AND_SHARING, False, "gpc", "Sec-GPC: 1", origin=origins.read(request))
        try:
            self._apply([objection], link)
        except PublishError as error:  # it is kept, and told when the person comes again
            log.warning("An objection is told later: %s", error)

    def _apply(self, changes: Sequence[Change], link: Preferences) -> list[ConsentRecord]:
        made = preferences.apply_all(
            changes, link, self._clock(), self._store, self._publisher, self._settings.events_topic
        )
        for record in made:
            log.info("A choice was made", extra={"labels": {"source": record.source, "action": record.action}})
        return made

    def _change(
        self, category: str, given: bool, words: str, request: flask.Request, edition: str = "", language: str = "en"
    ) -> Change:
        origin = origins.read(request)
        return Change(category, given, "preferences_page", words, edition, language, origin)

    def _offered(self, records: Sequence[ConsentRecord], request: flask.Request) -> list[Choice]:
        """Every box, in order; the last one is not about mail."""
        known = categories.load(self._settings.policy)
        said = [record.language for record in reversed(records) if record.language]
        wanted = [tag for tag, quality in request.accept_languages if quality > 0] or said[:1]
        found = [*choices.kinds_of_mail(known, records, wanted), choices.watching(records)]
        return [_in_speech(one, speech.of_reader(request)) for one in found]

    def _show(
        self,
        link: Preferences,
        request: flask.Request,
        status: int = 200,
        notices: Sequence[str] = (),
        error: str = "",
    ) -> flask.Response:
        """The page for how things stand now."""
        profile = self._store.profile(link.person)
        kept = self._store.consent(link.person)
        records = said_for(trust.mailbox(profile, self._settings.secret), kept)
        *kinds, watching = self._offered(records, request)
        say = speech.of_reader(request)
        blocked = self._blocked(profile, say)
        not_yet = trust.why_not(profile, self._clock(), say)
        objection = latest(records).get(SALE_AND_SHARING)
        where = self._masked(profile)
        return self._page(
            "preferences.html",
            status,
            say=say,
            where=where,
            error=error,
            notices=notices,
            blocked=blocked,
            standing=say("These are kept for later." if blocked else _standing(kinds, records)),
            can_stop=not _is_all_stopped(kinds, records),
            choices=kinds,
            tracking=watching,
            version=choices.version([*kinds, watching]),
            objected=say.day(objection.at) if objection and not objection.given else "",
            save=say(choices.SAVE),
            stop_all=say(STOP_ALL),
            kept=self._kept(link.person, profile, kept, say),
            not_yet=not_yet if address(profile) and not blocked else "",
            can_ask=not (not_yet or blocked),
        )

    def _blocked(self, profile: Profile | None, say: Speech) -> list[str]:
        """Why nothing is sent to the address, whatever is ticked."""
        found = self._suppression(profile)
        if found is None:
            return []
        why = {
            "complained": "because a mail of ours was reported as spam from there",
            "erased": "because its data was erased, and we promised not to write there again",
            "bounced": "because its mail server told us that there is no such mailbox",
        }.get("bounced" if _SAID_BY_A_SERVER.match(found.reason) else found.reason, _ASKED)
        otherwise = "If that is wrong, write to {address}. Your choices below are kept, and have no effect until then."
        return [
            say("We send nothing to this address since {day}, {why}.", day=say.day(found.at), why=say(why)),
            say(otherwise, address=self._address),
        ]

    def _kept(
        self, person: str, profile: Profile | None, records: Sequence[ConsentRecord], say: Speech
    ) -> list[tuple[str, str]]:
        """How much is kept, and of what; never what it says."""
        lines = self._store.activity(person, MOST)
        feedback = self._store.feedback(person, limit=MOST)
        sends = self._store.ledger(person, MOST)
        facts = [value for value in profile.traits.values() if value is not None] if profile else []
        since = profile.first_seen if profile else None
        counted = {
            "Things you did on our site or in our app": _count(lines, lambda line: line.kind == "event"),
            "Mails that we sent you": _count(sends, lambda entry: entry.status == "sent"),
            "Opens and clicks": _count(feedback, lambda one: one.kind in ("opened", "clicked")),
        }
        return [
            (say("Address"), self._masked(profile) or say("none")),
            (say("First heard of you"), say.day(since) if since else say("not known")),
            (say("Facts about you, such as your name"), str(len(facts))),
            *(
                (say(what), say("{count} or more", count=str(n)) if is_more else str(n))
                for what, (n, is_more) in counted.items()
            ),
            (say("Records of your choices"), str(len(records))),
        ]

    def _suppression(self, profile: Profile | None) -> Suppression | None:
        where = address(profile)
        return self._store.suppression(address_digest(where, self._settings.secret)) if where else None

    def _masked(self, profile: Profile | None) -> str:
        """The address for those who know it already: `a•••@e•••.com`. Empty when there is none."""
        local, _, domain = address(profile).rpartition("@")
        return f"{local[0]}•••@{domain[0]}•••.{domain.rpartition('.')[2]}" if local else ""


def _standing(kinds: Sequence[Choice], records: Sequence[ConsentRecord]) -> str:
    """What the boxes add up to, and what a tick will do."""
    if _is_all_stopped(kinds, records):
        return "You have stopped all of it. Tick what you would like: you get that, and nothing else."
    if not any(one.on for one in kinds):
        return "You get none of it. Tick what you would like: you get that, and nothing else."
    return "You get what is ticked. To end something, untick it and save."


def _is_all_stopped(kinds: Sequence[Choice], records: Sequence[ConsentRecord]) -> bool:
    general = latest(records).get(MARKETING)
    return bool(general and not general.given) and not any(one.on for one in kinds)


def _count(found: Sequence[_Kept], counts: Callable[[_Kept], bool]) -> tuple[int, bool]:
    """How many, and whether there may be more."""
    return sum(1 for one in found if counts(one)), len(found) >= MOST


def _in_speech(choice: Choice, say: Speech) -> Choice:
    """A box with our own words in the language of the page; what a kind of mail is called stands in the policy."""
    ours = choice._replace(hint=choice.hint and say(choice.hint), save=say(choice.save))
    if choice.category not in {MARKETING, TRACKING}:
        return ours
    return ours._replace(name=say(choice.name), description=say(choice.description), language=say.language)
