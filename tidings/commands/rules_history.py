"""Show every version of a rule or segment that there has been, newest first."""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit, RefusedError
from tidings.records.store import RuleRecord, VersionRecord
from tidings.rollout.document_text import dump
from tidings.rollout.pushing import Key, stored
from tidings.rollout.versions import same

EXAMPLE = """example:
  tidings rules history cart-abandoned
  tidings rules history cart-abandoned --show 401b

The beginning of a version, four characters or more, suffices. Times are UTC.
exit codes: 0 found; 1 there is no such rule or version"""

LEAST = 4
"""So many characters of a version must be given."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules history",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "rule", metavar="RULE", help="the id of a rule, or of a segment; 'segment ID' where both have it"
    )
    options.add_argument("--show", metavar="VERSION", help="print the document of this version, as YAML")
    rule_files.add_store(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Show it; returns the exit code."""
    with arguments.opened(options) as store:
        there = stored(store)
        key = rule_files.find(options.rule, there, store)
        records = store.versions(*key)
    if options.show:
        print(dump(of_version(records, options.show, key)[0].document, key[0]), end="")
        return Exit.GOOD
    if not records:
        print(f"{options.rule}: no version of it was ever valid, or nothing has looked at it yet")
        return Exit.GOOD
    _table(records, there.get(key))
    return Exit.GOOD


def of_version(records: Sequence[VersionRecord], version: str, key: Key) -> list[VersionRecord]:
    """Those of one version, which may be given by its beginning; newest first.

    Raises:
        RefusedError: there is none, or several begin like this.
    """
    found = [one for one in records if one.version.startswith(version)]
    if len(version) < LEAST:
        raise RefusedError(f"{version}: at least {LEAST} characters of a version are needed")
    names = dict.fromkeys(one.version for one in found)
    if len(names) > 1:
        raise RefusedError(f"{version}: there are several such versions: {', '.join(names)}")
    if not found:
        there = ", ".join(dict.fromkeys(one.version for one in records)) or "none"
        raise RefusedError(f"{rule_files.title(key)} has no version {version}; there are: {there}")
    return found


def _table(records: Sequence[VersionRecord], record: RuleRecord | None) -> None:
    table = Table("version", "when", "", "note", box=None, header_style="bold")
    runs = record.last_good if record else None
    running = next((one for one in records if runs is not None and same(one.document, runs)), None)
    waiting = record and next((one for one in records[:1] if same(one.document, record.document)), None)
    for one in records:
        if one is running:
            state = str(one.document.get("status", "draft")) if one.kind == "rule" else "in force"
        else:
            state = "not taken up yet" if one is waiting else ""
        table.add_row(one.version, f"{one.at:%Y-%m-%d %H:%M:%S}", state, one.note)
    Console(highlight=False, markup=False).print(table)
    if record is None:
        print("It has been deleted.")
    elif not waiting:
        print("What is in the store now is not valid, or nothing has looked at it yet; see: tidings rules list")
