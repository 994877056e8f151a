"""A clock that stands in a file: a simulation sets it, and every part that follows it reads it at each look."""

from datetime import datetime
from pathlib import Path


class ClockFile:
    """One instant in ISO 8601, with an offset. One process sets it, any number reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self, at: datetime) -> None:
        """Set it; whoever reads gets the old time or the new one."""
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(at.isoformat())
        unfinished.rename(self._path)

    def now(self) -> datetime:
        """What it says."""
        return datetime.fromisoformat(self._path.read_text())
