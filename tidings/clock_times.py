"""Times as people type them: with an offset, or by the clocks of a place, where some happen twice and some never do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_YEARS = 1970, 3000


def read(text: str, zone: ZoneInfo) -> datetime:
    """The instant that is meant, in UTC.

    Args:
        text: ISO 8601, such as `2026-03-02`, `2026-03-02 14:00` or `2026-03-02T14:00+01:00`.
        zone: whose clocks count when there is no offset.

    Raises:
        ValueError: it is no time; or by those clocks it happens twice, or never. The message has the two instants that
            may be meant.
    """
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text}: is no time; it must look like 2026-03-02 or 2026-03-02T14:00+01:00") from None
    if not _YEARS[0] <= local.year < _YEARS[1]:
        raise ValueError(f"{text}: is no time that events have; they are of the years {_YEARS[0]} to {_YEARS[1] - 1}")
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    readings = [local.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    if readings[0].utcoffset() == readings[1].utcoffset():
        return readings[0].astimezone(UTC)
    first, second = sorted(one.astimezone(UTC) for one in readings)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        said = " or ".join(one.isoformat() for one in readings)
        raise ValueError(f"{text}: happens twice in {zone.key}, because the clocks go back; say {said}")
    said = " or ".join(one.astimezone(zone).isoformat() for one in (first, second))
    raise ValueError(f"{text}: never happens in {zone.key}, because the clocks go forward; say {said}")


def before(at: datetime, length: int) -> datetime:
    """So many milliseconds earlier."""
    return at - timedelta(milliseconds=length)
