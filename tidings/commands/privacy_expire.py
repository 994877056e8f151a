"""Delete what has been kept long enough (docs/privacy.md has the table). Firestore does so by itself."""

import argparse

from tidings.commands import arguments, somebody
from tidings.commands.exits import Exit

EXAMPLE = """  tidings privacy expire --store sqlite:.tidings/store.db"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    return somebody.parser("expire", __doc__, EXAMPLE)


def run(options: argparse.Namespace) -> int:
    """Expire; returns the exit code."""
    with arguments.opened(options) as store:
        counts = store.expire(arguments.now())
    if counts:
        print("deleted: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    else:
        print("nothing to do: this store deletes by itself what has been kept long enough, within a day or so")
    return Exit.GOOD
