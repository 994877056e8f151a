"""In which language a page speaks. English stands in the code, and is the key to the others: `pages/<language>.yaml`.

What a page says is looked up sentence by sentence, as with gettext. A sentence that another language does not have is
said in English; a test holds every one against the files.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import flask
from babel.dates import format_date

from tidings import documents

LANGUAGES = ("en", "de")


class Speech:
    """Says sentences in one language.

    Attributes:
        language: its tag.
    """

    def __init__(self, language: str, known: Mapping[str, str]) -> None:
        self.language = language
        self._known = known

    def __call__(self, sentence: str, **facts: str) -> str:
        """The sentence, its `{name}`s filled in with facts. The facts stay as they are."""
        return self._known.get(sentence, sentence).format(**facts)

    def day(self, at: datetime) -> str:
        """A day as people read it, in UTC."""
        return format_date(at.astimezone(UTC).date(), {"en": "d MMMM y"}.get(self.language, "long"), self.language)


def _known(language: str) -> Mapping[str, str]:
    if language == "en":
        return {}
    text: Any = documents.parse(files("functions").joinpath("pages", f"{language}.yaml").read_text("utf-8"))
    assert isinstance(text, dict)
    return text


SPEECHES = {language: Speech(language, _known(language)) for language in LANGUAGES}
ENGLISH = SPEECHES["en"]


def of_reader(request: flask.Request) -> Speech:
    """In the first language of the reader's browser that there is (RFC 9110 section 12.5.4), or in English."""
    wanted = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return next((SPEECHES[tag] for tag in wanted if tag in SPEECHES), ENGLISH)
