"""The archive as the commands of `privacy` change it."""

from typing import Any

from tidings.commands.exits import RefusedError, UsageError

RECENT = "The last 90 minutes of the archive cannot be changed yet: run the same again after that."


def bigquery(name: str) -> tuple[str, Any]:
    """The table that an option names, and the module that changes it.

    Raises:
        UsageError: it is no table.
        RefusedError: what it takes is not installed.
    """
    scheme, _, table = name.partition(":")
    if scheme != "bigquery":
        raise UsageError("--archive: must be bigquery:PROJECT.DATASET.TABLE; files of events are yours to edit")
    try:
        from tidings.adapters import bigquery_erasure  # noqa: PLC0415 - a second and 60 MB, for those who need it
    except ModuleNotFoundError as error:
        raise RefusedError(f"{error.name} is missing: install tidings[commands]") from None
    return table, bigquery_erasure
