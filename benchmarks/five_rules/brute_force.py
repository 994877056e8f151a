"""An independent recount of the five rules, straight from `docs/`: slow, and as obvious as it can be made.

Nothing is carried from one instant to the next. Whenever an event of a person arrives, and whenever a deadline passes,
everything known by then is read again from the beginning.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from benchmarks.five_rules.firings import Firing

MINUTE = 60_000
HOUR = 60 * MINUTE
WEEK = 7 * 24 * HOUR


class Happening(NamedTuple):
    """An event: ordered by when it happened, and by messageId where that is equal."""

    at: int
    message_id: str
    received: int
    name: str
    product: str


def recount(lines: Iterable[bytes], until: int) -> list[Firing]:
    """All firings up to `until`, for lines in order of receipt."""
    people: dict[str, list[Happening]] = defaultdict(list)
    for line in lines:
        event = json.loads(line)
        happening = _happening(event)
        if happening.message_id not in {one.message_id for one in people[event["userId"]]}:
            people[event["userId"]].append(happening)
    fired: list[Firing] = []
    for person, history in people.items():
        products = {one.product for one in history}
        for product in products:
            views = [one for one in history if one.name == "Product Viewed" and one.product == product]
            fired += [Firing("same-product", person, product, at) for at in _on_arrival(views, _full(3, HOUR))]
        failed = [one for one in history if one.name == "Login Failed"]
        fired += [Firing("failed-logins", person, "", at) for at in _on_arrival(failed, _full(5, 10 * MINUTE))]
        carts = [one for one in history if one.name in ("Product Added", "Order Completed")]
        fired += [Firing("cart-abandoned", person, "", at) for at in _abandoned(carts, 15 * MINUTE, until)]
        tour = [one for one in history if one.name in ("Demo Viewed", "Pricing")]
        fired += [Firing("demo-then-pricing", person, "", at) for at in _on_arrival(tour, _demo_then_pricing)]
        fired += [Firing("long-look", person, "", at) for at in _long_looks(history, 30 * MINUTE, until)]
    return sorted(fired)


def _happening(event: dict[str, Any]) -> Happening:
    return Happening(
        at=_millis(event["timestamp"]),
        message_id=event["messageId"],
        received=_millis(event["receivedAt"]),
        name=event.get("event") or event["name"],
        product=event["properties"].get("product_id", ""),
    )


def _millis(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


Windows = Callable[[list[Happening]], list[Happening]]


def _on_arrival(history: list[Happening], completed_by: Windows) -> list[int]:
    """A rule that fires at once: every arrival after which there is one firing more, dated by what it completed."""
    due = []
    for number in range(len(history)):
        before, after = completed_by(sorted(history[:number])), completed_by(sorted(history[: number + 1]))
        if len(after) > len(before):
            due.append(next((one for one in after if one >= history[number]), after[-1]).at)
    return due


def _full(times: int, within: int) -> Windows:
    """The events that complete a window of `times` events in (t - within, t], each event used once."""

    def completed_by(history: list[Happening]) -> list[Happening]:
        completing, unused = [], []
        for one in history:
            unused = [other for other in [*unused, one] if other.at > one.at - within]
            if len(unused) == times:
                completing.append(one)
                unused = []
        return completing

    return completed_by


def _demo_then_pricing(history: list[Happening]) -> list[Happening]:
    """The second looks at the prices that complete a demo and two such looks, all within the week and all used once."""
    completing: list[Happening] = []
    for one in history:
        unused = [other for other in history if other <= one and (not completing or other > completing[-1])]
        demos = [other for other in unused if other.name == "Demo Viewed" and other.at > one.at - WEEK]
        if one.name == "Pricing" and any(
            sum(other.name == "Pricing" and other > demo for other in unused) == 2 for demo in demos
        ):
            completing.append(one)
    return completing


def _abandoned(history: list[Happening], within: int, until: int) -> list[int]:
    """A rule that waits: at every possible deadline, is there an open cart whose deadline this is?"""
    due: list[int] = []
    for deadline in sorted({one.at + within for one in history if one.name == "Product Added"}):
        settled = due[-1] if due else 0
        known = [one for one in history if one.received <= deadline and settled < one.at <= deadline]
        orders = [one for one in known if one.name == "Order Completed"]
        added = [one for one in known if one.name == "Product Added" and not any(order > one for order in orders)]
        if added and max(added).at + within == deadline < until:
            due.append(deadline)
    return due


def _long_looks(history: list[Happening], gap: int, until: int) -> list[int]:
    """Another rule that waits: at every instant at which a session may be over, is one, and what was in it?"""
    due: list[int] = []
    settled = 0
    for end in sorted({one.at + gap for one in history if one.at + gap <= until}):
        known = sorted(one for one in history if one.received < end and settled <= one.at < end)
        if not known or known[-1].at + gap != end:
            continue
        session = [
            one
            for one in known
            if not any(_apart(known, place, gap) for place in range(known.index(one), len(known) - 1))
        ]
        names = [one.name for one in session]
        if names.count("Product Viewed") >= 8 and "Order Completed" not in names:
            due.append(end)
        settled = end
    return due


def _apart(history: list[Happening], place: int, gap: int) -> bool:
    return history[place + 1].at - history[place].at >= gap
