"""One message, rendered."""

import re
from collections.abc import Mapping
from typing import Any

import css_inline
import jinja2
import mjml
import msgspec
from inscriptis import Inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from lxml import etree

from tidings.errors import TemplateError
from tidings.rendering import files, languages
from tidings.rendering.faults import AUTHOR_FAULTS, explain
from tidings.rendering.filters import BASE_LANGUAGE

HTML_LIMIT = 500_000
"""Bytes of a body beyond which a mail is refused: no reader wants it, and it is a loop that ran away."""
GMAIL_CLIPS_AT = 102_000
"""Bytes of HTML after which Gmail hides the rest, the unsubscribe link included."""
SUBJECT_LIMIT = 1_000
"""Characters; a line of a mail has no room for more (RFC 5322 section 2.1.1)."""

_TEXT = ParserConfig(display_links=True, css=CSS_PROFILES["strict"])
_PARSER = etree.HTMLParser(remove_comments=True)
_STYLED = etree.XPath("//*[@style]")
_HIDDEN = re.compile(r"display:\s*none", re.IGNORECASE)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML may hold (https://www.w3.org/TR/xml/#charsets), and that an event may."""


class Rendered(msgspec.Struct, frozen=True):
    """What a person will read. `subject` is one line; `html` has its styles inlined.

    Attributes:
        language: what it is written in, a tag of RFC 5646.
    """

    subject: str
    html: str
    text: str
    language: str = BASE_LANGUAGE


def render(template: str, facts: Mapping[str, Any], folder: str = "") -> Rendered:
    """Render one message, in the language that the person's traits ask for when there is such a variant.

    A variant is taken whole or not at all: no part of it is filled in from another language.

    Args:
        template: the name of its folder.
        facts: plain data (see `tidings.mailing.facts`); a name that is not there is a fault, not an empty string.
            Templates
            see `language` besides, the tag of what they are written in.
        folder: where the templates are; empty means those that ship with the package.

    Raises:
        TemplateError: no such template, an undefined name (with file, line and name), an expression that the facts do
            not fit, an empty subject or body, or more of either than its limit. It never quotes the facts.
        TypeError: the facts are not plain data.
    """
    try:
        plain = msgspec.to_builtins(facts)
    except RecursionError:
        raise TemplateError(f"{template}: the facts go too deep") from None
    there = files.environment(folder)
    try:
        name, language = _variant(there, template, languages.of_person(plain))
        plain["language"] = language
        subject = _one_line(there.get_template(f"{name}/{files.SUBJECT}").render(plain))
        html = _html(there, name, plain)
        own_text = files.first(there, [f"{name}/{files.TEXT}"])
        text = _squeeze(own_text.render(plain) if own_text else _text_of(html))
    except AUTHOR_FAULTS as error:
        raise TemplateError(explain(error, template)) from None
    for part, content in (("subject", subject), ("text", text)):
        if not content:
            raise TemplateError(f"{name}: the {part} is empty")
    if len(subject) > SUBJECT_LIMIT:
        raise TemplateError(f"{name}/{files.SUBJECT}: more than {SUBJECT_LIMIT} characters")
    _limit(subject, f"{name}/{files.SUBJECT}")
    _limit(html, f"{name}/body.html")
    _limit(text, f"{name}/{files.TEXT}")
    return Rendered(subject, html, text, language)


def _variant(there: jinja2.Environment, template: str, wanted: str) -> tuple[str, str]:
    """The folder to render, and the language that it is written in."""
    for tag in languages.fallbacks(wanted):
        name = f"{template}/{tag}"
        subject = files.first(there, [f"{name}/{files.SUBJECT}"])
        if subject is not None and files.first(there, [f"{name}/{body}" for body in files.BODIES]) is not None:
            return name, tag
    said = files.first(there, ["_language.txt"])
    return template, (languages.canonical(said.render().strip()) if said else "") or BASE_LANGUAGE


def _html(there: jinja2.Environment, name: str, plain: Mapping[str, Any]) -> str:
    """The body, with its styles where mail clients look for them.

    MJML is compiled after Jinja has run, so that a template in it may do whatever one in HTML may; it costs 0.05 ms.
    """
    body = files.first(there, [f"{name}/{file}" for file in files.BODIES]) or there.get_template(f"{name}/body.html")
    written = body.render(plain)
    _limit(written, str(body.name))  # before the inliner and the compiler, whose work grows with it
    if str(body.name).endswith(".html"):
        return css_inline.inline(written, keep_at_rules=True, load_remote_stylesheets=False)
    try:
        compiled = mjml.mjml2html(_NOT_IN_XML.sub("", written), fonts={})  # a mail fetches no fonts
    except ValueError as error:  # its words are about positions and never quote
        raise TemplateError(f"{body.name}: what it renders to is no MJML: {error}") from None
    return str(compiled)


def _text_of(html: str) -> str:
    """The words of a body, links and tables included.

    What shows no word goes first, because lxml is ten times as fast at it: comments, the head, what is hidden (which
    goes as one more head), and then every style, as nothing else of them matters.
    """
    tree = etree.fromstring(html, _PARSER)
    for element in _STYLED(tree):
        if _HIDDEN.search(element.get("style")):
            element.tag = "head"
    etree.strip_elements(tree, "head", with_tail=False)
    etree.strip_attributes(tree, "style")
    return str(Inscriptis(tree, _TEXT).get_text())


def _limit(content: str, part: str) -> None:
    """What cannot be written in UTF-8, or is too long, can be in no mail."""
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        raise TemplateError(f"{part}: holds half a character") from None
    if size > HTML_LIMIT:
        raise TemplateError(f"{part}: more than {HTML_LIMIT} bytes")


def _one_line(text: str) -> str:
    """A subject: control characters and runs of white space become one space, so that no event can add a header.

    So do those that turn the direction of writing (https://www.unicode.org/reports/tr9/#Explicit_Directional_Embeddings)
    and need not be ended: in an inbox they would turn what stands beside the subject.
    """
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]", " ", text).split())


def _squeeze(text: str) -> str:
    """A text part without the air that a layout leaves: no trailing spaces, never two empty lines in a row."""
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
