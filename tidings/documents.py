"""Reads documents that people write, and names every fault in them by path and value."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tidings.errors import InvalidRuleError

Fault = dict[str, object]
_Document = TypeVar("_Document", bound=BaseModel)

_REASONS = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}
_BRANCHES = {"Condition", "Pause", "Selector", "str"}
"""What pydantic puts into a path to say which of several forms it has tried."""


class _Loader(yaml.SafeLoader):
    """Plain YAML, where `on`, `off`, `yes` and `no` are words, as in YAML 1.2 and in the eyes of most people."""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def parse(text: str) -> Any:
    """A YAML document as plain data.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader


def parse_file(file: Traversable, what: str = "rule") -> Any:
    """A YAML file as plain data.

    Raises:
        InvalidRuleError: it cannot be read, or is no YAML; with the line.
    """
    name = file.name.removesuffix(".yaml")
    try:
        return parse(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is no UTF-8"
        raise InvalidRuleError(name, [fault("", file.name, reason)], what) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        reason = f"is no YAML: {where}{getattr(error, 'problem', None) or type(error).__name__}"
        raise InvalidRuleError(name, [fault("", file.name, reason)], what) from None


def parse_folder(folder: Traversable, what: str = "rule") -> dict[str, Any]:
    """Every YAML file of a folder as plain data, by its name; nothing when there is no such folder.

    Raises:
        InvalidRuleError: one of them cannot be read, or is no YAML.
    """
    files = {one.name: one for one in folder.iterdir() if one.name.endswith(".yaml")} if folder.is_dir() else {}
    return {name.removesuffix(".yaml"): parse_file(file, what) for name, file in sorted(files.items())}


def read(model: type[_Document], document: object, stored_as: str | None, what: str) -> tuple[_Document, list[Fault]]:
    """The document, which has a field `id`, and what is wrong with its name.

    Args:
        model: what it must be.
        document: as parsed from YAML, JSON or Firestore.
        stored_as: the id under which it is stored; the document's own may be left out, and must agree.
        what: "rule" or "segment", for the message.

    Raises:
        InvalidRuleError: it is not one at all; with every fault.
    """
    if not isinstance(document, Mapping):
        raise InvalidRuleError(stored_as or "?", [fault("", document, "must be a mapping")], what)
    fields = dict(document)
    if stored_as is not None:
        fields.setdefault("id", stored_as)
    found = validate(model, fields, str(stored_as or fields.get("id", "?")), what)
    if stored_as is None or fields["id"] == stored_as:
        return found, []
    return found, [fault("id", fields["id"], f"must be {stored_as!r}, the name under which it is stored")]


def validate(model: type[_Document], document: object, name: str, what: str, place: str = "") -> _Document:
    """The document as `model`, whatever fields that has.

    Args:
        model: what it must be.
        document: as parsed from YAML.
        name: which rule, story, ... it is, for the message.
        what: "rule", "story", ..., for the message.
        place: where in the file it stands; the paths of faults begin with it.

    Raises:
        InvalidRuleError: it is not one; with every fault.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [_translate(one) for one in error.errors(include_url=False)]
        in_file = [{**one, "path": f"{place}{one['path']}".rstrip(".")} for one in faults]
        raise InvalidRuleError(name, in_file, what) from None


_CANNOT_BE_COMPILED = (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError)
"""What a document does to the code that compiles it, when its model has let too much through."""


@contextmanager
def compiling(name: str, what: str, path: str = "") -> Iterator[None]:
    """What goes wrong in here is the fault of the document of this name: compiling is a part of checking.

    Raises:
        InvalidRuleError: it cannot be compiled.
    """
    try:
        yield
    except _CANNOT_BE_COMPILED as error:
        reason = f"cannot be compiled: {str(error) or type(error).__name__}"
        raise InvalidRuleError(name, [fault(path, None, reason)], what) from None


def fault(path: str, value: Any, reason: str) -> Fault:
    """One fault; the value as it goes into a report: short, and plain JSON."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    plain = len(text) <= 200 and isinstance(value, str | int | float | bool | None)
    return {"path": path, "value": value if plain else text[:200], "reason": reason}


def _translate(error: Any) -> Fault:
    """A pydantic error in the words of the author: names of Python classes mean nothing to them."""
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for part in error["loc"]
        if isinstance(part, int) or not (part in _BRANCHES or "[" in part)
    )
    reason = _REASONS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return fault(path.lstrip("."), None if error["type"] == "missing" else error["input"], reason)
