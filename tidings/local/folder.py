"""The data folder: what is kept between runs, under a lock so that two runs cannot share it."""

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidings.errors import TidingsError

OURS = (
    "pubsub.db",
    "pubsub.db-wal",
    "pubsub.db-shm",
    "pubsub-host",
    "store.db",
    "store.db-wal",
    "store.db-shm",
    "mail",
    "logs",
    "secret",
)


class FolderError(TidingsError):
    """The folder cannot be used; the message says what to do."""


class DataFolder:
    """The paths inside the folder.

    `pubsub_host` is there while a run is, and says where its Pub/Sub is: commands beside the run find it so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mail = path / "mail"
        self.logs = path / "logs"
        self.pubsub = path / "pubsub.db"
        self.store = path / "store.db"
        self.pubsub_host = path / "pubsub-host"
        self.secret_file = path / "secret"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; the lock goes with the process, however that ends.

        Raises:
            FolderError: another run has it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("w")
        except OSError as error:
            raise FolderError(
                f"{self.path} cannot be used: {error.strerror}. Give another folder with --data."
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderError(
                    f"Another run uses {self.path}. Stop it, or give another folder with --data."
                ) from None
            yield

    def reset(self) -> None:
        """Forget everything: only files that we make ourselves, so a wrong --data loses nothing else."""
        for name in OURS:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def secret(self) -> str:
        """The secret that signs links and digests addresses: made once, for its owner's eyes only."""
        path = self.secret_file
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32))
        return path.read_text()
