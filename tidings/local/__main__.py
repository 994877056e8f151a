"""The command `make run`: see `--help`."""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidings.errors import TidingsError
from tidings.local.run import Options, run
from tidings.local.terminal import RED, Terminal

DESCRIPTION = "Run all of Tidings on this machine, and watch an email arrive because somebody left a cart behind."
EPILOG = 'With make: make run ARGS="--once". No account, no cloud, and no mail leaves this machine. Ctrl-C ends it.'


HELP = {
    "once": "play the story, check the inbox, and end: 0 when all is well, and otherwise 1",
    "no-story": "only start everything",
    "time-scale": "rules wait N times shorter (default 60: fifteen minutes take fifteen seconds)",
    "port": "where the pages and the functions listen (default 8080, or the next that is free)",
    "data": "what is kept between runs (default .tidings; with --once, a folder that is removed at the end)",
    "reset": "forget what is kept: people, mails, messages, edited rules",
    "emulators": "google: Pub/Sub and Firestore by Google's emulators, which need gcloud and Java",
    "verbose": "show what every part writes to its log",
}


def parser() -> argparse.ArgumentParser:
    """The options, each with a sentence."""
    options = argparse.ArgumentParser(prog="python -m tidings.local", description=DESCRIPTION, epilog=EPILOG)
    options.add_argument("--once", action="store_true", help=HELP["once"])
    options.add_argument("--no-story", dest="story", action="store_false", help=HELP["no-story"])
    options.add_argument("--time-scale", type=_above_zero, default=60.0, metavar="N", help=HELP["time-scale"])
    options.add_argument("--port", type=int, metavar="P", help=HELP["port"])
    options.add_argument("--data", type=Path, metavar="DIR", help=HELP["data"])
    options.add_argument("--reset", action="store_true", help=HELP["reset"])
    options.add_argument("--emulators", choices=("embedded", "google"), default="embedded", help=HELP["emulators"])
    options.add_argument("--verbose", action="store_true", help=HELP["verbose"])
    return options


def main() -> int:
    """The command line; returns the exit code."""
    chosen = parser().parse_args()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a subject may hold what a terminal cannot show
    terminal = Terminal()
    try:
        with _data_folder(chosen) as data:
            options = Options(
                data=data.absolute(),
                port=chosen.port,
                time_scale=chosen.time_scale,
                once=chosen.once,
                story=chosen.story or chosen.once,
                google=chosen.emulators == "google",
                verbose=chosen.verbose,
                reset=chosen.reset,
            )
            return run(options, terminal)
    except TidingsError as error:
        terminal.say(f"\n{terminal.colour('It did not work.', RED)} {error}")
        return 1


@contextmanager
def _data_folder(chosen: argparse.Namespace) -> Iterator[Path]:
    """The folder that was asked for, or the usual one; for a single run one that goes with it."""
    if chosen.data or not chosen.once:
        yield chosen.data or Path(".tidings")
        return
    with tempfile.TemporaryDirectory(prefix="tidings-") as passing:
        yield Path(passing)


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
