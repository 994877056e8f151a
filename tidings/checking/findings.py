"""A finding: what `tidings rules check` has to say of one place in one file."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from tidings.documents import fault

Severity = Literal["error", "warning", "note"]


class Remark(NamedTuple):
    """Something about one place in a document, whichever file that is kept in.

    Attributes:
        path: where in the document, such as `trigger.performed.within`; empty for all of it.
        value: what stands there.
        reason: what is wrong, and what would be right.
        severity: an `error` is refused; a `warning` is accepted, and does something else than it seems to say.
    """

    path: str
    value: Any
    reason: str
    severity: Severity = "warning"


class Finding(NamedTuple):
    """A remark on a file; `line` counts from 1, and is None when the place is not one in the file."""

    file: str
    line: int | None
    severity: Severity
    path: str
    value: Any
    reason: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        path = f" {self.path}:" if self.path else ":"
        value = "" if self.value is None else f" {_told(self.value)} -"
        return f"{where}: {self.severity}{path}{value} {self.reason}"


def _told(value: Any) -> str:
    """The value as its author wrote it; lists and mappings have become text already, see `documents.fault`."""
    is_json = isinstance(value, str) and value[:1] in ("[", "{")
    return value if is_json else json.dumps(value, ensure_ascii=False)


def errors(faults: Iterable[Mapping[str, Any]]) -> list[Remark]:
    """The faults of an `InvalidRuleError` as remarks."""
    return [Remark(one["path"], one["value"], one["reason"], "error") for one in faults]


def shown(value: object) -> Any:
    """A value as it goes into a report: short, and plain JSON."""
    return fault("", value, "")["value"]
