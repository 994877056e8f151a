"""What a terminal may be told: ids and names come from browsers, and a terminal obeys what it is told to do."""

import re

_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text, with what a terminal would take for a command shown as U+FFFD; tabs and line ends stay."""
    return _COMMANDS.sub("\ufffd", text)
