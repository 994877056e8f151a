"""The tracked form of a mail: links that lead through us, and an open pixel. What is not a link stays byte for byte.

The token in a link names the mail and the number of the link; where it leads stays with us, in the ledger, so nobody
can make our domain lead to theirs. Only the HTML is tracked: the links of the text part are what people see of them.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape
from html.entities import html5
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import idna
import msgspec

from tidings.categories import Category
from tidings.consent import TRACKING
from tidings.decisions import Decision
from tidings.rendering import Rendered
from tidings.settings import Settings
from tidings.store import ConsentRecord
from tidings.tokens import Hit, sign_hit

MOST_LINKS = 65_535
"""What two bytes of a token can tell apart. Further links stay as they are."""

PIXEL = 0
"""The number that stands for the open pixel; links are counted from 1."""

_OURS = ("u", "p", "c", "l", "o")
"""Paths of our own, by which people leave and choose: a click there is nobody's business, and must work for ever."""


def is_tracked(decision: Decision, category: Category, records: Sequence[ConsentRecord]) -> bool:
    """Whether opens and clicks of this mail may be seen.

    Not those of mail to a role: the person whom it is about does not read it. Not where the category says
    `tracked: false`, or the person has withdrawn `tracking`, which is the last word whoever asks. And those of
    transactional mail only when its category says `tracked: true` itself: people cannot opt out of such mail, and
    its links are often keys.
    """
    if decision.to != "person" or not category.tracked:
        return False
    if decision.kind == "transactional" and "tracked" not in category.model_fields_set:
        return False
    words = [record for record in records if record.category == TRACKING]
    return not words or max(words, key=lambda record: (record.at, not record.given)).given


def tracked(
    rendered: Rendered,
    decision: Decision,
    settings: Settings,
    category: Category,
    records: Sequence[ConsentRecord],
) -> tuple[Rendered, tuple[str, ...]]:
    """The mail as it leaves, and where its links lead, by number: the first one is number 1 (`Letter.links`).

    A mail that is not tracked comes back as it is, with no links.

    Args:
        rendered: subject and bodies.
        decision: whose send id the links carry.
        settings: `public_url`, and the secret that signs the links.
        category: of the mail.
        records: every word of the person on consent.
    """
    if not is_tracked(decision, category, records):
        return rendered, ()
    numbers: dict[str, int] = {}

    def address(path: str, number: int) -> str:
        return f"{settings.public_url}/{path}/{sign_hit(Hit(decision.send_id, number), settings.secret)}"

    found = _read(rendered.html)
    parts: list[str] = []
    done = 0
    for link in found.links:
        target = _target(link.value, settings.public_url)
        if target is None or (target not in numbers and len(numbers) >= MOST_LINKS):
            continue
        number = numbers.setdefault(target, len(numbers) + 1)
        parts += [rendered.html[done : link.start], f'"{escape(address("l", number))}"']
        done = link.end
    end = len(rendered.html) if found.body_end is None or found.body_end < done else found.body_end
    pixel = f'<img src="{escape(address("o", PIXEL))}" width="1" height="1" alt="" style="display:block;border:0">'
    parts += [rendered.html[done:end], pixel, rendered.html[end:]]
    return msgspec.structs.replace(rendered, html="".join(parts)), tuple(numbers)


def leads_somewhere(url: str) -> bool:
    """Whether this can stand in a Location header: an absolute http(s) URL, ASCII, nothing that ends a line."""
    if not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


_AS_IT_IS = "".join(chr(code) for code in range(ord("!"), ord("~") + 1) if chr(code) not in '"<>`')
"""What a URL keeps on the wire; the rest is percent-encoded as browsers do it (https://url.spec.whatwg.org/)."""


def _target(value: str, public_url: str) -> str | None:
    """Where a link leads, as a browser would ask for it; None for a link that stays as it is."""
    url = re.sub(r"[\t\n\r]", "", value).strip("".join(map(chr, range(33))))
    if not re.match(r"https?://", url, re.IGNORECASE):
        return None
    if url.casefold().startswith(tuple(f"{public_url}/{path}/".casefold() for path in _OURS)):
        return None
    try:
        host = urlsplit(url).netloc.partition(":")[0]
        if not host.isascii():
            if "@" in host:
                return None
            # As browsers do it. Python's own codec has the rules of 2003, and makes ss of an ß, which is another host.
            url = url.replace(host, idna.encode(host, uts46=True).decode(), 1)
        url = quote(url, safe=_AS_IT_IS)
    except ValueError:  # no host that there is, or half a character
        return None
    return url if leads_somewhere(url) else None


class _Link(NamedTuple):
    """The value of one `href`, decoded, and where it stands, quotes included."""

    start: int
    end: int
    value: str


class _Found(NamedTuple):
    links: Sequence[_Link]
    body_end: int | None


def _read(html: str) -> _Found:
    reader = _Reader(html)
    reader.feed(html)
    reader.close()
    return _Found(reader.links, reader.body_end)


_ATTRIBUTE = re.compile(r"""([^\s/>"'=][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>][^\s>]*))?""")
_CONDITIONAL = re.compile(r"\[if [^\]]*\]>")


class _Reader(HTMLParser):
    """Finds links by their place. The standard library's parser says where a tag stands and leaves the text alone.

    Every other parser at hand (lxml, selectolax, css-inline) can only write the whole document anew.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[_Link] = []
        self.body_end: int | None = None
        self._lines = [0, *(match.end() for match in re.finditer("\n", html))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the link, if it is one: Outlook has them on shapes as well (`v:roundrect`)."""
        if tag in {"title", "textarea"}:  # nothing in there is a tag; the parser learns that in later versions
            self.set_cdata_mode(tag)
        if (tag in {"a", "area"} or tag.startswith("v:")) and any(name == "href" for name, _ in attrs):
            text = self.get_starttag_text() or ""
            self.links += _hrefs(text, len(tag) + 1, self._place())

    def handle_endtag(self, tag: str) -> None:
        """Note where the body ends."""
        if tag == "body":
            self.body_end = self._place()

    def handle_comment(self, data: str) -> None:
        """Outlook reads what stands in a conditional comment, and nobody else does."""
        if condition := _CONDITIONAL.match(data):
            place = self._place() + len("<!--") + condition.end()
            inside = _read(data[condition.end() :])
            self.links += [_Link(place + start, place + end, value) for start, end, value in inside.links]

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """`<![` begins a comment that is none, in HTML; the parser would raise at words that it does not know."""
        return self.parse_bogus_comment(i)

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column


def _hrefs(tag: str, start: int, place: int) -> Iterator[_Link]:
    """The value of the first `href` in the text of a tag, if it has one."""
    for attribute in _ATTRIBUTE.finditer(tag, start):
        if attribute[1].lower() == "href":
            if attribute[2] is not None:
                quoted = attribute[2]
                value = quoted[1:-1] if quoted[0] in "\"'" else quoted
                yield _Link(place + attribute.start(2), place + attribute.end(2), _decoded(value))
            return


def _decoded(value: str) -> str:
    """Character references resolved once, as in an attribute: `&copy=` and `&copyright` are text there, not ©.

    `html.unescape` is for text between tags, and turns `?a=1&copy=2` into `?a=1©=2`.
    Source: https://html.spec.whatwg.org/multipage/parsing.html#named-character-reference-state
    """
    return re.sub(r"&(?:#(?:[xX][0-9a-fA-F]+|[0-9]+);?|([A-Za-z][A-Za-z0-9]*)(;|=)?)", _character, value)


def _character(reference: re.Match[str]) -> str:
    text, name, then = reference[0], reference[1], reference[2] or ""
    if name is None:
        return unescape(text)
    if then == "=":
        return text
    return html5.get(name + then, text)
