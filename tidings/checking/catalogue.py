"""Reads the templates of a folder as far as rules have to know them."""

import json
from collections.abc import Mapping
from typing import Any

from tidings import rendering
from tidings.checking.check import Catalogue
from tidings.checking.needs import of_message
from tidings.checking.template_data import Message
from tidings.errors import TemplateError
from tidings.rendering import languages
from tidings.rendering.files import BODIES, SUBJECT


def catalogue(folder: str = "") -> Catalogue:
    """What every template of a folder needs; empty means those that ship with the package."""
    messages: dict[str, Message] = {}
    broken: dict[str, str] = {}
    for name in rendering.template_names(folder):
        tags = rendering.variants(name, folder)
        try:
            needs = of_message(name, lambda file: rendering.syntax(file, folder), tags)
        except TemplateError as error:
            broken[name] = f"cannot be read: {error}"
            continue
        incomplete = next(filter(None, (lacking(name, tag, folder) for tag in ("", *tags))), "")
        if incomplete:
            broken[name] = incomplete
        elif needs.missing:
            file, place = next(iter(needs.missing.items()))
            broken[name] = f"{place.file}, line {place.line}: there is no {file}"
        else:
            messages[name] = Message(needs, _example(name, folder))
    return Catalogue(messages, broken)


def lacking(message: str, variant: str = "", folder: str = "") -> str:
    """What is wrong with the parts of a message, or of a variant of it such as `de`; empty when nothing is."""
    name = f"{message}/{variant}" if variant else message
    bodies = [file for file in BODIES if rendering.source(f"{name}/{file}", folder) is not None]
    if rendering.source(f"{name}/{SUBJECT}", folder) is None:
        return f"there is no {name}/{SUBJECT}, so nobody gets this variant"
    if not bodies:
        return f"there is no {name}/{BODIES[0]}, nor {BODIES[1]}"
    if len(bodies) > 1:
        return f"there are both {name}/{bodies[0]} and {bodies[1]}, and only the first is sent"
    if languages.canonical(variant) != variant:
        return f"{name}: is never found; call it {languages.canonical(variant)}"
    return ""


def _example(name: str, folder: str) -> Mapping[str, Any]:
    """The facts that its author tries it on. One that cannot be read promises nothing."""
    try:
        facts = json.loads(rendering.source(f"{name}/example.json", folder) or "{}")
    except (ValueError, TemplateError):
        return {}
    return facts if isinstance(facts, dict) else {}
