"""Puts files of rules and segments into a store, and shows what the running system says of them.

python -m tidings.adapters.rules_command put rules/cart-abandoned.yaml --store sqlite:.tidings/store.db
python -m tidings.adapters.rules_command list --store firestore --project my-project
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tidings import segments
from tidings.adapters.stores import open_store
from tidings.documents import parse_file
from tidings.errors import InvalidRuleError, TidingsError
from tidings.rulebook import compile_rule
from tidings.rules import load
from tidings.segments import Segment
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
    parser.add_argument("files", nargs="*", type=Path, help="YAML files named like their rules or segments")
    options = parser.parse_intermixed_args(argv)
    try:
        store = open_store(options.store, options.project)
        try:
            if options.command == "put":
                _put(store, options.files)
            else:
                for record in store.rules():
                    print(f"{record.rule_id}: {_said_of(record, record.document.get('status', 'draft'))}")  # noqa: T201
                for record in store.segments():
                    print(f"segment {record.rule_id}: {_said_of(record, 'in force')}")  # noqa: T201
        finally:
            store.close()
    except TidingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _put(store: Store, files: Sequence[Path]) -> None:
    """Check every file before the first one is written. A document that says `where` is a segment."""
    documents = {path.stem: parse_file(path) for path in files}
    groups = {name: one for name, one in documents.items() if isinstance(one, dict) and "where" in one}
    rules = {name: one for name, one in documents.items() if name not in groups}
    known, refused = segments.settle({name: segments.load(one, name) for name, one in groups.items()}, _stored(store))
    for name, faults in refused.items():
        raise InvalidRuleError(name, faults, "segment")
    for name, document in rules.items():
        compile_rule(load(document, name, segments=known))
    for name, document in groups.items():
        store.put_segment(name, document)
    for name, document in rules.items():
        store.put_rule(name, document)
    for name in documents:
        print(f"{name}: in the store; the running system takes it up within ten seconds")  # noqa: T201


def _stored(store: Store) -> dict[str, Segment]:
    """The segments that the store has already, as far as they are good."""
    good: dict[str, Segment] = {}
    for record in store.segments():
        for document in (record.last_good, record.document):
            try:
                good[record.rule_id] = segments.load(document, record.rule_id)
            except InvalidRuleError:  # said on the document already
                continue
    return good


def _said_of(record: RuleRecord, status: str) -> str:
    report = record.report
    if report is None:
        return "not looked at yet"
    if report["valid"]:
        return f"{status}, version {report['version']}"
    faults = "".join(f"\n    {one['path']}: {one['reason']}" for one in report["faults"])
    running = f"version {report['version']} goes on" if report["version"] else "it does not run"
    return f"REFUSED, {running}{faults}"


if __name__ == "__main__":
    sys.exit(main())
