"""Which dead letters, and where they lie: what the commands of `dead-letters` share."""

import argparse
from collections.abc import Callable
from datetime import datetime

from tidings import clock_times, durations
from tidings.adapters.pubsub_sifting import look_through
from tidings.commands import rule_files
from tidings.commands.exits import UsageError
from tidings.dead_letters import letters
from tidings.dead_letters.letters import Found, Selection
from tidings.settings import Settings
from tidings.wire.topics import Sifted

STEPS = ("collect", "decode", "decide", "deliver", "hooks", "pubsub", letters.FOREIGN)
HELD = "What is looked at is held meanwhile: nobody else sees it for so long, or for a minute if this is cut off."


def parser(name: str, description: str | None, example: str) -> argparse.ArgumentParser:
    """With the options that all of them have."""
    options = argparse.ArgumentParser(
        prog=f"tidings dead-letters {name}",
        description=description,
        epilog=f"example:\n{example}\n\n{HELD}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rule_files.add_store(options)
    options.add_argument(
        "--subscription",
        metavar="NAME",
        help="also projects/PROJECT/subscriptions/NAME (default: TIDINGS_DEAD_LETTERS_TOPIC with -inspect)",
    )
    return options


def add_selection(options: argparse.ArgumentParser, *, required: bool) -> None:
    """Which of them."""
    which = options.add_argument_group("which letters", "those that fit all of it; of what is given twice, either")
    which.add_argument("--step", action="append", choices=STEPS, metavar="STEP", help=f"one of {', '.join(STEPS)}")
    which.add_argument("--reason", action="append", metavar="REASON", help="such as render_failed")
    which.add_argument("--id", action="append", metavar="ID", help="as `list` shows it")
    which.add_argument("--newer-than", type=_length, metavar="LENGTH", help="set aside in the last 2h, 7d, ...")
    which.add_argument("--older-than", type=_length, metavar="LENGTH", help="set aside before that")
    if required:
        which.add_argument("--all", action="store_true", help="every one")


def selection(options: argparse.Namespace, now: datetime) -> Selection:
    """What was chosen.

    Raises:
        UsageError: nothing was, where something must be; or everything, and not everything.
    """
    chosen = Selection(
        ids=frozenset(options.id or ()),
        steps=frozenset(options.step or ()),
        reasons=frozenset(options.reason or ()),
        since=clock_times.before(now, options.newer_than) if options.newer_than else None,
        before=clock_times.before(now, options.older_than) if options.older_than else None,
    )
    if "all" in options and options.all == (chosen != Selection()):
        raise UsageError("say which: --step, --reason, --id, --newer-than, --older-than; or --all, and none of them")
    return chosen


def look(
    options: argparse.Namespace, found: Settings, visit: Callable[[Found], bool], until: datetime | None = None
) -> Sifted:
    """Visit every letter that is there, once, but for those that came after `until`.

    What `visit` answers True to is taken away.

    Raises:
        PublishError: Pub/Sub cannot be reached now.
    """
    name = options.subscription or found.dead_letters_subscription
    return look_through(found.project, name, lambda one: visit(letters.found(one)), until=until)


def age(at: datetime, now: datetime) -> str:
    """How old it is, in its largest unit: `3d`, `2h`, `5m`, `10s`."""
    seconds = max(int((now - at).total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def clock(at: datetime) -> str:
    """In UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def many(number: int) -> str:
    """`1 dead letter`, `2 dead letters`."""
    return f"{number:,} dead letter{'' if number == 1 else 's'}"


def _length(text: str) -> int:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
