"""Take the dead letters of people who have been forgotten out of Pub/Sub; all others stay.

An erasure does this for its own person; this is for letters that came in later, and for people who erased themselves
from a page. Run it once a day: Pub/Sub keeps a dead letter for seven days.
"""

import argparse

from tidings.commands import arguments, somebody
from tidings.commands.exits import Exit
from tidings.privacy.letters import Forgotten

EXAMPLE = """  tidings privacy letters --store firestore:tidings"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    return somebody.parser("letters", __doc__, EXAMPLE)


def run(options: argparse.Namespace) -> int:
    """Sift; returns the exit code: REFUSED when there was no time to look at all of them."""
    found = somebody.installation(options)
    _, sieve = somebody.doors(found)
    with arguments.opened(options) as store:
        sifted = sieve(Forgotten(store, found))
    print(f"{sifted.taken:,} of {sifted.seen:,} dead letters went{'' if sifted.complete else '; there are more'}")
    return Exit.GOOD if sifted.complete else Exit.REFUSED
