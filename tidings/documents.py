"""Reads documents that people write, and names every fault in them by path and value."""

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any, TypeVar, get_args

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
    """Plain YAML, where `on`, `off`, `yes` and `no` are words, as in YAML 1.2 and in the eyes of most people.

    A date is text, as in YAML 1.2 and in every store: otherwise a file and the same document in a store would differ.
    """


_BOOL, _TIMESTAMP = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_NAMES = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"})
_MOST_NODES = 100_000
"""So many values may stand in a document, aliases written out. A few lines of aliases of aliases can mean billions."""
_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] not in (_BOOL, _TIMESTAMP)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


class RepeatedFieldError(yaml.YAMLError):
    """A mapping names a field twice. YAML's readers would take the last one, and say nothing."""

    def __init__(self, repeated: "list[tuple[str, int, int]]") -> None:
        super().__init__("; ".join(f"line {line}: {path} is given twice" for path, line, _ in repeated))
        self.faults = [
            fault(path, None, f"line {line}: is given twice; it stands in line {first} already")
            for path, line, first in repeated
        ]


def parse(text: str) -> Any:
    """A YAML document as plain data, such as JSON can hold.

    Raises:
        yaml.YAMLError: it is no YAML, or more than JSON can hold.
        RepeatedFieldError: which is one; with every field that is given twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        _size(node, {})
        if repeated := list(_repeated(node, "", set())):
            raise RepeatedFieldError(repeated)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def compose(text: str) -> yaml.Node | None:
    """The same as a tree of nodes that know their lines; None for an empty document, or for what is no YAML."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        return None


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values there are, with aliases written out.

    Raises:
        yaml.MarkedYAMLError: too many, a value that holds itself, or a text or name that no store can hold.
    """
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = 0  # so long as what is inside it is counted
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if key.tag not in _NAMES and isinstance(key, yaml.ScalarNode):
                    raise _unfit(f"the name {key.value or 'null'} must be text; put it in quotes", key)
        if isinstance(node, yaml.ScalarNode):
            if any("\ud800" <= one <= "\udfff" for one in node.value):
                raise _unfit("half a character (a lone surrogate)", node)
            inside: list[yaml.Node] = []
        else:
            inside = [one for part in node.value for one in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(_size(one, known) for one in inside)
        if known[id(node)] > _MOST_NODES:
            raise _unfit(f"more than {_MOST_NODES:,} values, with aliases written out", node)
    if not known[id(node)]:
        raise _unfit("a value that holds itself", node)
    return known[id(node)]


def _unfit(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _repeated(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Path and line of every field that is given again, and the line where it was given first."""
    if node is None or id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, part in enumerate(node.value):
            yield from _repeated(part, f"{path}[{place}]", seen)
    if not isinstance(node, yaml.MappingNode):
        return
    known: dict[tuple[str, str], yaml.Node] = {}
    for key, value in node.value:
        its = f"{path}.{key.value}".lstrip(".") if isinstance(key, yaml.ScalarNode) else path
        if isinstance(key, yaml.ScalarNode):
            first = known.setdefault((key.tag, key.value), key)
            if first is not key:
                yield its, key.start_mark.line + 1, first.start_mark.line + 1
        yield from _repeated(value, its, seen)


def parse_file(file: Traversable, what: str = "rule") -> Any:
    """A YAML file as plain data.

    Raises:
        InvalidRuleError: it cannot be read, or is no YAML; with the line.
    """
    name = file.name.removesuffix(".yaml")
    try:
        data = file.read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InvalidRuleError(name, [fault("", file.name, reason)], what) from None
    return parse_bytes(data, name, what)


def parse_bytes(data: bytes, name: str, what: str = "rule") -> Any:
    """What stands in the YAML file of this name, as plain data.

    Raises:
        InvalidRuleError: it is no YAML; with the line.
    """
    try:
        return parse(data.decode())
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        reason = f"is no UTF-8: line {line}; save the file as UTF-8"
    except RepeatedFieldError as error:
        raise InvalidRuleError(name, error.faults, what) from None
    except yaml.YAMLError as error:
        reason = f"is no YAML: {_why_no_yaml(error, data)}"
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError as error:  # a number of thousands of digits
        reason = f"is no YAML: {error}"
    raise InvalidRuleError(name, [fault("", f"{name}.yaml", reason)], what)


def _why_no_yaml(error: yaml.YAMLError, data: bytes) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = data.decode()[: error.position].count("\n") + 1
        return f"line {line}: the character U+{error.character:04X} is not allowed"
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or type(error).__name__)
    if "\\t" in problem:
        problem = "a tab; indent with spaces"
    return f"line {mark.line + 1}: {problem}" if mark else problem


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
        reason = f"must be a mapping{', and is empty' if document is None else ''}"
        raise InvalidRuleError(stored_as or "?", [fault("", document, reason)], what)
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
        faults = [_translate(one, model) for one in error.errors(include_url=False)]
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


def nearest(name: object, known: Collection[str]) -> str:
    """A question to end a sentence about an unknown name: whether a similar one was meant; empty if there is none."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """What to say of a name that does not exist: the nearest that does, and all of them."""
    there_are = ", ".join(sorted(known)) or "none"
    question = nearest(name, known)
    return f"there is no such {what}; " + (f"{question} There are: " if question else "there are: ") + there_are


def _translate(error: Any, model: type[BaseModel]) -> Fault:
    """A pydantic error in the words of the author: names of Python classes mean nothing to them."""
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for part in error["loc"]
        if isinstance(part, int) or not (part in _BRANCHES or "[" in part)
    )
    reason = _REASONS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    reason = reason.replace("Input should be", "must be", 1)
    question = ""
    if error["type"] == "extra_forbidden":
        question = nearest(error["loc"][-1], _fields_at(model, error["loc"][:-1]))
    elif error["type"] == "literal_error":
        question = nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    return fault(
        path.lstrip("."),
        None if error["type"] == "missing" else error["input"],
        f"{reason}; {question}" if question else reason,
    )


def _fields_at(model: type[BaseModel], place: tuple[int | str, ...]) -> set[str]:
    """The fields that a document may have at this place: a tuple as pydantic gives it, with branches in it."""
    here = {model}
    for part in place:
        if isinstance(part, int) or "[" in part:
            continue
        if part in _BRANCHES:
            here = {one for one in here if one.__name__ == part} or here
            continue
        fields = [field for one in here for name, field in one.model_fields.items() if part in (name, field.alias)]
        here = {one for field in fields for one in _models_in(field.annotation)}
    return {field.alias or name for one in here for name, field in one.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
