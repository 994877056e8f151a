"""Durations as people write them: `30s`, `15m`, `1h`, `1h30m`, `7d`. Inside the engine: whole milliseconds."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PATTERN = r"^(\d{1,6}[smhd])+$"
LONGEST = 400 * _UNITS["d"]
"""As far back as anything is remembered."""


def parse(text: object) -> int:
    """`15m` -> 900000.

    Raises:
        ValueError: not a duration, zero, or longer than 400 days.
    """
    if not isinstance(text, str) or not re.match(_PATTERN, text):
        raise ValueError('must be a duration such as "30s", "15m", "1h30m" or "7d"')
    total = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))
    if not 0 < total <= LONGEST:
        raise ValueError("must be longer than nothing and at most 400 days")
    return total


def text(duration: int) -> str:
    """900000 -> `15m`: the inverse of `parse`, in the fewest words. What is left below a second is told in `ms`."""
    said = ""
    for unit, size in reversed(_UNITS.items()):
        number, duration = divmod(duration, size)
        said += f"{number}{unit}" if number else ""
    return f"{said}{duration}ms" if duration or not said else said


Duration = Annotated[
    int,
    BeforeValidator(parse),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["15m", "1h", "7d"]}),
    Field(description='A length of time: "30s", "15m", "1h30m", "7d".'),
]
"""A pydantic field that reads `15m` and holds milliseconds."""
