"""How a command ends: exit codes that scripts can trust, and the faults that lead to them."""

from enum import IntEnum

from tidings.errors import TidingsError


class Exit(IntEnum):
    """Every command ends with one of these, and with nothing else."""

    GOOD = 0
    """Done, and the answer is yes."""
    REFUSED = 1
    """Done, and the answer is no: a rule is refused, a story ends otherwise, two answers differ, nothing was found."""
    USAGE = 2
    """The command line makes no sense; nothing was done."""
    LATER = 3
    """A store or an archive cannot be reached. The same command may work in a while."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT)."""


class UsageError(TidingsError):
    """These arguments do not go together; nothing was done."""


class RefusedError(TidingsError):
    """The answer is no, and there is nothing more to say than this message."""
