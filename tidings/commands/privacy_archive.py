"""Take the events of people who have been forgotten out of the archive; what they did since then stays.

People who erase themselves from their own page, or by the function, leave their events in the archive, which neither
may change. This finds them by the digests of their receipts alone. Run it once a day.
"""

import argparse
import sys

from tidings.commands import archives, arguments, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.history.sources import HistoryError
from tidings.privacy.archived import forgotten

EXAMPLE = """  tidings privacy archive --store firestore:tidings --archive bigquery:shop.tidings.events

It reads the whole table, and once more for every erasure that it finds something of."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("archive", __doc__, EXAMPLE)
    options.add_argument("--archive", required=True, metavar="TABLE", help="bigquery:PROJECT.DATASET.TABLE")
    return options


def run(options: argparse.Namespace) -> int:
    """Erase; returns the exit code: REFUSED when the latest events could not be reached yet."""
    found = somebody.installation(options)
    table, bigquery = archives.bigquery(options.archive)
    try:
        with arguments.opened(options) as store:
            erased = forgotten(bigquery.people(table), store, found)
        gone = [bigquery.erase(table, ids, (), until=at) for at, ids in erased.items()]
    except HistoryError as error:
        raise RefusedError(str(error)) from None
    people = sum(len(ids) for ids in erased.values())
    print(f"{sum(one.rows for one in gone):,} rows of {people:,} forgotten people went")
    if all(one.complete for one in gone):
        return Exit.GOOD
    print(archives.RECENT, file=sys.stderr)
    return Exit.REFUSED
