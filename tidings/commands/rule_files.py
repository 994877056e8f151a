"""Files of rules and segments, beside what a store has: what `push`, `pull` and `diff` share."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tidings import rendering
from tidings.commands import arguments, asking
from tidings.commands.exits import RefusedError
from tidings.documents import fault, parse_file, unknown
from tidings.errors import InvalidRuleError
from tidings.records.store import RuleRecord, Store
from tidings.rollout.document_text import difference
from tidings.rollout.pushing import Checked, Key, check, put, stored
from tidings.rollout.versions import as_stored, same

DEFAULT_STORE = "sqlite:.tidings/store.db"
SOON = "The running system takes it up within ten seconds."


def add_store(parser: argparse.ArgumentParser) -> None:
    """Which store."""
    arguments.add_store(
        parser, default=DEFAULT_STORE, help=f"sqlite:FILE, firestore or firestore:DATABASE (default {DEFAULT_STORE})"
    )


def add_templates(parser: argparse.ArgumentParser) -> None:
    """Where the messages are that rules name."""
    parser.add_argument("--templates", default="", metavar="DIR", help="where messages are (default: those that ship)")


def read(paths: Sequence[Path]) -> tuple[dict[Key, Any], dict[Key, Path]]:
    """The documents of files and folders as a store would hold them, and where each comes from.

    A document with `where` is a segment, and so is every file of a folder called `segments`.

    Raises:
        RefusedError: there is no such file or folder, or two files are of one name.
        InvalidRuleError: a file cannot be read, or is no YAML, or no mapping.
    """
    documents: dict[Key, Any] = {}
    origins: dict[Key, Path] = {}
    for path in _files(paths):
        document = parse_file(path)
        if not isinstance(document, dict):
            raise InvalidRuleError(path.stem, [fault("", document, "must be a mapping")])
        segment = path.resolve().parent.name == "segments" or "where" in document
        key: Key = ("segment" if segment else "rule", path.stem)
        if key in documents and origins[key].resolve() != path.resolve():
            raise RefusedError(f"{origins[key]} and {path} are two files of one {key[0]}")
        documents[key], origins[key] = as_stored(document), path
    return documents, origins


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.yaml"))
            yield from sorted((path / "segments").glob("*.yaml"))
        elif path.exists():
            yield path
        else:
            raise RefusedError(f"{path}: there is no such file or folder")


def checked(documents: Mapping[Key, Any], there: Mapping[Key, RuleRecord], templates: str) -> Checked:
    """Check all of them.

    Raises:
        RefusedError: some are refused; each has been said on standard error.
    """
    found = check(documents, there, rendering.template_names(templates))
    for error in found.refused:
        print(error, file=sys.stderr)
    if found.refused:
        raise RefusedError(f"{len(found.refused)} of {len(documents)} documents are refused; nothing was changed")
    return found


def show(key: Key, old: Any, new: Any, old_name: str, new_name: str) -> None:
    """The difference between two documents."""
    asking.show_difference(difference(old, new, key[0], old_name, new_name))


def put_all(
    store: Store,
    keys: Sequence[Key],
    documents: Mapping[Key, Any],
    shown: Mapping[Key, RuleRecord],
    known: Checked,
    now: datetime,
    note: str,
) -> None:
    """Put them, one after another, and say so.

    Raises:
        RefusedError: somebody has edited one of them since it was `shown`; nothing was put.
        StoreError: the store cannot be reached now.
    """
    there = stored(store)
    for key in keys:
        before, after = (records[key].document if key in records else None for records in (shown, there))
        if not same(before, after):
            raise RefusedError(f"{title(key)} was edited in the store meanwhile, so nothing was changed; look again")
    for key in keys:
        record = put(store, key, documents[key], known.version(key), now, note)
        print(f"{title(key)}: version {record.version} is in the store")
    print(SOON)


def title(key: Key) -> str:
    """How it is called in what we print."""
    return key[1] if key[0] == "rule" else f"segment {key[1]}"


def find(name: str, there: Mapping[Key, RuleRecord], store: Store) -> Key:
    """The rule of this id, or the segment; `segment NAME` when there are both. One that was deleted is found too.

    Raises:
        RefusedError: there is none.
    """
    keys: list[Key] = [("rule", name), ("segment", name)]
    if name.startswith("segment "):
        keys = [("segment", name.removeprefix("segment "))]
    for key in keys:
        if key in there:
            return key
    for key in keys:
        if store.versions(*key, limit=1):
            return key
    names = {one for _, one in there}
    raise RefusedError(f"{name}: {unknown('rule or segment in the store', name, names)}")
