"""How a report is said to somebody who does not know the code: numbers, times, and the reasons why nothing went."""

from datetime import datetime
from zoneinfo import ZoneInfo

ENDINGS = {
    "send": "would have gone",
    "shadow": "only noted: the rule is in shadow",
    "missing_address": "no address",
    "no_consent": "never agreed to marketing mail",
    "opted_out": "has unsubscribed",
    "suppressed_address": "the address takes no mail",
    "frequency_capped": "enough mail already",
    "quiet_hours_missed": "fell into quiet hours",
    "exited": "no longer needed: an exit came first, or they left the audience",
    "duplicate": "decided before, under another id",
    "holdout": "kept without mail, to compare",
    "rule_paused": "the rule was paused",
    "erased": "the person was erased",
    "render_failed": "the mail could not be made",
    "waited_too_long": "its turn did not come in time",
}
"""Outcomes and reasons, in a few words each."""

CHANGES = {
    "same": "the same",
    "moved": "moved in time",
    "changed": "another ending",
    "added": "added",
    "removed": "removed",
}
"""What can become of a decision in another version."""


def ending(name: str) -> str:
    """The words for an outcome or a reason; one that is not known is told as it is."""
    return ENDINGS.get(name, name.replace("_", " "))


def number(count: float) -> str:
    """With separators of thousands."""
    return f"{count:,}"


def share(part: int, whole: int) -> str:
    """In percent; a few of many are not told as nobody, nor nearly all as everybody."""
    percent = round(part * 100 / whole) if whole else 0
    if part and not percent:
        return "<1%"
    return ">99%" if part < whole and percent == 100 else f"{percent}%"


def times(count: int, one: str, many: str = "") -> str:
    """`1 mail`, `1,200 mails`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """A date and a time of day; with the offset where the clocks show that time twice."""
    local = at.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local.day} {local:%b %Y, %H:%M}" + (f" ({local:%z})" if twice else "")


def duration(seconds: float) -> str:
    """`1 hour 30 minutes`, without a sign, in its two largest units."""
    left, said = round(abs(seconds)), []
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            said.append(times(count, unit))
    return " ".join(said[:2]) or "less than a second"
