"""What a preference centre offers, in which words, and what it means when somebody ticks and saves.

Pure: categories, records and languages come in, choices go out, and no clock is read.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from tidings.permission.categories import ID, Categories, Category
from tidings.permission.consent import MARKETING, SALE_AND_SHARING, TRACKING, latest, permission
from tidings.records.store import ConsentRecord

LANGUAGE = "en"
"""Of our own words, and of a category's `name` and `description`."""

SAVE = "Save my choices"

NO_MAIL = frozenset({SALE_AND_SHARING, TRACKING})
"""Categories of consent that are no mail."""

Standing = Literal["on", "pending", "off"]

_ANYTHING_ELSE = ("Anything else", "Marketing email of a kind that is not in this list, now or later.")
_WATCHING = (
    "Opens and clicks",
    "We see whether a mail was opened, and which of its links were used. Without it, mails to you carry no counting "
    "picture, and their links lead straight to where they go.",
)
_CONFIRMED_BY_MAIL = "We send you a mail first, and begin when you have confirmed there."
_WAITING = (
    "This waits for you to confirm it: we send you a mail for that, three a day at most. "
    "To get another one, untick it, save, and tick it again."
)


class Wording(NamedTuple):
    """A kind of mail in the words of a language."""

    language: str
    name: str
    description: str

    @property
    def words(self) -> str:
        """As they are read one after the other."""
        return " ".join(filter(None, (f"{self.name}.", self.description)))


class Choice(NamedTuple):
    """One box to tick.

    Attributes:
        category: what it is about.
        html_id: for labels; the category may be any text.
        name / description: as people read them, in `language`.
        hint: what will happen, or what is waited for; in our own language.
        on: whether it is ticked.
        pending: whether a yes waits for its confirmation.
        save: what stands on the button.
    """

    category: str
    html_id: str
    name: str
    description: str
    language: str
    hint: str
    on: bool
    pending: bool = False
    save: str = SAVE

    @property
    def value(self) -> str:
        """What stands for the category in a form: itself, or a digest where it is long or odd.

        Browsers do not give back every text as it was (HTML, 4.10.22.4: line ends), and events may name any.
        """
        if re.fullmatch(ID, self.category):
            return self.category
        return f"~{hashlib.blake2b(self.category.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"

    @property
    def shown(self) -> str:
        """All its words, as they are read one after the other."""
        return " ".join(filter(None, (f"{self.name}.", self.description, self.hint)))

    def words(self, given: bool) -> str:
        """What somebody saw who ticked it, or took the tick away, and saved."""
        return f"[{'x' if given else ' '}] {self.shown} [{self.save}]"


def standing(category: Category, records: Sequence[ConsentRecord]) -> Standing:
    """Whether somebody gets mail of a category; `pending` is a yes that waits to be confirmed from the mailbox."""
    if permission("marketing", category.id, records, double_opt_in=category.double_opt_in) is None:
        return "on"
    agreed = permission("marketing", category.id, records) is None
    return "pending" if agreed and category.id in latest(records) else "off"


def kinds_of_mail(known: Categories, records: Sequence[ConsentRecord], wanted: Sequence[str]) -> list[Choice]:
    """The kinds that are described, then those that the person has said something about, and then all the others.

    Args:
        known: the categories that are described.
        records: what the person has said.
        wanted: languages that they read, the best first; `de-AT` takes `de` where there is no better one.
    """
    described = [one for one in known if one.id not in {MARKETING, *NO_MAIL}]
    spoken_of = {record.category for record in records} - {one.id for one in described} - {MARKETING, *NO_MAIL}
    kinds = [*described, *(known[category] for category in sorted(spoken_of))]
    choices = [_of_category(kind, number, records, wanted) for number, kind in enumerate(kinds, start=1)]
    return [*choices, _anything_else(known[MARKETING], records)]


def watching(records: Sequence[ConsentRecord]) -> Choice:
    """Whether we may see what becomes of a mail. Nobody need agree to it, and who says no is not watched."""
    word = latest(records).get(TRACKING)
    name, description = _WATCHING
    return Choice(TRACKING, "watching", name, description, LANGUAGE, "", on=word is None or word.given)


def version(choices: Sequence[Choice]) -> str:
    """The edition of the words on a page: 12 hexadecimal characters, others for other words."""
    said = [(one.category, one.name, one.description, one.language) for one in choices]
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=6).hexdigest()


def meant(was: Mapping[str, bool], wanted: Collection[str]) -> list[tuple[str, bool]]:
    """What somebody asks for who was shown `was` and wants `wanted` ticked: categories, in order, and yes or no.

    Only what they changed: a page that lay open for a week must not take back what was said meanwhile. But the box for
    everything else speaks for all that is not ticked one by one, so when it changes, the others say what they show:
    without it the ticked ones go on, and with it those that are not ticked do not begin.
    """
    every = MARKETING in wanted
    asked = [(category, category in wanted) for category in was if category != MARKETING]
    changed = [(category, yes) for category, yes in asked if was[category] is not yes]
    if MARKETING not in was or was[MARKETING] is every:
        return changed
    rest = [(category, yes) for category, yes in asked if yes is not every and category not in NO_MAIL]
    return [(MARKETING, every), *rest, *(one for one in changed if one not in rest)]


def _of_category(kind: Category, number: int, records: Sequence[ConsentRecord], wanted: Sequence[str]) -> Choice:
    stands = standing(kind, records)
    language, name, description = worded(kind, wanted)
    hints = {"on": "", "pending": _WAITING, "off": _CONFIRMED_BY_MAIL if kind.double_opt_in else ""}
    return Choice(
        category=kind.id,
        html_id=f"kind-{number}",
        name=name,
        description=description,
        language=language,
        hint=hints[stands],
        on=stands != "off",
        pending=stands == "pending",
    )


def _anything_else(marketing: Category, records: Sequence[ConsentRecord]) -> Choice:
    name, description = _ANYTHING_ELSE
    on = standing(marketing, records) == "on"
    return Choice(MARKETING, "anything-else", name, description, LANGUAGE, "", on)


def worded(kind: Category, wanted: Sequence[str]) -> Wording:
    """The words of a kind of mail in the first of the wanted languages that there is."""
    by_tag = {tag.lower(): tag for tag in kind.languages}
    for language in (tag.lower().replace("_", "-") for tag in wanted):
        for candidate in (language, language.partition("-")[0]):
            if tag := by_tag.get(candidate):
                return Wording(tag, kind.languages[tag].name, kind.languages[tag].description)
            if candidate == LANGUAGE:
                return Wording(LANGUAGE, kind.title, kind.description)
    return Wording(LANGUAGE, kind.title, kind.description)
