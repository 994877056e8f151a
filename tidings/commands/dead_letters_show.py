"""One dead letter: where it failed and why, and whether it can be replayed as things are.

`--payload` prints what failed as it was, and nothing else, so that it can be mended. It may hold personal data: an
event has ids and addresses in it, and a decision what the person did. Keep no copy for longer than you need it: an
erasure does not reach it.
"""

import argparse
import sys

from tidings.adapters.pubsub import Publisher
from tidings.commands import arguments, letters, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.dead_letters.letters import Found
from tidings.dead_letters.redrive import Redrive, StaysError
from tidings.printable import printable

EXAMPLE = """  tidings dead-letters show 10284712
  tidings dead-letters show 10284712 --payload > event.json"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = letters.parser("show", __doc__, EXAMPLE)
    options.add_argument("id", metavar="ID", help="as `tidings dead-letters list` shows it")
    options.add_argument("--payload", action="store_true", help="print what failed; it may hold personal data")
    return options


def run(options: argparse.Namespace) -> int:
    """Show it; returns the exit code."""
    found = somebody.installation(options, secret=not options.payload)
    same: list[Found] = []

    def visit(one: Found) -> bool:
        if one.id == options.id:
            same.append(one)
        return False

    letters.look(options, found, visit)
    if not same:
        raise RefusedError(f"{options.id}: there is no such dead letter, or somebody else looks at it right now")
    one, now = same[0], arguments.now()
    letter = one.letter
    if options.payload:
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.data)
        sys.stdout.buffer.flush()
        return Exit.GOOD
    with arguments.opened(options) as store:
        try:
            replay = f"goes to {Redrive(found, store, Publisher(found.project), now).way(one).to}"
        except StaysError as fault:
            replay = f"not as things are: {fault}"
    size = f"{len(letter.data):,} bytes{', cut off' if letter.truncated else ''}; --payload prints them"
    for name, value in {
        "id": one.id,
        "step": letter.step,
        "reason": letter.reason,
        "detail": letter.detail,
        "set aside": f"{letters.clock(letter.at)} UTC, {letters.age(letter.at, now)} ago",
        "payload": size,
        "replay": replay,
    }.items():
        print(f"{name:<10} {printable(value)}")
    return Exit.GOOD
