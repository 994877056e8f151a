"""The same five rules as somebody would write them by hand, for these five alone and for speed.

One pass over the lines in order of receipt, orjson, one slotted object a person, deadlines looked at when the person is
next heard of, and at the end. No rules as data, no evidence, no send ids, no state that outlives the process.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from benchmarks.five_rules.firings import Firing

MINUTE = 60_000
HOUR = 60 * MINUTE
WEEK = 7 * 24 * HOUR
GAP = 30 * MINUTE
_parse = datetime.fromisoformat


class Person:
    """What must be remembered of one person, and the five rules."""

    __slots__ = (*("failed", "latest", "name", "ordered", "ordered_at", "owes_at", "seen", "tour", "viewed", "views"),)

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: set[str] = set()
        self.viewed: dict[str, list[int]] = {}  # R1: product -> views not used up
        self.owes_at = 0  # R2: the deadline of an open cart
        self.ordered_at = 0
        self.tour: list[tuple[int, bool]] = []  # R3: when, and whether it was a demo or a look at the prices
        self.latest = 0  # R4: the last event of the session, its views, whether it has an order
        self.views = 0
        self.ordered = False
        self.failed: list[int] = []  # R5

    def take(self, event: dict[str, Any], fired: list[Firing]) -> None:
        """One event, in order of receipt."""
        message_id = event["messageId"]
        if message_id in self.seen:
            return
        self.seen.add(message_id)
        happened, received = event["timestamp"], event["receivedAt"]
        at = int(_parse(happened).timestamp() * 1000)
        now = at if received == happened else int(_parse(received).timestamp() * 1000)
        self.wait_until(now, fired)
        self.latest = max(self.latest, at)

        name = event.get("event")
        if name == "Product Viewed":
            self.views += 1
            product = event["properties"]["product_id"]
            times = self.viewed.get(product)
            if times is None:
                self.viewed[product] = [at]
            elif due_at := _count(times, at, 3, HOUR):
                fired.append(Firing("same-product", self.name, product, due_at))
        elif name == "Product Added":
            if at > self.ordered_at:
                self.owes_at = max(self.owes_at, at + 15 * MINUTE)
        elif name == "Order Completed":
            self.ordered = True
            self.ordered_at = max(self.ordered_at, at)
            if at + 15 * MINUTE >= self.owes_at:
                self.owes_at = 0
        elif name == "Login Failed":
            if due_at := _count(self.failed, at, 5, 10 * MINUTE):
                fired.append(Firing("failed-logins", self.name, "", due_at))
        elif name == "Demo Viewed" or (name is None and event.get("name") == "Pricing"):
            insort(self.tour, (at, name is not None))
            if due_at := self._end_of_tour():
                fired.append(Firing("demo-then-pricing", self.name, "", due_at))

    def _end_of_tour(self) -> int:
        """When a demo and two looks at the prices were complete, or 0. The list is short: it is read anew each time."""
        demo_at = priced_since = 0
        for place, (at, is_demo) in enumerate(self.tour):
            if is_demo:
                demo_at = at
            elif at - priced_since < WEEK:
                del self.tour[: place + 1]
                return at
            else:
                priced_since = demo_at
        return 0

    def wait_until(self, now: int, fired: list[Firing]) -> None:
        """Time has passed: an open cart may be due, and the session may be over."""
        if self.owes_at and now > self.owes_at:
            fired.append(Firing("cart-abandoned", self.name, "", self.owes_at))
            self.owes_at = 0
        if now >= self.latest + GAP:
            if self.views >= 8 and not self.ordered:
                fired.append(Firing("long-look", self.name, "", self.latest + GAP))
            self.views, self.ordered = 0, False


def run(lines: Iterable[bytes], until: int) -> list[Firing]:
    """All firings, for lines in order of receipt."""
    people: dict[str, Person] = {}
    fired: list[Firing] = []
    for line in lines:
        event = orjson.loads(line)
        name = event["userId"]
        person = people.get(name)
        if person is None:
            person = people[name] = Person(name)
        person.take(event, fired)
    for person in people.values():
        person.wait_until(until, fired)
    return fired


def _count(times: list[int], at: int, wanted: int, within: int) -> int:
    """Add an instant to those not used up yet; the instant that completes `wanted` of them, or 0."""
    if not times or at >= times[-1]:
        times.append(at)
    else:
        insort(times, at)
    while times[0] <= times[-1] - within:
        del times[0]
    if len(times) < wanted:
        return 0
    due_at = times[wanted - 1]
    del times[:wanted]
    return due_at
