"""Log lines that Cloud Logging understands: one JSON object a line.

Source of the field names: https://cloud.google.com/logging/docs/structured-logging
A line says what happened and how often, never to whom: no id, no address, no token.
"""

import logging
import sys
from typing import TextIO

import msgspec


class JsonFormatter(logging.Formatter):
    """Writes `severity`, `message`, `logger`, and what the caller put into `extra`.

    `extra={"labels": {...}}` becomes the labels of the log entry, as text; `extra={"counts": {...}}` becomes a field of
    the payload, as numbers. A stack trace follows the message, which is where Error Reporting looks for it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, without the line break."""
        line: dict[str, object] = {
            "severity": record.levelname,
            "message": super().format(record),
            "logger": record.name,
        }
        if counts := getattr(record, "counts", None):
            line["counts"] = counts
        if labels := getattr(record, "labels", None):
            line["logging.googleapis.com/labels"] = {name: str(value) for name, value in labels.items()}
        return msgspec.json.encode(line).decode()


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at the moment, and not to what it was when the process began."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(level: int = logging.INFO) -> None:
    """Send every log line of the process to standard error as JSON. Calling it again changes nothing."""
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    handler = _StandardError()
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line to say of every request that goes well
