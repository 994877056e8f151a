"""The heart of the embedded Pub/Sub: one database, one lock, and a way to wait for a subscription's next message."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from tidings.adapters.pubsub_backlog import Backlog
from tidings.adapters.pubsub_catalogue import Catalogue


class Broker:
    """The catalogue and the backlog, to be used while holding `lock`.

    Args:
        path: the SQLite file, made when it is not there; None keeps everything in memory. One process at a time:
            a second one gets sqlite3.OperationalError.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.stopping = False
        self.closed = False
        self.lock = threading.Lock()
        self._arrivals: dict[str, threading.Condition] = {}
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # survives a crash of the process, which is what matters here
        # A message that was acknowledged is overwritten, and not left in a page that is free again.
        self._db.execute("PRAGMA secure_delete = ON")
        self.catalogue = Catalogue(self._db)
        self.backlog = Backlog(self._db, self.catalogue, self.wake, clock())

    def wait_until_due(self, name: str, timeout: float) -> None:
        """Let go of the lock until the subscription may have something to give, or `timeout` seconds have passed."""
        due = self.backlog.next_due(name)
        self.wait_for_change(name, timeout if due is None else min(timeout, due - self.clock()))

    def wait_for_change(self, name: str, timeout: float) -> None:
        """Let go of the lock until somebody wakes the subscription, or `timeout` seconds have passed."""
        if timeout > 0:
            self._arrivals.setdefault(name, threading.Condition(self.lock)).wait(timeout)

    def wake(self, name: str) -> None:
        """Make everyone who waits for the subscription look again."""
        if (arrival := self._arrivals.get(name)) is not None:
            arrival.notify_all()

    def tidy(self) -> None:
        """Empty the write-ahead log, in which what was acknowledged still stands."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def stop(self) -> None:
        """Make everyone who waits look again, and see that it is over."""
        with self.lock:
            self.stopping = True
            for arrival in self._arrivals.values():
                arrival.notify_all()

    def close(self) -> None:
        """Close the database. Nothing may use the broker after this."""
        with self.lock:
            self.closed = True
            self._db.close()
