"""The archive of events in BigQuery, as `terraform/bigquery.tf` makes it: one row a message of the events topic.

Rows come at least once, and an event that followed its person is there twice. The engine knows repeats by their
messageId; copies name their original in the attribute `copyOf`, and are left out here.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from google.api_core.exceptions import ClientError, RetryError, ServerError, TooManyRequests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY
from requests import RequestException

from tidings.errors import StoreError
from tidings.history.gather import Window
from tidings.history.sources import HistoryError, Unit

EMULATOR = "BIGQUERY_EMULATOR_HOST"
"""When it is set, that address is asked, without credentials."""

_NAME = re.compile(r"[a-z][\w:.-]*\.\w+\.[\w$-]+")
_ROW_BYTES = 500
_SLACK = timedelta(hours=1)
"""So much later than it was received an event may have been published, after a bad minute of Pub/Sub."""

patiently = DEFAULT_RETRY.with_timeout(60)
"""A person is waiting; by default the library tries for ten minutes before it says a word."""

_WHERE = """
FROM `{table}`
WHERE publish_time >= @since AND publish_time < @until AND JSON_VALUE(attributes, '$.copyOf') IS NULL
"""
_DAYS = f"SELECT TIMESTAMP_TRUNC(publish_time, DAY) AS day, COUNT(*) AS events {_WHERE} GROUP BY day ORDER BY day"
_DATA = f"SELECT data {_WHERE}"
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class ArchivedDay(msgspec.Struct, frozen=True):
    """The rows of a table that were published in one day: a `tidings.history.sources.Unit`.

    Attributes:
        table: PROJECT.DATASET.TABLE.
        since / until: the stretch of that day that is asked for.
        events: how many there are.
    """

    table: str
    since: datetime
    until: datetime
    events: int

    @property
    def source(self) -> str:
        """See `Unit`."""
        return f"bigquery:{self.table}"

    @property
    def size(self) -> int:
        """See `Unit`."""
        return self.events * _ROW_BYTES

    def lines(self) -> Iterator[bytes]:
        """See `Unit`."""
        for row in _ask(_DATA, self.table, self.since, self.until):
            yield row[0].encode()


def units(table: str, window: Window) -> list[Unit]:
    """The days of the archive that may hold events received inside the window.

    Args:
        table: PROJECT.DATASET.TABLE.
        window: asked again of each event by its `receivedAt`, which is a little earlier than the time of publishing.

    Raises:
        HistoryError: there is no such table, or it may not be read.
        StoreError: BigQuery cannot be reached now, or there are no credentials.
    """
    if not is_table(table):
        raise HistoryError(f"bigquery:{table}: must be bigquery:PROJECT.DATASET.TABLE")
    since = window.since or _FIRST
    until = window.until + _SLACK if window.until else _LAST
    days = _ask(_DAYS, table, since, until)
    return [ArchivedDay(table, max(day, since), min(day + timedelta(days=1), until), count) for day, count in days]


def _ask(query: str, table: str, since: datetime, until: datetime) -> Iterator[Any]:
    """The rows of an answer, page by page."""
    times = (("since", since), ("until", until))
    parameters = [bigquery.ScalarQueryParameter(name, "TIMESTAMP", at) for name, at in times]
    config = bigquery.QueryJobConfig(query_parameters=parameters)
    try:
        yield from open_client(table).query_and_wait(
            query.format(table=table),
            job_config=config,
            retry=patiently,
            job_retry=None,  # type: ignore[arg-type]  # the docs: None to never ask a failed question again
        )
    except (ServerError, TooManyRequests, RetryError, GoogleAuthError, RequestException) as error:
        raise StoreError(f"BigQuery cannot be asked now: {type(error).__name__}") from None
    except ClientError as error:
        raise HistoryError(f"bigquery:{table}: {error.message}") from None


def is_table(name: str) -> bool:
    """Whether it looks like PROJECT.DATASET.TABLE, and like nothing that could get out of a quoted name."""
    return _NAME.fullmatch(name) is not None


def open_client(table: str) -> bigquery.Client:
    """Of the project that the table is in, which pays for the question."""
    credentials = AnonymousCredentials() if EMULATOR in os.environ else None  # type: ignore[no-untyped-call]
    return bigquery.Client(project=table.rsplit(".", 2)[0], credentials=credentials)
