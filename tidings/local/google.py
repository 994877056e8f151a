"""One of Google's emulators as a part that can be supervised: `python -m tidings.local.google pubsub|firestore`."""

import argparse
import signal
import sys
import threading
from types import FrameType

from tidings.local.emulators import COMPONENTS, google_firestore_emulator, google_pubsub_emulator

START = {"pubsub": google_pubsub_emulator, "firestore": google_firestore_emulator}
SAYS = "the emulator is at "
"""What it writes when it is ready, with `host:port` and a line break behind it."""


def address_in(written: str) -> str | None:
    """The `host:port` in what the part has written, once it is there."""
    _, said, rest = written.partition(SAYS)
    address, line_break, _ = rest.partition("\n")
    return address if said and line_break else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tidings.local.google", description=__doc__)
    parser.add_argument("name", choices=COMPONENTS)
    name = parser.parse_args().name
    signal.signal(signal.SIGTERM, _end)  # so that the emulator is stopped with us
    with START[name]() as address:
        print(f"{SAYS}{address}", flush=True)
        threading.Event().wait()


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
