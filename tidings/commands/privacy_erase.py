"""Forget somebody: store, pipeline, queued mail and dead letters; the archive as well, where you name it.

What is left is a keyed digest of the address on the suppression list, and receipts. It cannot be undone.
"""

import argparse
import sys

import msgspec

from tidings.commands import archives, arguments, asking, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.history.sources import HistoryError
from tidings.privacy.erasure import erase, erase_address, known_by
from tidings.records.store import Receipt, Store

EXAMPLE = """  tidings privacy erase --person u:123
  tidings privacy erase --address - --archive bigquery:shop.tidings.events --yes < address.txt

After a fault run the same again: it goes on where it ended."""

_LEFT = """Some dead letters were not looked at in time: run it again, or `tidings privacy letters`."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("erase", __doc__, EXAMPLE)
    somebody.add_who(options)
    options.add_argument("--archive", metavar="TABLE", help="and in the archive, bigquery:PROJECT.DATASET.TABLE")
    options.add_argument("--json", action="store_true", help="print the receipt as JSON, and nothing else")
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Erase; returns the exit code."""
    found = somebody.installation(options)
    address = None if options.person else somebody.address(options)
    publisher, sieve = somebody.doors(found)
    with arguments.opened(options) as store:
        if not asking.confirmed(f"Forget {options.person or 'everybody with this address'} for good?", options):
            raise RefusedError("nothing was erased")
        if options.archive:  # first: afterwards nobody knows any more what to look for
            _archive(options.archive, store, options.person, address)
        now = arguments.now()
        if address is None:
            receipt = erase(store, publisher, found, options.person, now, "operator", sieve)
        else:
            receipt = erase_address(store, publisher, found, address, now, "operator", sieve)
    _tell(receipt, as_json=options.json)
    return Exit.GOOD


def _archive(name: str, store: Store, person: str | None, address: str | None) -> None:
    table, bigquery = archives.bigquery(name)
    known = known_by(store, person, address)
    try:
        gone = bigquery.erase(table, known.ids, known.addresses, sharing=known.sharing)
    except HistoryError as error:
        raise RefusedError(f"{error}; nothing was erased") from None
    print(f"{gone.rows:,} rows of the archive are deleted", file=sys.stderr)
    if not gone.complete:
        print(archives.RECENT, file=sys.stderr)


def _tell(receipt: Receipt, *, as_json: bool) -> None:
    if not receipt.counts["dead_letters_complete"]:
        print(_LEFT, file=sys.stderr)
    print(msgspec.json.encode(receipt).decode() if as_json else somebody.told(receipt))
