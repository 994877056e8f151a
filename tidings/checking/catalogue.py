"""Reads the templates of a folder as far as rules have to know them."""

import json
from collections.abc import Mapping
from typing import Any

from tidings import rendering
from tidings.checking.check import Catalogue
from tidings.checking.needs import of_message
from tidings.checking.template_data import Message
from tidings.errors import TemplateError


def catalogue(folder: str = "") -> Catalogue:
    """What every template of a folder needs; empty means those that ship with the package."""
    messages: dict[str, Message] = {}
    broken: dict[str, str] = {}
    for name in rendering.template_names(folder):
        try:
            needs = of_message(name, lambda file: rendering.syntax(file, folder))
        except TemplateError as error:
            broken[name] = f"cannot be read: {error}"
            continue
        if rendering.syntax(f"{name}/body.html", folder) is None:
            broken[name] = f"there is no {name}/body.html"
        elif needs.missing:
            file, place = next(iter(needs.missing.items()))
            broken[name] = f"{place.file}, line {place.line}: there is no {file}"
        else:
            messages[name] = Message(needs, _example(name, folder))
    return Catalogue(messages, broken)


def _example(name: str, folder: str) -> Mapping[str, Any]:
    """The facts that its author tries it on. One that cannot be read promises nothing."""
    try:
        facts = json.loads(rendering.source(f"{name}/example.json", folder) or "{}")
    except (ValueError, TemplateError):
        return {}
    return facts if isinstance(facts, dict) else {}
