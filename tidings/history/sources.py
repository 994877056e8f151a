"""Where past events come from: files of JSON Lines, in pieces that several processes can read at the same time."""

import codecs
import glob
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tidings.errors import TidingsError

CHUNK = 16 * 2**20
"""Bytes of a file that one process takes at a time."""

_PACKED = 8
"""A file of events is so many times larger than its gzip."""


class HistoryError(TidingsError):
    """The caller's fault: there are no such events, or they cannot be read."""


class Unit(Protocol):
    """A piece of a source. It can be sent to another process."""

    @property
    def source(self) -> str:
        """The name of the file or table, for a person."""

    @property
    def size(self) -> int:
        """About how many bytes of events it holds."""

    def lines(self) -> Iterable[bytes]:
        """Its lines, one event each, in order; the first one follows the last one of the piece before.

        Raises:
            HistoryError: it cannot be read.
            TemporaryError: not now.
        """


class FilePiece(msgspec.Struct, frozen=True):
    """The lines of a file that begin in [start, end)."""

    path: str
    start: int
    end: int

    @property
    def source(self) -> str:
        """See `Unit`."""
        return self.path

    @property
    def size(self) -> int:
        """See `Unit`."""
        return self.end - self.start

    def lines(self) -> Sequence[bytes]:
        """See `Unit`."""
        try:
            with Path(self.path).open("rb") as file:
                start = self.start
                if start:  # the line that this piece begins in is the piece before's
                    file.seek(start - 1)
                    file.readline()
                    start = file.tell()
                if start >= self.end:
                    return ()
                block = file.read(self.end - start)
                if not block.endswith(b"\n"):
                    block += file.readline()
        except OSError as error:
            raise HistoryError(f"{self.path}: {error.strerror}") from None
        return (block if start else block.removeprefix(codecs.BOM_UTF8)).removesuffix(b"\n").split(b"\n")


class PackedFile(msgspec.Struct, frozen=True):
    """A whole file that was packed with gzip: nobody can begin in the middle of one."""

    path: str
    packed: int

    @property
    def source(self) -> str:
        """See `Unit`."""
        return self.path

    @property
    def size(self) -> int:
        """See `Unit`."""
        return self.packed * _PACKED

    def lines(self) -> Iterator[bytes]:
        """See `Unit`."""
        try:
            with gzip.open(self.path) as file:
                yield file.readline().removeprefix(codecs.BOM_UTF8).removesuffix(b"\n")
                for line in file:
                    yield line.removesuffix(b"\n")
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise HistoryError(f"{self.path}: is no whole gzip file") from None
        except OSError as error:
            raise HistoryError(f"{self.path}: {error.strerror}") from None


def files(patterns: Sequence[str]) -> list[Unit]:
    """The pieces of all files that these paths and patterns name, each file once, in the order of their names.

    Raises:
        HistoryError: one of them names nothing, or what is no file.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        found = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise HistoryError(f"{pattern}: there is no such file")
        names |= dict.fromkeys(found)
    return [piece for name in names for piece in _pieces(name)]


def _pieces(path: str) -> Iterator[Unit]:
    if Path(path).is_dir():
        raise HistoryError(f"{path}: is no file; for all files in a folder say {path.rstrip('/')}/*")
    if not Path(path).is_file():
        raise HistoryError(
            f"{path}: is no file; several processes cannot read from a pipe, so write it to a file first"
        )
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from None
    if packed:
        yield PackedFile(path, size)
        return
    for start in range(0, size, CHUNK):
        yield FilePiece(path, start, min(start + CHUNK, size))
