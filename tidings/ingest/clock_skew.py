"""When it really happened: the client's own time, corrected by what its clock said when the request left.

    timestamp = receivedAt - (sentAt - originalTimestamp)

Source: https://segment.com/docs/connections/spec/common/#timestamp-overview. The client's clock may be wrong by years;
it only has to tick evenly between the two readings. What this module makes of each case:

| the client says | the event gets |
|---|---|
| both times, less than a year apart | the formula: a clock that stands in 1970 or 2099 is put right |
| both times, a year or more apart | the client's time: an import of history, or a clock that was set in between |
| no sentAt, or one that cannot be read | the client's time |
| no time | receivedAt |
| a time that cannot be read | receivedAt, with the fault `unreadable` |
| a time before 2000, after correction | receivedAt, with the fault `unset_clock`: nobody shopped on the web in 1970 |
| a time after receivedAt, after correction | receivedAt |

An event is never refused for its time, because Segment never does either.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_DELAY = timedelta(days=366)
"""The longest a client can have held an event back for its two clock readings to be compared."""

_MILLISECONDS_FROM = 1e11
"""Numbers from here on are milliseconds since 1970 (1973 and later); as seconds they would mean the year 5138."""

Fault = Literal["unreadable", "unset_clock"]


class Moment(NamedTuple):
    """`timestamp` is what counts; `original` is what the client claimed; `fault` says why it was not believed."""

    timestamp: datetime
    original: datetime | None
    fault: Fault | None


def happened_at(claims: tuple[object, ...], sent_at: datetime | None, received_at: datetime) -> Moment:
    """Find out when an event happened.

    Args:
        claims: `originalTimestamp` and `timestamp` as they stand in the payload; the first that can be read counts.
        sent_at: what the client's clock said when the request left, if it is known.
        received_at: what our clock said when the request came.
    """
    made = [claim for claim in claims if claim is not None and claim != ""]
    original = first_time(*made)
    if original is None:
        return Moment(received_at, None, "unreadable" if made else None)
    happened = original
    if sent_at is not None and abs(delay := sent_at - original) < LONGEST_DELAY:
        happened = received_at - delay
    if happened < EARLIEST:
        return Moment(received_at, original, "unset_clock")
    return Moment(min(happened, received_at), original, None)


def first_time(*values: object) -> datetime | None:
    """The first of these that can be read as a time."""
    return next((time for value in values if (time := read_time(value)) is not None), None)


def read_time(value: object) -> datetime | None:
    """An instant in UTC, or None when it cannot be read.

    Reads ISO 8601 with any number of fraction digits, with an offset or without (then it is UTC), or a date alone
    (midnight UTC); and numbers, as seconds or milliseconds since 1970.
    """
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value.strip().upper())
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
