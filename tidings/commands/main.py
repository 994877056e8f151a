"""The command line: `tidings COMMAND ...`. A command is loaded when it is asked for, so that help comes at once."""

import argparse
import errno
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from tidings.commands.exits import Exit, UsageError
from tidings.errors import TemporaryError, TidingsError
from tidings.settings import SettingsError

COMMANDS = {
    "replay": "play past events through the rules, and write what they would have decided",
    "backtest": "ask of a rule that is not live: who would have got it, and would they have bought anyway?",
    "shadow": "what a shadow version decides differently from the live one",
    "explain": "why did this person get this mail, or why not? And would the archive say the same?",
    "rules": "check, test, push, pull, compare and roll back rules",
    "templates": "check, look at and try messages",
    "sending": "how much mail goes out, what has stopped it, and stop or go by hand",
    "dead-letters": "what could not be used: how much of it and why; replay it, or drop it",
    "privacy": "a copy of what is kept about somebody, its end, and who is never mailed",
    "simulate": "play a story with the clock advanced, and print everybody's inbox",
}
"""Every command, and what it is for; each is a module of this package with `parser()` and `run(options)`."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk takes no more. Files are asked for by those who write them; this is left for standard output."""

EPILOG = """`tidings COMMAND --help` has the options and an example of each.

exit codes: 0 yes, or done; 1 no: refused, different, not found; 2 the command line makes no sense;
            3 a store or archive cannot be reached, try again; 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return _without_command(arguments)
    try:
        module = import_module(f"tidings.commands.{name.replace('-', '_')}")
    except ModuleNotFoundError as error:
        if error.name != "rich":
            raise
        return _say(f"{error.name} is missing: install tidings[commands]", Exit.USAGE)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a subject may hold what a terminal cannot show
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no process and no file behind either
    try:
        return int(module.run(module.parser().parse_args(arguments[1:])))
    except (SettingsError, UsageError) as error:
        return _say(error, Exit.USAGE)
    except TemporaryError as error:
        return _say(error, Exit.LATER)
    except TidingsError as error:
        return _say(error, Exit.REFUSED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        return _say("", Exit.REFUSED)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return _say(f"the answer cannot be written: {error.strerror}", Exit.REFUSED)
    except KeyboardInterrupt:
        return _say("interrupted", Exit.INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _without_command(arguments: Sequence[str]) -> int:
    table = "\n".join(f"  {name:<12} {about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="tidings",
        description=f"Ask before you send.\n\ncommands:\n{table}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the above")
    parser.parse_args(arguments or ["--help"])
    return Exit.USAGE


def _say(fault: object, code: Exit) -> int:
    if fault:
        print(fault, file=sys.stderr)
    return code
