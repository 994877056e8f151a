"""Which language somebody reads, and which of those that there are is the nearest (RFC 5646, RFC 4647 section 3.4)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_LONGEST = 35
"""Characters; RFC 5646 section 4.4.1 finds no sensible tag that is longer."""


def of_person(facts: Mapping[str, Any]) -> str:
    """The tag that the person's traits ask for: `locale`, else `language`. Empty when neither is a tag."""
    person = facts.get("person")
    traits = person.get("traits") if isinstance(person, Mapping) else None
    if not isinstance(traits, Mapping):
        return ""
    found = (canonical(traits.get(name)) for name in ("locale", "language"))
    return next(filter(None, found), "")


def canonical(tag: object) -> str:
    """The tag as RFC 5646 section 2.1.1 writes it, `pt-BR` or `zh-Hant-TW`; empty when it is none.

    POSIX's way to write it is understood as well: `pt_BR.UTF-8`.
    """
    text = re.split("[.@]", tag, maxsplit=1)[0].replace("_", "-") if isinstance(tag, str) else ""
    if len(text) > _LONGEST or not _TAG.fullmatch(text):
        return ""
    language, *others = text.split("-")
    shapes = {2: str.upper, 4: str.title}
    return "-".join([language.lower(), *(shapes.get(len(one), str.lower)(one) for one in others)])


def fallbacks(tag: str) -> Iterator[str]:
    """The tag, and what it is a kind of: `pt-BR`, `pt`. A single letter never stands at the end."""
    parts = tag.split("-") if tag else []
    while parts:
        yield "-".join(parts)
        parts.pop()
        while parts and len(parts[-1]) == 1:
            parts.pop()
