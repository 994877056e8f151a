"""Documents as YAML that people like to read, and the difference between two of them.

Fields come in the order in which `docs/rules.md` explains them, which is that of the schema: a store keeps none.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from tidings.records.store import DocumentKind
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment

MODELINE = "# yaml-language-server: $schema=schema.json\n"
"""Tells editors which schema a file follows; both folders have one of this name beside the files."""

_WORD_OR_NUMBER = re.compile(r"yes|no|on|off|y|n|[-+]?[0-9][0-9._:]*(e[-+]?[0-9]+)?|0[xo][0-9a-f]+", re.IGNORECASE)
"""What YAML of another age takes for true, false or a number. Ours does not; it stands in quotes all the same."""
_ODD_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")
_TEXT = "tag:yaml.org,2002:str"
_LINE = re.compile(r"\S(.*\S)?")
_Schema = Mapping[str, Any]


class _Dumper(yaml.SafeDumper):
    """Block style, as people write it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are indented under their field."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """What stands twice is written twice."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    lines = text.removesuffix("\n").split("\n")
    odd = _ODD_BREAKS.search(text) or _WORD_OR_NUMBER.fullmatch(text)
    seen_as = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if odd or seen_as != _TEXT:
        style = '"'
    elif len(lines) > 1 and lines[0] and lines[-1] and all(not line or _LINE.fullmatch(line) for line in lines):
        style = "|"
    return dumper.represent_scalar(_TEXT, text, style)


def _mapping(dumper: _Dumper, mapping: dict[str, Any]) -> yaml.MappingNode:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=not mapping)
    for key, _ in node.value:
        if key.value == "on":  # the name of a field, which no reader of ours takes for true
            key.style = None
    return node


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first not in "onON"]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def dump(document: Any, kind: DocumentKind) -> str:
    """A document as YAML, without the modeline. `documents.parse` gives the same document back."""
    ordered = _in_order(document, _schema(kind), _schema(kind))
    return yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)


def difference(old: Any, new: Any, kind: DocumentKind, old_name: str, new_name: str) -> list[str]:
    """A unified diff of two documents as YAML, by lines; None is no document."""
    before, after = ([] if one is None else dump(one, kind).split("\n")[:-1] for one in (old, new))
    return list(difflib.unified_diff(before, after, old_name, new_name, lineterm=""))


@cache
def _schema(kind: DocumentKind) -> _Schema:
    model = Rule if kind == "rule" else Segment
    return model.model_json_schema(by_alias=True)


def _in_order(value: Any, schema: _Schema, root: _Schema) -> Any:
    """The same with its fields in order of the schema; what the schema does not know comes last, by name."""
    if isinstance(value, list):
        items = [one["items"] for one in _forms(schema, root) if "items" in one]
        return [_in_order(part, {"anyOf": items}, root) for part in value]
    if not isinstance(value, dict):
        return value
    forms = [one["properties"] for one in _forms(schema, root) if "properties" in one]
    fields: dict[str, Any] = max(forms, key=lambda form: len(form.keys() & value.keys()), default={})
    places = {name: place for place, name in enumerate(fields)}
    names = sorted(value, key=lambda name: (places.get(name, len(places)), str(name)))
    return {name: _in_order(value[name], fields.get(name, {}), root) for name in names}


def _forms(schema: _Schema, root: _Schema) -> Iterator[_Schema]:
    """Every form that a value may take, without references."""
    if "$ref" in schema:
        yield from _forms(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    else:
        yield schema
        for one in schema.get("anyOf", ()):
            yield from _forms(one, root)
