"""Never mail an address again, whatever anybody has agreed to. The list keeps a keyed digest, and not the address."""

import argparse

from tidings.commands import arguments, somebody
from tidings.commands.exits import Exit
from tidings.permission.consent import address_digest

EXAMPLE = """  tidings privacy suppress --address - --reason "asked by phone" < address.txt"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("suppress", __doc__, EXAMPLE)
    somebody.add_address(options, required=True)
    options.add_argument("--reason", default="requested", metavar="WHY", help="kept with it (default: requested)")
    return options


def run(options: argparse.Namespace) -> int:
    """Suppress; returns the exit code."""
    digest = address_digest(somebody.address(options), somebody.installation(options).secret)
    with arguments.opened(options) as store:
        before = store.suppression(digest)
        store.suppress(digest, options.reason, arguments.now())
    if before:
        print(f"it has been suppressed since {before.at:%Y-%m-%d %H:%M:%S} UTC: {before.reason}")
    else:
        print("it is suppressed")
    return Exit.GOOD
