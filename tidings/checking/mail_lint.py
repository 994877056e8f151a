"""What is wrong with a mail that renders: what the law, Gmail, a phone or somebody who cannot see it would say."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from tidings.checking.findings import Severity
from tidings.rendering import GMAIL_CLIPS_AT, Rendered

SUBJECT_SHOWN = 70
"""Characters of a subject that most inboxes show; a phone shows 40."""

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_HIDDEN = re.compile(r"display:\s*none|max-height:\s*0(?![.\d])")
_INVISIBLE = re.compile("[\\s\u00ad\u034f\u200b-\u200f\u2007\u2060\ufeff]+")
"""What is put behind a preheader, so that an inbox does not go on with the first words of the mail."""


class Lint(NamedTuple):
    """One thing that is wrong.

    Attributes:
        severity: an `error` keeps the message from being sent.
        reason: what, and what would be right.
        value: what stands there; None when it is the lack of something.
        clue: a regular expression that finds the line in the template; empty when no line is at fault.
    """

    severity: Severity
    reason: str
    value: str | None = None
    clue: str = ""


def lint(mail: Rendered, *, is_marketing: bool, unsubscribe: str, postal_address: str) -> Iterator[Lint]:
    """Everything that there is to say of one mail.

    Args:
        mail: as it would be sent.
        is_marketing: whether it needs a way out and a postal address, by law and by `tidings.mailing.message`.
        unsubscribe: the link that it was given; empty when it was given none.
        postal_address: the address that it was given.
    """
    seen = _Seen()
    seen.feed(mail.html)
    seen.close()
    if is_marketing:
        yield from _way_out(mail, seen, unsubscribe, postal_address)
    if len(mail.subject) > SUBJECT_SHOWN:
        yield Lint(
            "warning", f"the subject has {len(mail.subject)} characters; inboxes cut it off after {SUBJECT_SHOWN}"
        )
    if not seen.preheader:
        yield Lint("warning", "there is no preheader: an inbox shows the first words of the mail beside the subject")
    size = len(mail.html.encode())
    if size > GMAIL_CLIPS_AT:
        hides = ", the way out included" if is_marketing else ""
        yield Lint(
            "error" if is_marketing else "warning",
            f"{size} bytes of HTML; Gmail hides what follows {GMAIL_CLIPS_AT}{hides}",
        )
    if not seen.language:
        yield Lint(
            "warning", 'the HTML does not say its language, so it is read out in any: <html lang="{{ language }}">'
        )
    for link in dict.fromkeys([*seen.links, *(source for source, _ in seen.images)]):
        if link.lower().startswith("http://"):
            yield Lint("warning", "is not encrypted: write https://", link, re.escape(link))
    for source, attributes in seen.images:
        yield from _image(source, attributes)


def _way_out(mail: Rendered, seen: "_Seen", unsubscribe: str, postal_address: str) -> Iterator[Lint]:
    for part, shows in (("HTML", unsubscribe in seen.links), ("text", unsubscribe in mail.text)):
        if not shows:
            yield Lint(
                "error",
                f"marketing mail needs an unsubscribe link, and the {part} has none: {{{{ links.unsubscribe }}}}",
            )
    for part, text in (("HTML", seen.text), ("text", mail.text)):
        if _plain(postal_address) not in _plain(text):
            yield Lint(
                "error",
                f"marketing mail needs the postal address, and the {part} has none: {{{{ sender.postal_address }}}}",
            )


def _image(source: str, attributes: dict[str, str | None]) -> Iterator[Lint]:
    shown = source if len(source) < 100 else f"{source[:99]}…"
    if "alt" not in attributes:
        yield Lint("warning", 'this picture has no alt text; alt="" if it is decoration', shown, _lacks("alt"))
    if not (attributes.get("width") or "width" in (attributes.get("style") or "")):
        yield Lint("warning", "this picture has no width: Outlook shows it as large as it is", shown, _lacks("width"))


def _lacks(attribute: str) -> str:
    return rf"<(img|mj-image)\b(?![^>]*\b{attribute}=)"


def _plain(text: str) -> str:
    return " ".join(text.split())


class _Seen(HTMLParser):
    """What a mail client would meet.

    Attributes:
        links / images / text / language: of the whole mail.
        preheader: the hidden words at its beginning.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.images: list[tuple[str, dict[str, str | None]]] = []
        self.language = ""
        self._shown: list[str] = []
        self._preheader: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @property
    def text(self) -> str:
        return "".join(self._shown)

    @property
    def preheader(self) -> str:
        return _INVISIBLE.sub(" ", "".join(self._preheader)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))
        elif tag == "img":
            self.images.append((attributes.get("src") or "", attributes))
        elif tag == "html":
            self.language = attributes.get("lang") or ""
        if tag not in _VOID:
            hidden = tag in ("style", "script", "title", "head") or bool(_HIDDEN.search(attributes.get("style") or ""))
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        while any(one == tag for one, _ in self._open):
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._open):
            self._shown.append(data)
        elif not self.text.strip() and not any(tag in ("head", "style", "script") for tag, _ in self._open):
            self._preheader.append(data)
