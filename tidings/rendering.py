"""Templates and facts in, subject and bodies out. Nothing here reads a clock, a network or a store.

A message is a folder: `subject.txt`, `body.html`, optionally `body.txt`, and `example.json` with facts to try it on.
Templates are code: they ship with the package or come from the operator's folder, so they are rendered in this
process. The sandbox refuses attributes and calls that a template has no business with, but no sandbox inside a process
stops `'%1000000000d' % 1` from eating the machine: whatever marketers may edit must be rendered in a child process
with limits on memory and time, and not by this module.
"""

import linecache
import re
import traceback
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import css_inline
import jinja2
import jinja2.nodes
import msgspec
from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from tidings.errors import TemplateError

HTML_LIMIT = 500_000
"""Bytes of HTML beyond which a mail is refused: no reader wants it, and it is a loop that ran away."""
GMAIL_CLIPS_AT = 102_000
"""Bytes of HTML after which Gmail hides the rest, the unsubscribe link included."""

_AUTHOR_FAULTS = (
    jinja2.TemplateError,
    css_inline.InlineError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What an expression can do wrong with the facts that it is given."""

_TEXT = ParserConfig(display_links=True, css=CSS_PROFILES["strict"])


class _UndefinedNameError(jinja2.UndefinedError):
    """Jinja's error, and the name that is undefined, which its message quotes."""

    def __init__(self, message: str, name: object) -> None:
        super().__init__(message)
        self.name = name


class _Undefined(jinja2.StrictUndefined):
    """Jinja's own, which remembers its name: `{{ greetings[person.traits.email] }}` makes a name of the facts."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = jinja2.UndefinedError
    ) -> None:
        if name is not None and exc is jinja2.UndefinedError:
            exc = partial(_UndefinedNameError, name=name)
        super().__init__(hint, obj, name, exc)


class Rendered(msgspec.Struct, frozen=True):
    """What a person will read. `subject` is one line; `html` has its styles inlined."""

    subject: str
    html: str
    text: str


def render(template: str, facts: Mapping[str, Any], folder: str = "") -> Rendered:
    """Render one message.

    Args:
        template: the name of its folder.
        facts: plain data (see `tidings.facts`); a name that is not there is a fault, not an empty string.
        folder: where the templates are; empty means those that ship with the package.

    Raises:
        TemplateError: no such template, an undefined name (with file, line and name), an expression that the facts do
            not fit, an empty subject or body, or more than HTML_LIMIT bytes. It never quotes the facts.
        TypeError: the facts are not plain data.
    """
    plain = msgspec.to_builtins(facts)
    environment = _environment(folder)
    try:
        subject = _one_line(environment.get_template(f"{template}/subject.txt").render(plain))
        body = environment.get_template(f"{template}/body.html").render(plain)
        if len(body.encode()) > HTML_LIMIT:  # before the inliner, whose work grows with it
            raise TemplateError(f"{template}/body.html: more than {HTML_LIMIT} bytes")
        html = css_inline.inline(body, keep_at_rules=True, load_remote_stylesheets=False)
        own_text = _get(environment, f"{template}/body.txt")
        text = own_text.render(plain) if own_text else get_text(html, _TEXT)
    except _AUTHOR_FAULTS as error:
        raise TemplateError(_explain(error, template)) from None
    text = _squeeze(text)
    for part, content in (("subject", subject), ("text", text)):
        if not content:
            raise TemplateError(f"{template}: the {part} is empty")
    if len(html.encode()) > HTML_LIMIT:
        raise TemplateError(f"{template}/body.html: more than {HTML_LIMIT} bytes")
    return Rendered(subject, html, text)


def template_names(folder: str = "") -> list[str]:
    """Every message that can be rendered, in order."""
    suffix = "/subject.txt"
    return sorted(name.removesuffix(suffix) for name in _environment(folder).list_templates() if name.endswith(suffix))


def source(name: str, folder: str = "") -> str | None:
    """The text of a file of templates, such as `welcome/example.json`; None when there is no such file.

    Raises:
        TemplateError: it is no UTF-8.
    """
    environment = _environment(folder)
    assert environment.loader is not None
    try:
        return environment.loader.get_source(environment, name)[0]
    except jinja2.TemplateNotFound:
        return None
    except UnicodeDecodeError:
        raise TemplateError(f"{name}: is no UTF-8") from None


def syntax(name: str, folder: str = "") -> jinja2.nodes.Template | None:
    """The syntax tree of a file of templates; None when there is no such file.

    Raises:
        TemplateError: it cannot be parsed; with file and line.
    """
    text = source(name, folder)
    try:
        return None if text is None else _environment(folder).parse(text, name)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(_explain(error, name)) from None


def _get(environment: jinja2.Environment, name: str) -> jinja2.Template | None:
    try:
        return environment.get_template(name)
    except jinja2.TemplateNotFound:
        return None


@lru_cache(maxsize=8)
def _environment(folder: str) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder) if folder else jinja2.PackageLoader("templates", "")
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=_Undefined,
        autoescape=jinja2.select_autoescape(["html"], default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.clear()  # range and lipsum can fill the memory; facts are all that a message needs
    environment.filters["money"] = _money
    environment.tests["web_url"] = _is_web_url
    return environment


def _money(amount: object, currency: str = "") -> str:
    """`89.5|money("EUR")` is "€89.50". Text that is no number is shown as it came."""
    try:
        number = float(amount)  # type: ignore[arg-type]  # whatever the event brought; TypeError is handled below
    except (TypeError, ValueError):
        return str(amount)
    code = currency.upper()
    figure = f"{number:,.0f}" if code in {"JPY", "KRW", "VND", "CLP"} else f"{number:,.2f}"
    symbol = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}.get(code)
    return f"{symbol}{figure}" if symbol else f"{figure} {code}".strip()


def _is_web_url(value: object) -> bool:
    """Whether a link from an event may be shown: browsers send events, so `javascript:` can stand in one."""
    if not isinstance(value, str):
        return False
    try:
        return urlsplit(value).scheme in {"http", "https"} and bool(urlsplit(value).hostname)
    except ValueError:
        return False


def _one_line(text: str) -> str:
    """A subject: control characters and runs of white space become one space, so that no event can add a header."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())


def _squeeze(text: str) -> str:
    """A text part without the air that a layout leaves: no trailing spaces, never two empty lines in a row."""
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _explain(error: BaseException, template: str) -> str:
    """Where it went wrong and, as far as that can be said in the author's own words, what."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name}, line {error.lineno}: {error.message}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith((".html", ".txt"))
    ]
    where = f"{'/'.join(Path(frames[-1].filename).parts[-2:])}, line {frames[-1].lineno}" if frames else template
    what = type(error).__name__
    if isinstance(error, jinja2.TemplateNotFound):
        known = not frames or _is_written(error.name, frames)  # no frames: it is the message itself
        what = f"there is no {error.name if known else 'template of a name that the facts have made'}"
    elif isinstance(error, _UndefinedNameError) and not _is_written(error.name, frames):
        what = "a name that the facts have made is undefined"
    elif isinstance(error, jinja2.UndefinedError):
        what = str(error.message)
    return f"{where}: {what}"


def _is_written(name: object, frames: Iterable[traceback.FrameSummary]) -> bool:
    """Whether a name stands in one of the templates. Any other was made of the facts, and may be an address."""
    sources = "".join(line for frame in frames for line in linecache.getlines(frame.filename))
    return re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", sources) is not None
