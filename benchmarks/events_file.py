"""The file that every benchmark reads: six hours in a shop, generated, always the same for the same seed.

200,000 lines by 10,000 people, about 300 bytes each, in order of receipt: 2% were received up to 30 seconds after they
happened, so out of order, and 1% are exact repeats. People come in visits, a few dozen seconds between two clicks, and
every visit is about something: looking around, buying or nearly so, a demo and its price, a forgotten password.
"""

import itertools
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tidings.wire import events
from tidings.wire.events import Event, instant, millis

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOURS = 6
SECONDS = 1000
HOUR = 3600 * SECONDS
UNTIL = millis(START) + (HOURS + 1) * HOUR
"""When the last open cart and the last session have long been decided, in milliseconds."""
DATA = Path(__file__).parent / "data"


class Click(msgspec.Struct, frozen=True):
    """What somebody does in a visit: a track call of this name, or with `page` a page call."""

    name: str
    properties: dict[str, object] = {}
    page: bool = False


def ensure(count: int = 200_000, people: int = 10_000) -> Path:
    """The file, written if it is not there yet."""
    path = DATA / f"visits-{count}-{people}.jsonl"
    if not path.exists():
        write(path, count, people)
    return path


def write(path: Path, count: int = 200_000, people: int = 10_000, seed: int = 7) -> None:
    """Write the file, one event a line, in order of receipt."""
    rng = random.Random(seed)
    clicks = _clicks(rng, [f"user-{one}" for one in range(people)], millis(START), HOURS * HOUR)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(b"\n".join(_received(rng, itertools.islice(clicks, count - count // 100))) + b"\n")
    unfinished.rename(path)


def day_of(people: list[str], each: int, number: int) -> list[bytes]:
    """Another day in the shop, as lines: so many events of each of these people on average."""
    rng = random.Random(number)
    clicks = _clicks(rng, people, millis(START) + number * 24 * HOUR, 24 * HOUR)
    return _received(rng, itertools.islice(clicks, each * len(people)))


def _received(rng: random.Random, clicks: Iterable[tuple[str, int, Click]]) -> list[bytes]:
    """Lines in order of receipt: 2% late, and 1% more that come twice."""
    lines: list[tuple[int, int, bytes]] = []
    for number, (person, happened, click) in enumerate(clicks):
        received = happened + (rng.randint(1, 30 * SECONDS) if rng.random() < 0.02 else 0)
        lines.append((received, number, events.encode(_event(rng, person, happened, received, click))))
    for received, number, line in rng.sample(lines, len(lines) // 99):
        lines.append((received + rng.randint(0, 5 * SECONDS), number, line))
    return [line for _, _, line in sorted(lines)]


def _clicks(rng: random.Random, people: list[str], start: int, span: int) -> Iterator[tuple[str, int, Click]]:
    """(person, milliseconds since 1970, what they do), visit by visit, without end; visits take up to 12 minutes."""
    for person in itertools.cycle(people):
        at = start + rng.randrange(span - 12 * 60 * SECONDS)
        for click in rng.choices(_VISITS, _WEIGHTS)[0](rng):
            yield person, at, click
            at += rng.randint(1, 50 * SECONDS)


def _look_around(rng: random.Random) -> list[Click]:
    shelf = [_product(rng) for _ in range(8)]
    seen = [Click("Product Viewed", rng.choice(shelf)) for _ in range(min(1 + int(rng.expovariate(1 / 4.5)), 20))]
    return [Click("Home", page=True), Click("Products Searched", {"query": "shoes"}), *seen]


def _buy_or_nearly(rng: random.Random) -> list[Click]:
    cart = {"cart_id": f"c{rng.randrange(100_000)}"}
    looked = [Click("Product Viewed", _product(rng)) for _ in range(rng.randint(1, 6))]
    added = [Click("Product Added", {**cart, **_product(rng)}) for _ in range(rng.randint(1, 3))]
    ordered = [Click("Order Completed", {**cart, "order_id": f"o{rng.randrange(100_000)}", "total": 129.5})]
    return [*looked, *added, *(ordered if rng.random() < 0.6 else [])]


def _compare_prices(rng: random.Random) -> list[Click]:
    prices = [Click("Pricing", page=True) for _ in range(rng.randint(0, 3))]
    return [Click("Home", page=True), Click("Demo Viewed", {"demo_id": "tour"}), *prices, Click("Blog", page=True)]


def _forget_the_password(rng: random.Random) -> list[Click]:
    failed = [Click("Login Failed", {"reason": "password"}) for _ in range(rng.randint(1, 8))]
    return [Click("Sign in", page=True), *failed, Click("Signed In", {"method": "email"})]


def _read(rng: random.Random) -> list[Click]:
    return [Click(rng.choice(["Home", "About", "Blog", "Pricing"]), page=True) for _ in range(rng.randint(2, 9))]


_VISITS: list[Callable[[random.Random], list[Click]]] = [
    _look_around,
    _buy_or_nearly,
    _compare_prices,
    _forget_the_password,
    _read,
]
_WEIGHTS = [45, 25, 8, 7, 15]


def _product(rng: random.Random) -> dict[str, object]:
    number = rng.randrange(500)
    return {"product_id": f"p{number}", "name": f"Shoe number {number}", "price": 20 + number / 10}


def _event(rng: random.Random, person: str, happened: int, received: int, click: Click) -> Event:
    path = f"/{click.name.lower().replace(' ', '-')}"
    return Event(
        message_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        type="page" if click.page else "track",
        event=None if click.page else click.name,
        name=click.name if click.page else None,
        user_id=person,
        timestamp=instant(happened),
        received_at=instant(received),
        properties=msgspec.Raw(msgspec.json.encode(click.properties)),
        context=msgspec.Raw(msgspec.json.encode({"page": {"path": path}, "locale": "en-GB"})),
    )
