"""What the person at the terminal sees: steps, notices, and one table. Plain text when it is not a terminal."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"


class Progress:
    """What a running step may say of itself, to be shown when it is done."""

    detail = ""


class Terminal:
    """Writes lines from any thread; a step that is under way is the last line, rewritten in place."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._lively = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._lively and "NO_COLOR" not in os.environ  # https://no-color.org
        self._lock = threading.Lock()
        self._pending = ""

    def colour(self, text: str, code: str) -> str:
        """The text in a colour, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    def say(self, text: str = "") -> None:
        """One line."""
        with self._lock:
            if self._pending:
                self._out.write("\r\x1b[K")
            self._out.write(f"{text}\n{self._pending}")
            self._out.flush()

    def notice(self, text: str) -> None:
        """One line about something that happened by itself."""
        self.say(f"  {self.colour(text, YELLOW)}")

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """Show that something is under way, and how long it took; a failure leaves the line as `failed`."""
        began = time.monotonic()
        progress = Progress()
        self._show_pending(f"  {name:<16} {self.colour('starting', DIM)}")
        state = self.colour("failed", RED)
        try:
            yield progress
            state = self.colour("ready ", GREEN)
        finally:
            self._show_pending("")
            took = self.colour(f"{time.monotonic() - began:5.1f} s", DIM)
            self.say(f"  {name:<16} {state} {took}  {progress.detail}".rstrip())

    def _show_pending(self, line: str) -> None:
        if self._lively:
            with self._lock:
                self._out.write(f"\r\x1b[K{line}")
                self._out.flush()
                self._pending = line

    def row(self, cells: Sequence[str], widths: Sequence[int], code: str = "") -> None:
        """One row of a table, in a colour."""
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        self.say(f"  {self.colour(line, code) if code else line}")
