"""The file that every benchmark reads: a morning in a shop, generated, always the same for the same seed.

200,000 events of 10,000 people in 6 hours, about 300 bytes each, 2% out of order by up to 30 seconds, 1% exact
repeats.
"""

import random
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tidings import events
from tidings.events import Event, instant

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOURS = 6
_NAMES = ["Product Viewed", "Page", "Product Added", "Order Completed", "Login Failed", "Signed Up", "Search"]
_WEIGHTS = [45, 25, 10, 4, 4, 1, 11]


def write(path: Path, count: int = 200_000, people: int = 10_000, seed: int = 7) -> None:
    """Write the file, one event a line, in order of arrival."""
    rng = random.Random(seed)
    lines = []
    span = HOURS * 3_600_000
    for number in range(count):
        happened = int(span * number / count)
        received = happened + (rng.randint(1, 30_000) if rng.random() < 0.02 else 0)
        lines.append((received, number, events.encode(_event(rng, people, happened, received))))
    for _ in range(count // 100):
        received, number, line = rng.choice(lines)
        lines.append((received + rng.randint(0, 5_000), number, line))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(line for _, _, line in sorted(lines)) + b"\n")


def _event(rng: random.Random, people: int, happened: int, received: int) -> Event:
    start = events.millis(START)
    name = rng.choices(_NAMES, _WEIGHTS)[0]
    person = rng.randrange(people)
    product = f"p{rng.randrange(6)}"
    properties = {
        "product_id": product,
        "name": "A thing of some length",
        "price": rng.randrange(5, 500),
        "cart_id": f"c{person}",
        "order_id": f"o{number_of(rng)}",
    }
    return Event(
        message_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        type="page" if name == "Page" else "track",
        event=None if name == "Page" else name,
        name=rng.choice(["Pricing", "Home", "About", "Blog"]) if name == "Page" else None,
        user_id=f"user-{person}",
        timestamp=instant(start + happened),
        received_at=instant(start + received),
        properties=msgspec.Raw(msgspec.json.encode(properties)),
    )


def number_of(rng: random.Random) -> int:
    """An order number."""
    return rng.randrange(100_000)
