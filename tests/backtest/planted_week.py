"""A week in a shop whose truth is known, because it was planted: who left a cart, and who bought anyway."""

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.people import an_event
from tidings.deciding.rulebook import compile_rule

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 7
WITHIN = "2d"
"""How long an order counts in the backtests of this week."""

FATES = {
    # name: (held out, minutes from cart to order or None, day of the cart is at most)
    "bought in time": (None, 5, DAYS - 1),
    "bought between 15 and 30 minutes": (False, 20, DAYS - 3),
    "mailed, bought anyway": (False, 180, DAYS - 3),
    "mailed, bought after the window": (False, 3 * 24 * 60, DAYS - 4),
    "mailed, never bought": (False, None, DAYS - 3),
    "held out, bought anyway": (True, 240, DAYS - 3),
    "held out, never bought": (True, None, DAYS - 3),
    "mailed, not over yet": (False, None, None),
}
"""What may become of a cart; "not over yet" were left on the last day."""


class Week:
    """Events, and when each cart of each fate was left behind.

    Args:
        rule: the cart rule, whose holdout says which people it leaves out.
        counts: how many carts of each fate.
        seed: of everything else.
    """

    def __init__(self, rule, counts, seed=1):
        self._rng = random.Random(seed)
        self._compiled = compile_rule(rule)
        self._ids = {held_out: self._people(held_out) for held_out in (True, False)}
        self.carts = {}
        self.events = []
        for fate, count in counts.items():
            self.carts[fate] = [self._cart(*FATES[fate]) for _ in range(count)]
        self._noise()
        end = START + timedelta(days=DAYS)
        self.events.append(an_event("Home", end - timedelta(milliseconds=1), user_id="last", message_id="last"))
        self.events += self._rng.sample(self.events, len(self.events) // 10)
        self._rng.shuffle(self.events)

    def hours(self, *fates, wait):
        """How many carts of these fates fall due in each hour."""
        due = [left + wait for fate in fates for left in self.carts.get(fate, ())]
        return Counter(at.replace(minute=0, second=0, microsecond=0) for at in due)

    def _people(self, held_out):
        numbers = itertools.count()
        return (f"u{one}" for one in numbers if self._compiled.holds_out(f"u:u{one}") == held_out)

    def _cart(self, held_out, order_after, last_day):
        """One person, one cart; perhaps an order. Returns when the cart was left."""
        person = next(self._ids[bool(held_out)])
        if last_day is None:
            day, minutes = DAYS - 1, self._rng.randrange(12 * 60)
        else:
            day, minutes = self._rng.randrange(last_day), self._rng.randrange(24 * 60)
        left = START + timedelta(days=day, minutes=minutes, seconds=self._rng.randrange(60))
        cart = {"cart_id": f"cart-{person}", "name": "Lamp", "price": 89}
        email = {"email": f"{person}@example.com", "first_name": "Ann"}
        self._add("", left - timedelta(minutes=9), person, type="identify", traits=email)
        self._add("Product Viewed", left - timedelta(minutes=8), person, properties={"product_id": "lamp"})
        self._add("Product Added", left, person, properties=cart)
        if order_after is not None:
            self._add("Order Completed", left + timedelta(minutes=order_after), person, properties=cart)
        return left

    def _noise(self):
        """Others look around, and order what they never left."""
        for number in range(40):
            at = START + timedelta(minutes=self._rng.randrange((DAYS - 1) * 24 * 60))
            self._add(self._rng.choice(["Product Viewed", "Order Completed"]), at, f"other-{number}")

    def _add(self, name, at, person, **fields):
        received = at + timedelta(seconds=self._rng.choice([0, 0, 0, 3]))
        self.events.append(an_event(name, at, received, user_id=person, **fields))
