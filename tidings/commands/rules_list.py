"""List the rules and segments of a store, and what the running system says of them."""

import argparse
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit
from tidings.commands.replay import write_lines
from tidings.records.store import RuleRecord
from tidings.rollout.pushing import Key, stored

EXAMPLE = """example:
  tidings rules list
  tidings rules list --store firestore --project my-project --json"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules list",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rule_files.add_store(options)
    options.add_argument("--json", action="store_true", help="one document a line, as JSON")
    return options


def run(options: argparse.Namespace) -> int:
    """List; returns the exit code."""
    with arguments.opened(options) as store:
        there = stored(store)
    if options.json:
        write_lines([msgspec.json.encode(_plain(key, record)) for key, record in there.items()], None)
        return Exit.GOOD
    table = Table("", "status", "version", "", box=None, header_style="bold")
    for key, record in there.items():
        told = _plain(key, record)
        table.add_row(rule_files.title(key), str(told["status"]), told["version"] or "-", _about(told))
    console = Console(highlight=False, markup=False)
    console.print(table if there else "The store has no rules.")
    for key, record in there.items():
        for one in _plain(key, record)["faults"]:
            print(f"{rule_files.title(key)}: {one['path']}: {one['reason']}")
    return Exit.GOOD


def _plain(key: Key, record: RuleRecord) -> dict[str, Any]:
    kind, name = key
    report = record.report or {}
    return {
        "kind": kind,
        "id": name,
        "status": record.document.get("status", "draft") if kind == "rule" else "in force",
        "version": report.get("version"),
        "valid": report.get("valid"),
        "faults": report.get("faults", []),
        "shadow_of": record.document.get("shadow_of"),
        "shadow": report.get("shadow"),
    }


def _about(told: dict[str, Any]) -> str:
    if told["valid"] is None:
        return "not looked at yet"
    if not told["valid"]:
        running = f"version {told['version']} goes on" if told["version"] else "it does not run"
        return f"REFUSED, {running}"
    if not told["shadow_of"]:
        return ""
    found = told["shadow"]
    names = ("same", "moved", "changed", "added", "removed")
    counts = ": " + ", ".join(f"{found[name]:,} {name}" for name in names) if found else ""
    return f"shadow of {told['shadow_of']}{counts}"
