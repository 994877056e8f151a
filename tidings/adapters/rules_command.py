"""Puts rule files into a store, and shows what the running system says of them.

python -m tidings.adapters.rules_command put rules/cart-abandoned.yaml --store sqlite:.tidings/store.db
python -m tidings.adapters.rules_command list --store firestore --project my-project
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tidings.adapters.stores import open_store
from tidings.errors import InvalidRuleError, TidingsError
from tidings.rules import load
from tidings.store import RuleRecord, Store


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 when a file was refused or the store cannot be reached."""
    parser = argparse.ArgumentParser(
        prog="python -m tidings.adapters.rules_command",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--store", default="sqlite:.tidings/store.db", help="default: that of `make run`")
    parser.add_argument("--project", default="tidings-local", help="the Google Cloud project of a Firestore store")
    parser.add_argument("command", choices=["put", "list"], help="put: all of the files or none; list: what is there")
    parser.add_argument("files", nargs="*", type=Path, help="YAML files named like their rules")
    options = parser.parse_intermixed_args(argv)
    try:
        store = open_store(options.store, options.project)
        try:
            if options.command == "put":
                _put(store, options.files)
            else:
                print("\n".join(_line(one) for one in store.rules()))  # noqa: T201 - a command
        finally:
            store.close()
    except TidingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _put(store: Store, files: Sequence[Path]) -> None:
    """Check every file before the first one is written."""
    documents = {path.stem: _read(path) for path in files}
    for rule_id, document in documents.items():
        load(document, rule_id)
    for rule_id, document in documents.items():
        store.put_rule(rule_id, document)
        print(f"{rule_id}: in the store; the running system takes it up within ten seconds")  # noqa: T201


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InvalidRuleError(path.stem, [{"path": "", "value": None, "reason": str(error)}]) from None
    except yaml.YAMLError as error:
        reason = f"is no YAML: {str(error).splitlines()[-1].strip()}"
        raise InvalidRuleError(path.stem, [{"path": "", "value": None, "reason": reason}]) from None


def _line(record: RuleRecord) -> str:
    report = record.report
    if report is None:
        return f"{record.rule_id}: not looked at yet"
    if report["valid"]:
        return f"{record.rule_id}: {record.document.get('status', 'draft')}, version {report['version']}"
    faults = "".join(f"\n    {one['path']}: {one['reason']}" for one in report["faults"])
    running = f"version {report['version']} goes on" if report["version"] else "it never ran"
    return f"{record.rule_id}: REFUSED, {running}{faults}"


if __name__ == "__main__":
    sys.exit(main())
