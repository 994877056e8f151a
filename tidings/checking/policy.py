"""What is wrong with the files of a policy folder, which no rule is but which every mail goes by."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tidings.checking.findings import Finding, errors
from tidings.checking.lines import lines
from tidings.errors import InvalidRuleError
from tidings.mailing import sending
from tidings.permission import categories

FOLDER = "policy"
_FILES: Mapping[str, Callable[[str], object]] = {categories.FILE: categories.load, sending.FILE: sending.load}


def look_at(file: Path) -> list[Finding]:
    """Every fault of one file; a warning when it has a name by which nobody reads it."""
    load = _FILES.get(file.name)
    if load is None:
        return [Finding(str(file), None, "warning", "", None, f"is not read; here only {' and '.join(_FILES)} are")]
    try:
        load(str(file.parent))
    except InvalidRuleError as error:
        there = lines(file.read_text("utf-8", "replace"))
        found = errors(error.faults)
        return [Finding(str(file), there.of(one.path), one.severity, one.path, one.value, one.reason) for one in found]
    return []
