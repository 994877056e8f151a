"""Write the rules and segments of a store into files, as YAML."""

import argparse
from pathlib import Path

from tidings.commands import arguments, asking, rule_files
from tidings.commands.exits import Exit, RefusedError
from tidings.rollout.document_text import MODELINE, dump
from tidings.rollout.pushing import Key, stored
from tidings.rollout.versions import same

EXAMPLE = """example:
  tidings rules pull
  tidings rules pull rules --store firestore --project my-project

A file that says the same already stays as it is, byte for byte. One that says something else is written anew, and its
comments are lost. A file whose document is not in the store is left alone.
exit codes: 0 done, or nothing to do; 1 nobody wanted it"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules pull",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("folder", nargs="?", type=Path, default=Path("rules"), metavar="DIR", help="default: rules")
    rule_files.add_store(options)
    options.add_argument("--dry-run", action="store_true", help="only look; 1 when there is something to write")
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Pull; returns the exit code."""
    folder: Path = options.folder
    documents, origins = rule_files.read([folder]) if folder.exists() else ({}, {})
    with arguments.opened(options) as store:
        there = {key: record.document for key, record in stored(store).items()}
    different = [key for key in there if key not in documents or not same(there[key], documents[key])]
    if not different:
        print("The files say all of it already.")
        return Exit.GOOD
    places = {key: origins.get(key, _place(folder, key)) for key in different}
    for key in different:
        rule_files.show(key, documents.get(key), there[key], str(places[key]), f"store/{key[1]}")
    if any(key in documents for key in different):
        print("Comments in the files that are written anew will be lost.")
    if options.dry_run:
        return Exit.REFUSED
    if not asking.confirmed(f"Write {len(different)} file{'s' * (len(different) != 1)}?", options):
        print("Nothing was written.")
        return Exit.REFUSED
    for key in different:
        _write(places[key], MODELINE + dump(there[key], key[0]))
        print(places[key])
    return Exit.GOOD


def _place(folder: Path, key: Key) -> Path:
    kind, name = key
    if Path(name).name != name or name.startswith("."):
        raise RefusedError(f"{rule_files.title(key)}: there can be no file of this name")
    return (folder if kind == "rule" else folder / "segments") / f"{name}.yaml"


def _write(path: Path, text: str) -> None:
    """The file is there whole, or as it was."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_text(text, "utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None
