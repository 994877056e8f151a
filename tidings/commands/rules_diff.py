"""Compare files of rules and segments with the documents in a store."""

import argparse
from pathlib import Path

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit
from tidings.rollout.pushing import stored
from tidings.rollout.versions import same

EXAMPLE = """example:
  tidings rules diff
  tidings rules diff rules/cart-abandoned.yaml --store firestore --project my-project

Lines with - are in the store, lines with + are in the file. Comments and the order of fields do not count.
exit codes: 0 equal; 1 different"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules diff",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files, or a folder (default: rules)")
    rule_files.add_store(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code. Documents that are only in the store count when a whole folder is compared."""
    paths = options.files or [Path("rules")]
    documents, origins = rule_files.read(paths)
    with arguments.opened(options) as store:
        there = stored(store)
    only_there = [key for key in there if key not in documents] if any(path.is_dir() for path in paths) else []
    only_here = [key for key in documents if key not in there]
    for key in sorted(documents.keys() & there.keys()):
        rule_files.show(key, there[key].document, documents[key], f"store/{key[1]}", str(origins[key]))
    for key in only_there:
        print(f"only in the store: {rule_files.title(key)}")
    for key in only_here:
        print(f"only in files: {rule_files.title(key)} ({origins[key]})")
    both = documents.keys() & there.keys()
    equal = not (only_there or only_here) and all(same(there[key].document, documents[key]) for key in both)
    return Exit.GOOD if equal else Exit.REFUSED
