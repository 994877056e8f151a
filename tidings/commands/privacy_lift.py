"""Take an address off the suppression list. Whether there is consent to mail it is another question."""

import argparse

from tidings.commands import arguments, asking, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.permission.consent import address_digest
from tidings.records.store import ERASED

EXAMPLE = """  tidings privacy lift --address - --yes < address.txt

exit codes: 0 it is off the list; 1 it was not on it, or you said no"""

_PROMISE = "Its person asked to be forgotten, and was promised not to hear from us again. "


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("lift", __doc__, EXAMPLE)
    somebody.add_address(options, required=True)
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Lift; returns the exit code."""
    digest = address_digest(somebody.address(options), somebody.installation(options).secret)
    with arguments.opened(options) as store:
        before = store.suppression(digest)
        if before is None:
            raise RefusedError("it is not suppressed")
        why = f"It has been suppressed since {before.at:%Y-%m-%d %H:%M:%S} UTC: {before.reason}."
        if not asking.confirmed(f"{why} {_PROMISE if before.reason == ERASED else ''}Lift it?", options):
            raise RefusedError("it stays suppressed")
        store.lift_suppression(digest)
    print("it can be mailed again, where there is consent")
    return Exit.GOOD
