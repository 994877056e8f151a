"""Quiet hours: when a person's night begins and ends, by the clock on their own wall."""

from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tidings.wire.events import instant, millis

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"


class QuietHours(BaseModel):
    """Nothing goes out from `start` until `end`; both are times of day, and the night may pass midnight."""

    model_config = ConfigDict(extra="forbid")

    start: str = Field(pattern=_CLOCK, examples=["21:00"])
    end: str = Field(pattern=_CLOCK, examples=["08:00"])
    tz: str = Field(default="user", description='"user" for the person\'s own time zone, or an IANA name.')
    on_miss: Literal["hold", "drop"] = Field(default="hold", description="Wait until the end, or do not send.")

    @field_validator("tz")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name != "user" and zone_of(name) is None:
            raise ValueError('must be "user" or the IANA name of a time zone, such as Europe/Oslo')
        return name

    @model_validator(mode="after")
    def _has_a_day(self) -> "QuietHours":
        if self.start == self.end:
            raise ValueError("start and end are the same, so the night would never end")
        return self

    def told(self, person_zone: str | None) -> str:
        """The night in words, by the clock that `end_of_night` goes by."""
        return f"{self.start} to {self.end}, {self._zone(person_zone).key}"

    def _zone(self, person_zone: str | None) -> ZoneInfo:
        return zone_of(person_zone if self.tz == "user" else self.tz) or ZoneInfo("UTC")

    def end_of_night(self, now: int, person_zone: str | None) -> int | None:
        """When the night ends that `now` lies in, or None when it lies in none.

        Args:
            now: milliseconds since 1970.
            person_zone: IANA name; an unknown one, or None, is taken for UTC.

        A time of day that a clock change skips or repeats counts at its first occurrence.
        """
        zone = self._zone(person_zone)
        local = instant(now).astimezone(zone)
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        for evening in (local.date() - timedelta(days=1), local.date()):
            morning = evening + timedelta(days=1) if end <= start else evening
            begins, ends = _at(evening, start, zone), _at(morning, end, zone)
            if begins <= now < ends:
                return ends
        return None


def zone_of(name: str | None) -> ZoneInfo | None:
    """The time zone of this name; None when there is none. Browsers send odd ones, such as `GMT+0000`."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; a path; a folder
        return None


def _at(day: date, clock: time, zone: ZoneInfo) -> int:
    return millis(datetime.combine(day, clock, tzinfo=zone).astimezone(ZoneInfo("UTC")))
