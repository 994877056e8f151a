"""What a template can do beside Jinja's own: prices as the mail's language writes them, names, and looking at links."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import jinja2
from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal, get_currency_precision
from jinja2.runtime import Context

BASE_LANGUAGE = "en"
"""What a folder of templates is written in that does not say so in `_language.txt`."""

HOSTS = "_hosts.txt"
"""The file of a folder of templates that says where links of events may lead: a host a line, with what is under it."""

_DISGUISE = re.compile(r"[\\\s\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""What makes a link look as if it led elsewhere."""

_LARGEST = 1e15
"""From here on a double does not hold cents any more, and it is no price."""


@jinja2.pass_context
def money(context: Context, amount: object, currency: str = "") -> str:
    """`89.5|money("EUR")` is "€89.50", in German mail "89,50 €". Text that is no number is shown as it came."""
    try:
        number = float(amount)  # type: ignore[arg-type]  # whatever the event brought; TypeError is handled below
    except (TypeError, ValueError):
        return str(amount)
    if not math.isfinite(number) or abs(number) >= _LARGEST:
        return str(amount)
    locale = _locale(str(context.get("language", BASE_LANGUAGE)))
    code = str(currency).upper()
    if code in locale.currency_symbols and locale.currency_symbols[code] != code:
        return format_currency(number, code, locale=locale)
    cents = get_currency_precision(code)
    pattern = "#,##0." + "0" * cents if cents else "#,##0"
    return f"{format_decimal(number, pattern, locale=locale)} {code}".strip()


_LONGEST_NAME = 60
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069:/@<>]|\w\.\w{2,}|www\b", re.IGNORECASE)
"""What mail programs make a link of, `win.example` included, and what turns or breaks a line."""


def first_name(traits: object) -> str:
    """What to call somebody in a mail; empty when nothing is known, or what is known would be an advertisement.

    Anybody can type somebody else's address into a form, and "Win a phone: evil.example" for a name. A welcome goes out
    without consent, so it would carry that to a stranger, signed by us.
    """
    if not isinstance(traits, Mapping):
        return ""
    known = (traits.get(name) for name in ("firstName", "first_name", "name"))
    found = next(filter(None, known), "")
    name = found.strip() if isinstance(found, str) else ""
    return "" if len(name) > _LONGEST_NAME or _NO_NAME.search(name) else name


@jinja2.pass_environment
def is_web_url(environment: jinja2.Environment, value: object) -> bool:
    """Whether a link from an event may be shown: browsers send events, so anything at all can stand in one.

    It is one of the web, it leads where it seems to (browsers read a backslash as a slash, and what is before an @ as a
    name), and to a host of `_hosts.txt`, if the folder of templates has one.
    """
    if not isinstance(value, str) or _DISGUISE.search(value):
        return False
    try:
        link = urlsplit(value)
    except ValueError:
        return False
    if link.scheme not in {"http", "https"} or not link.hostname or link.username is not None:
        return False
    allowed = _hosts(environment)
    return allowed is None or any(link.hostname == host or link.hostname.endswith(f".{host}") for host in allowed)


def _hosts(environment: jinja2.Environment) -> list[str] | None:
    """Where links of events may lead; None for everywhere."""
    try:
        listed = environment.get_template(HOSTS).render()
    except jinja2.TemplateNotFound:
        return None
    lines = (line.partition("#")[0].strip().lower() for line in listed.splitlines())
    return [line for line in lines if line]


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(BASE_LANGUAGE)
