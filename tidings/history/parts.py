"""Files that hold keyed records, many keys in each: what lies between two steps of a GroupByKey on disk."""

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

MOST_WAITING = 8 * 2**20
"""So many bytes of records wait in memory, for all parts together, before they are written."""

_LENGTHS = struct.Struct("<II")


class Parts:
    """A folder of parts. Each process appends to files of its own, so that none waits for another.

    Args:
        folder: where they are.
        name: what keeps these parts apart from others in the same folder.
        count: how many there are.
    """

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self.folder = folder
        self.name = name
        self.count = count

    def number_of(self, key: str) -> int:
        """The part of a key, the same in every process and run."""
        return zlib.crc32(key.encode(errors="surrogatepass")) % self.count

    def read(self, number: int) -> Iterator[tuple[str, bytes]]:
        """(key, data) of everything in one part, in no particular order."""
        for path in sorted(self.folder.glob(f"{self.name}-{number}.*")):
            yield from read_records(path)

    def grouped(self, number: int) -> dict[str, list[bytes]]:
        """The same by key, keys and data in order, so that it does not matter who wrote what when."""
        groups: dict[str, list[bytes]] = defaultdict(list)
        for key, data in self.read(number):
            groups[key].append(data)
        for data_of_one in groups.values():
            data_of_one.sort()
        return dict(sorted(groups.items()))


class PartsWriter:
    """Gathers records for some parts, and appends them to the files of one writer."""

    def __init__(self, parts: Parts, writer: str) -> None:
        self._parts = parts
        self._writer = writer
        self._waiting: dict[int, bytearray] = defaultdict(bytearray)
        self._gathered = 0

    def add(self, key: str, data: bytes) -> None:
        """One record."""
        append_record(self._waiting[self._parts.number_of(key)], key, data)
        self._gathered += len(data)
        if self._gathered >= MOST_WAITING:  # a packed file, or a day of the archive, is larger than memory
            self.flush()

    def flush(self) -> None:
        """Write down what was gathered."""
        for number, waiting in self._waiting.items():
            with (self._parts.folder / f"{self._parts.name}-{number}.{self._writer}").open("ab") as file:
                file.write(waiting)
        self._waiting.clear()
        self._gathered = 0


def append_record(buffer: bytearray, key: str, data: bytes) -> None:
    """Add one record to what is to be written: both lengths, the key, the data."""
    raw = key.encode(errors="surrogatepass")
    buffer += _LENGTHS.pack(len(raw), len(data))
    buffer += raw
    buffer += data


def read_records(path: Path) -> Iterator[tuple[str, bytes]]:
    """The records of one file, in the order in which they were written."""
    with path.open("rb") as file:
        while lengths := file.read(_LENGTHS.size):
            of_key, of_data = _LENGTHS.unpack(lengths)
            yield file.read(of_key).decode(errors="surrogatepass"), file.read(of_data)
