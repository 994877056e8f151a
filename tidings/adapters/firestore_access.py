"""How Firestore is read and written here: optimistically, patiently, and never for longer than a timeout.

A write carries the condition that the document has not changed since it was read. A lost race is run again, and so is
a call that Firestore could not serve; once the timeout is over it is a `StoreError`, and so is, at once, any other
refusal. Google's own retries are off (`retry=None`): they go on for a minute and more, and cannot decide anew.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore_v1.field_path import FieldPath

from tidings.errors import StoreError

MAX_WRITES = 500
MAX_COMMIT_BYTES = 2_000_000
"""How full a commit may be for one more document to go in. Firestore takes 10 MiB, its emulator 4 MiB a request."""

PAGE = 1000
"""So many documents come in one answer of `pages`: a few megabytes."""

Document = firestore.DocumentReference
Fields = dict[str, Any]
_P = ParamSpec("_P")
_T = TypeVar("_T")


class CollisionError(Exception):
    """Somebody else wrote the document between our reading and our writing."""


class Seen(NamedTuple):
    """A document as it was read: `fields` is None when there was none. `version` is its time of update."""

    document: Document
    fields: Fields | None = None
    version: Any = None


_AGAIN = if_exception_type(
    CollisionError,
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)


def patient(method: "Callable[Concatenate[Any, _P], _T]") -> "Callable[Concatenate[Any, _P], _T]":
    """Run a method of an `Access` again while it meets a passing fault, until the timeout is over.

    Raises:
        StoreError: it is over, or Firestore refuses the call. The message names the fault, and quotes nothing.
    """

    @wraps(method)
    def call(self: "Access", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        retry = Retry(predicate=_AGAIN, initial=0.05, maximum=1.0, multiplier=2.0, timeout=self.timeout)
        try:
            return retry(method)(self, *args, **kwargs)
        except exceptions.RetryError as error:
            raise StoreError(f"Firestore: {type(error.cause).__name__}") from error
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise _refused(error) from error

    return call


def _refused(error: Exception) -> StoreError:
    """Not worth another try at once; but permissions and credentials are mended while others run, who ask again."""
    return StoreError(f"Firestore: {type(error).__name__}")


class Access:
    """One Firestore database, and the manners of using it.

    Raises:
        StoreError: there are no credentials to use it with.
    """

    def __init__(self, project: str, database: str, timeout: float) -> None:
        try:
            self.client = firestore.Client(project=project, database=database)
        except GoogleAuthError as error:
            raise _refused(error) from error
        self.timeout = timeout

    def get(self, document: Document) -> Seen:
        """Read one document."""
        return _seen(document.get(retry=None, timeout=self.timeout))

    def get_all(self, documents: Iterable[Document], names_only: bool = False) -> Iterator[Seen]:
        """Read many documents in one call, in no order; those that are not there come too."""
        mask: list[str] | None = [] if names_only else None
        for snapshot in self.client.get_all(list(documents), mask, retry=None, timeout=self.timeout):
            yield _seen(snapshot)

    def run(self, query: Any) -> Iterator[tuple[str, Fields]]:
        """The id and the fields of every document that a query finds."""
        for snapshot in self.stream(query):
            yield snapshot.id, snapshot.to_dict()

    def stream(self, query: Any) -> Iterator[Any]:
        """Every document that a query finds, as Google's client has it."""
        yield from query.stream(retry=None, timeout=self.timeout)

    def pages(self, query: Any, limit: int) -> Iterator[Fields]:
        """The fields of up to `limit` documents of an ordered query; each page has the whole timeout to itself.

        Raises:
            StoreError: Firestore cannot be asked now.
        """
        left: Any = query
        page: list[Any] = [None]
        while limit > 0 and page:
            page = self._page(left.limit(min(PAGE, limit)))
            yield from (snapshot.to_dict() for snapshot in page)
            limit -= len(page)
            if len(page) < PAGE:
                return
            left = query.start_after(page[-1])

    @patient
    def _page(self, query: Any) -> list[Any]:
        return list(self.stream(query))

    def write(self, batch: firestore.WriteBatch, seen: Seen, fields: Fields) -> None:
        """Set these top-level fields if the document is still as it was seen: absent, or not changed since."""
        if seen.fields is None:
            batch.create(seen.document, fields)
        else:
            unchanged = self.client.write_option(last_update_time=seen.version)
            paths = {FieldPath(name).to_api_repr(): value for name, value in fields.items()}
            batch.update(seen.document, paths, option=unchanged)

    def commit(self, batch: firestore.WriteBatch) -> None:
        """Send a batch, all or nothing.

        Raises:
            CollisionError: one of its documents is no longer as it was seen.
        """
        if not len(batch):
            return
        try:
            batch.commit(retry=None, timeout=self.timeout)
        except (exceptions.AlreadyExists, exceptions.FailedPrecondition) as error:
            raise CollisionError from error

    def append(self, documents: Iterable[tuple[Document, Fields]]) -> None:
        """Create those that are not there yet, in batches."""
        group: dict[Document, Fields] = {}
        size = 0
        for document, fields in documents:
            if len(group) == MAX_WRITES or size > MAX_COMMIT_BYTES:
                self._append_group(group)
                group, size = {}, 0
            group.setdefault(document, fields)
            size += sum(len(value.encode()) for value in fields.values() if isinstance(value, str))
        self._append_group(group)

    @patient
    def _append_group(self, group: dict[Document, Fields]) -> None:
        """Nearly always none of them is there, so that is tried first, without reading."""
        try:
            self._create(group)
        except CollisionError:
            absent = [seen.document for seen in self.get_all(group, names_only=True) if seen.fields is None]
            self._create({document: group[document] for document in absent})

    def _create(self, group: dict[Document, Fields]) -> None:
        batch = self.client.batch()
        for document, fields in group.items():
            batch.create(document, fields)
        self.commit(batch)

    def close(self) -> None:
        """Close the connection."""
        self.client._firestore_api.transport.close()


def _seen(snapshot: Any) -> Seen:
    return Seen(snapshot.reference, snapshot.to_dict(), snapshot.update_time)
