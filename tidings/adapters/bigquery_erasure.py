"""Takes a person out of the archive of events: the job that docs/privacy.md describes, run from here.

A DELETE rewrites the blocks that hold what it finds, so it costs about what reading the whole table costs: one for many
people, `ids` and all, is as cheap as one for each. BigQuery keeps what was deleted for its time travel, two to seven
days, and then for seven days in its fail-safe storage (https://cloud.google.com/bigquery/docs/time-travel).
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from google.api_core.exceptions import BadRequest, ClientError, RetryError, ServerError, TooManyRequests
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests import RequestException

from tidings.adapters.bigquery_archive import is_table, open_client, patiently
from tidings.errors import StoreError
from tidings.history.sources import HistoryError
from tidings.wire.events import person_key

BUFFERED = "INTERVAL 90 MINUTE"
"""So long rows may stay in a buffer that DELETE cannot reach. Pub/Sub writes in a way that has none, it seems, and then
this is never needed: https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations"""

DELETE = """
DELETE FROM `{table}`
WHERE publish_time < TIMESTAMP_SUB(CURRENT_TIMESTAMP(), {recent}) AND publish_time <= @until
AND (
  JSON_VALUE(data, '$.userId') IN UNNEST(@users)
  OR (COALESCE(JSON_VALUE(data, '$.userId'), '') = '' AND JSON_VALUE(data, '$.anonymousId') IN UNNEST(@anonymous))
  OR (
    COALESCE(JSON_VALUE(data, '$.userId'), '') NOT IN UNNEST(@sharing)
    AND EXISTS (SELECT 1 FROM UNNEST(@addresses) AS pattern WHERE REGEXP_CONTAINS(LOWER(data), pattern))
  )
)
"""
"""An event with an anonymous id of theirs and the userId of somebody else is that somebody's, and stays. So does one
that names their address under the userId of somebody who shares it."""


PEOPLE = """
SELECT DISTINCT JSON_VALUE(data, '$.userId') AS user_id, JSON_VALUE(data, '$.anonymousId') AS anonymous_id
FROM `{table}`
"""

_EVER = datetime(9999, 1, 1, tzinfo=UTC)


class Erased(NamedTuple):
    """What came of it.

    Attributes:
        rows: so many went.
        complete: False when the last 90 minutes could not be reached; ask again after that time.
    """

    rows: int
    complete: bool


def people(table: str) -> Iterator[str]:
    """Everybody of whom the archive holds events, as `Event.person`; some of them several times.

    Arguments and faults as of `erase`.
    """
    _check(table)
    with _named_faults(table):
        for user, anonymous in _ask(table, PEOPLE.format(table=table), []):
            if user or anonymous:
                yield person_key(user, anonymous)


def erase(
    table: str, ids: Iterable[str], addresses: Iterable[str], until: datetime = _EVER, sharing: Iterable[str] = ()
) -> Erased:
    """Delete every archived event of these ids, and every one that has one of these addresses anywhere in it.

    Args:
        table: PROJECT.DATASET.TABLE.
        ids: as `Event.person`.
        addresses: of email; found case aside, in plain and as JSON and URLs escape the @.
        until: what was published after it stays: who came back is somebody new.
        sharing: others who have one of the addresses as well: what names it under their own id is theirs.

    Raises:
        HistoryError: there is no such table, or it may not be changed.
        StoreError: BigQuery cannot be reached now, or there are no credentials.
    """
    _check(table)
    names = sorted(ids)
    values = {
        "users": [one[2:] for one in names if one.startswith("u:")],
        "anonymous": [one[2:] for one in names if one.startswith("a:")],
        "addresses": [pattern for one in addresses for pattern in patterns(one)],
        "sharing": [one[2:] for one in sharing if one.startswith("u:")],
    }
    with _named_faults(table):
        try:
            return Erased(_delete(table, values, until, "INTERVAL 0 MINUTE"), complete=True)
        except BadRequest as error:
            if "streaming buffer" not in str(error.message):
                raise
            return Erased(_delete(table, values, until, BUFFERED), complete=False)


def _delete(table: str, values: dict[str, list[str]], until: datetime, recent: str) -> int:
    arrays = [bigquery.ArrayQueryParameter(name, "STRING", found) for name, found in values.items()]
    parameters = [*arrays, bigquery.ScalarQueryParameter("until", "TIMESTAMP", until)]
    return int(_ask(table, DELETE.format(table=table, recent=recent), parameters).num_dml_affected_rows or 0)


def _ask(table: str, query: str, parameters: list[Any]) -> Any:
    return open_client(table).query_and_wait(
        query,
        job_config=bigquery.QueryJobConfig(query_parameters=parameters),
        retry=patiently,
        job_retry=None,  # type: ignore[arg-type]  # as in bigquery_archive
    )


def _check(table: str) -> None:
    if not is_table(table):
        raise HistoryError(f"bigquery:{table}: must be bigquery:PROJECT.DATASET.TABLE")


@contextmanager
def _named_faults(table: str) -> Iterator[None]:
    try:
        yield
    except (ServerError, TooManyRequests, RetryError, GoogleAuthError, RequestException) as error:
        raise StoreError(f"BigQuery cannot be asked now: {type(error).__name__}") from None
    except ClientError as error:
        raise HistoryError(f"bigquery:{table}: {type(error).__name__}") from None  # its message may quote a parameter


def patterns(address: str) -> list[str]:
    """Regular expressions (RE2) that find an address in a row of lower case, and none that only ends or begins so."""
    plain = address.strip().lower()
    escaped = json.dumps(plain)[1:-1]
    forms = {plain, escaped, quote(plain, safe="").lower(), quote(plain).lower(), escaped.replace("@", "\\u0040")}
    before, after = r"(?:^|%[0-9a-f]{2}|\\[nrt]|[^a-z0-9_.+-])", r"(?:[^a-z0-9_.-]|[.](?:[^a-z0-9_]|$)|$)"
    return sorted(before + re.escape(form) + after for form in forms)
