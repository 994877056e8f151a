"""The tracked form of a mail: links that lead through us, and an open pixel. What is not a link stays byte for byte.

The token in a link names the mail and the number of the link; where it leads stays with us, in the ledger, so nobody
can make our domain lead to theirs. Only the HTML is tracked: the links of the text part are what people see of them.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape
from html.entities import html5
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import idna
import msgspec

from tidings.permission.categories import Category
from tidings.permission.consent import TRACKING
from tidings.records.store import ConsentRecord
from tidings.rendering import Rendered
from tidings.settings import Settings
from tidings.tokens import Hit, sign_hit
from tidings.wire.decisions import Decision

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


_ONE = r"""([^\s/>][^\s/>=]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+|(?=>|\Z))|(?!\s*+=))"""
_ATTRIBUTE = re.compile(_ONE)
_TOKEN = re.compile(
    r"<!--(?:>|->|(?P<comment>.*?)--!?>)"
    rf"|<(?P<end>/?)(?P<tag>[A-Za-z][^\s/>]*+)(?P<attributes>(?:[\s/]++|{_ONE})*+)>"
    r"|<(?:!(?!--)|\?|/(?![A-Za-z]))[^>]*+>",
    re.DOTALL,
)
"""What a browser reads as one thing: a comment, a tag, or nonsense that it skips.

The `+` after what repeats means that nothing is tried twice: a page takes the time that its length takes.
Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""
_TEXT_ONLY = ("title", "textarea", "style", "script", "xmp", "iframe", "noembed", "noframes")
"""What these hold is text, up to their own end."""
_BEGINNING = r"<(?:[A-Za-z!?]|/.)"
_NO_LINKS = re.compile(
    rf"(?:[^<]++|(?!{_BEGINNING})<"
    rf"|</?+(?!(?i:a|area|body|v:[^\s/>]*+|{'|'.join(_TEXT_ONLY)})[\s/>])[A-Za-z][^\s/>]*+"
    r"""(?:\s++[^\s/>="'<]++="[^"]*+")*+\s*+/?+>)*+""",
    re.DOTALL,
)
"""Text, and tags in which no link can stand, as long as they are written as nearly all are. Most of a mail is that."""
_CONDITIONAL = re.compile(r"\[if [^\]]*\]>")


def _read(html: str, place: int = 0) -> _Found:
    """The links, by their place. What has no end, such as half a tag, is the end of everything, as in a browser.

    The parsers at hand (lxml, selectolax, css-inline) can only write the whole document anew, and the one of the
    standard library differs from version to version, and takes hours for a megabyte of `<a `.
    """
    links: list[_Link] = []
    body_end = None
    at = 0
    while (skipped := _NO_LINKS.match(html, at)) and (token := _TOKEN.match(html, skipped.end())):
        at = token.end()
        tag = (token["tag"] or "").lower()
        if token["comment"] and (condition := _CONDITIONAL.match(token["comment"])):
            # Outlook reads what stands in a conditional comment, and nobody else does.
            inside = token["comment"][condition.end() :]
            links += _read(inside, place + token.start("comment") + condition.end()).links
        elif token["end"]:
            body_end = place + token.start() if tag == "body" else body_end
        elif tag in {"a", "area"} or tag.startswith("v:"):  # Outlook has links on shapes as well (`v:roundrect`)
            links += _hrefs(token["attributes"], place + token.start("attributes"))
        elif tag in _TEXT_ONLY:
            end = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(html, at)
            if end is None:
                break
            at = end.start()
    return _Found(links, body_end)


def _hrefs(attributes: str, place: int) -> Iterator[_Link]:
    """The value of the first `href` among the attributes of a tag, if it has one."""
    for attribute in _ATTRIBUTE.finditer(attributes):
        if attribute[1].lower() == "href":
            if attribute[2]:
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
