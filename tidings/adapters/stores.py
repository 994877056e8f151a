"""The one place that knows which stores there are."""

from tidings.adapters.sqlite_store import SqliteStore
from tidings.records.store import Store
from tidings.settings import SettingsError


def open_store(url: str, project: str) -> Store:
    """Open the store that the setting `store` names.

    Args:
        url: `sqlite:/path/to/file.db`, `sqlite::memory:` (this process only), `firestore` or `firestore:<database>`.
        project: the Google Cloud project of the Firestore database.

    Raises:
        SettingsError: the setting names no store.
        StoreError: the store cannot be opened now.
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        return SqliteStore(rest)
    if scheme == "firestore" and bool(rest) == bool(colon):
        # Loading Google's client takes a second and 60 MB: a laptop with SQLite need not pay.
        from tidings.adapters.firestore_store import FirestoreStore  # noqa: PLC0415

        return FirestoreStore(project, rest or "(default)")
    raise SettingsError("TIDINGS_STORE must be sqlite:/path/to/file.db, firestore or firestore:<database>")
