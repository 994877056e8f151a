"""A made-up week in the demonstration shop, for whoever has no events yet: `python -m benchmarks.example_week`.

Writes `docs/example-week.jsonl.gz`, always the same bytes: 500 people who look around, leave carts, come back and
order, watch a demo, read prices. Most come anonymously first, and say who they are later; most agree to be written to.
"""

import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tidings.wire import events
from tidings.wire.events import Event

FILE = Path(__file__).parent.parent / "docs" / "example-week.jsonl.gz"
START = datetime(2026, 3, 2, tzinfo=UTC)
PEOPLE = 500

_NAMES = ["Ada", "Bo", "Cem", "Dee", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lea", "Mia", "Noor", "Ola"]
_PRODUCTS = {
    "mug": ("Harbour Mug", 24),
    "lamp": ("Dusk Lamp", 89),
    "tray": ("Oak Tray", 42),
    "clock": ("Slow Clock", 65),
}
_BY_HOUR = [1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 9, 9, 11, 10, 8, 8, 9, 11, 13, 15, 16, 14, 8, 3]
"""How busy each hour of the day is."""


class Visitor:
    """One person: everything they do in the week, in order."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self._rng = rng
        self._user, self._anonymous = f"u{1000 + number}", f"anon-{number:04}"
        self._name = rng.choice(_NAMES)
        self._known = False
        self._carts = 0
        self._count = 0

    def week(self) -> Iterator[Event]:
        """One visit to five."""
        for _ in range(self._rng.choices([1, 2, 3, 5], [5, 3, 2, 1])[0]):
            day, [hour] = self._rng.randrange(7), self._rng.choices(range(24), _BY_HOUR)
            at = START + timedelta(days=day, hours=hour, seconds=self._rng.randrange(3600))
            yield from self._visit(at)

    def _visit(self, at: datetime) -> Iterator[Event]:
        yield self._event(at, "page", name="Home")
        kind = self._rng.choices(["look", "buy", "compare", "login"], [4, 5, 2, 1])[0]
        if kind == "compare":
            yield from self._sign_up(at)
            yield self._event(at + timedelta(minutes=2), "track", event="Demo Attended")
            for page in range(self._rng.randint(1, 3)):
                yield self._event(at + timedelta(minutes=4 + 3 * page), "page", name="Pricing")
            return
        if kind == "login":
            for tried in range(self._rng.randint(2, 6)):
                yield self._event(at + timedelta(seconds=25 * (tried + 1)), "track", event="Login Failed")
            return
        thing = self._rng.choice([*_PRODUCTS])
        for look in range(self._rng.randint(1, 4)):
            at += timedelta(seconds=self._rng.randint(20, 200))
            seen = thing if look % 2 == 0 else self._rng.choice([*_PRODUCTS])
            yield self._event(at, "track", event="Product Viewed", properties=self._product(seen))
        if kind == "buy":
            yield from self._cart(at, thing)

    def _cart(self, at: datetime, thing: str) -> Iterator[Event]:
        self._carts += 1
        cart = {"cart_id": f"cart-{self._user}-{self._carts}", "cart_url": "https://shop.example/cart"}
        yield from self._sign_up(at + timedelta(seconds=15))
        at += timedelta(seconds=40)
        yield self._event(
            at, "track", event="Product Added", properties={**cart, **self._product(thing), "quantity": 1}
        )
        if self._rng.random() < 0.5:
            at += timedelta(minutes=self._rng.choice([2, 3, 5, 9, 12, 20, 26, 90, 60 * 20, 60 * 44]))
            yield self._event(at - timedelta(minutes=1), "track", event="Checkout Started", properties=cart)
            order = {**cart, "order_id": f"order-{self._user}-{self._carts}", "total": _PRODUCTS[thing][1]}
            yield self._event(at, "track", event="Order Completed", properties=order)

    def _sign_up(self, at: datetime) -> Iterator[Event]:
        if self._known:
            return
        self._known = True
        email = f"{self._name.lower()}.{self._user}@example.com"
        yield self._event(at, "identify", traits={"email": email, "first_name": self._name})
        if self._rng.random() < 0.7:
            words = {"category": "marketing", "words": "Write to me about things I looked at."}
            yield self._event(at + timedelta(seconds=1), "track", event="Consent Given", properties=words)
        yield self._event(at + timedelta(seconds=2), "track", event="Signed Up")

    def _product(self, thing: str) -> dict[str, Any]:
        name, price = _PRODUCTS[thing]
        url = f"https://shop.example/things/{thing}"
        return {"product_id": thing, "name": name, "price": price, "currency": "EUR", "category": "home", "url": url}

    def _event(self, at: datetime, kind: Any, **fields: Any) -> Event:
        self._count += 1
        for name in ("properties", "traits"):
            if name in fields:
                fields[name] = msgspec.Raw(msgspec.json.encode(fields[name]))
        return Event(
            message_id=f"{self._anonymous}-{self._count}",
            type=kind,
            user_id=self._user if self._known else None,
            anonymous_id=self._anonymous,
            timestamp=at,
            received_at=at + timedelta(milliseconds=self._rng.randint(40, 900)),
            **fields,
        )


def write(path: Path = FILE) -> int:
    """Write it; returns how many events there are."""
    rng = random.Random(2026)
    everything = [event for number in range(PEOPLE) for event in Visitor(rng, number).week()]
    everything.sort(key=events.receipt)
    with path.open("wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed:
        packed.writelines(events.encode(one) + b"\n" for one in everything)
    return len(everything)


if __name__ == "__main__":
    print(f"{write():,} events")
