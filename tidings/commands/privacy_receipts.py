"""Print which requests about data were carried out, newest first. A receipt names nobody: it has a keyed digest."""

import argparse

import msgspec

from tidings.commands import arguments, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.permission.consent import address_digest, person_digest

EXAMPLE = """  tidings privacy receipts --person u:123
  tidings privacy receipts --json

exit codes: 0 there are some; 1 there are none"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("receipts", __doc__, EXAMPLE)
    somebody.add_who(options, required=False)
    options.add_argument("--json", action="store_true", help="print JSON, one receipt a line, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Print them; returns the exit code."""
    digest = None
    if options.person:
        digest = person_digest(options.person, somebody.installation(options).secret)
    elif options.address:
        digest = address_digest(somebody.address(options), somebody.installation(options).secret)
    with arguments.opened(options) as store:
        receipts = store.receipts(digest)
    if not receipts:
        raise RefusedError("there are no receipts")
    for one in receipts:
        print(msgspec.json.encode(one).decode() if options.json else somebody.told(one))
    return Exit.GOOD
