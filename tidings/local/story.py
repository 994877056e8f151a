"""A short story through the front door: four visitors, what they do, and which mails must come of it."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tidings.errors import StoreError
from tidings.local.front_door import FrontDoor
from tidings.local.mailbox import Mailbox
from tidings.records.store import LedgerEntry, Store

CONSENT_WORDS = "Write to me about things I looked at and carts I left. One click, and it stops."
SUPPORT = "support@pebble-and-fern.example"
"""Who is behind the role `support` here."""
CART_WAIT_SECONDS = 15 * 60
PATIENCE_SECONDS = 60.0
"""How long the machinery may take on top of what the rules wait for."""
LOOK_SECONDS = 0.2


class Visitor(msgspec.Struct, frozen=True):
    """One of the four. Ids and addresses are new in every run, so that no earlier run counts."""

    name: str
    run: str

    @property
    def user_id(self) -> str:
        """What the site calls them."""
        return f"story-{self.run}-{self.name.lower()}"

    @property
    def person(self) -> str:
        """What the store calls them."""
        return f"u:{self.user_id}"

    @property
    def email(self) -> str:
        """Where they are written to; `.example` is nobody's (RFC 2606)."""
        return f"{self.name.lower()}.{self.run}@visitors.example"


class Expected(msgspec.Struct, frozen=True):
    """How one rule must end for one visitor: `sent`, `suppressed` for a reason, or `no mail` because of `why`."""

    visitor: Visitor
    rule: str
    outcome: str
    why: str = ""


class Found(msgspec.Struct, frozen=True):
    """How it did end. `after` is in seconds since the story began; `why` is the reason, or the mail's subject."""

    expected: Expected
    outcome: str
    why: str
    after: float

    @property
    def is_as_expected(self) -> bool:
        """The reason counts only for what was suppressed; the subject of a mail is its template's affair."""
        same = self.outcome == self.expected.outcome
        return same and (self.outcome != "suppressed" or self.why == self.expected.why)


class Story:
    """Plays the story once, and finds out how it ended.

    Args:
        door: where the events go.
        port: of the shop, on this machine.
        store: where the ledger is.
        mailbox: where the mails arrive.
        time_scale: how many times faster than life the rules run.
    """

    def __init__(self, door: FrontDoor, port: int, store: Store, mailbox: Mailbox, time_scale: float) -> None:
        run = secrets.token_hex(3)
        self.visitors = [Visitor(name, run) for name in ("Ada", "Bo", "Cem", "Dee")]
        self.ada, self.bo, self.cem, self.dee = self.visitors
        self._door = door
        self._port = port
        self._store = store
        self._mailbox = mailbox
        self._wait = CART_WAIT_SECONDS / time_scale
        self._began = time.monotonic()

    @property
    def expected(self) -> list[Expected]:
        """What must come of it."""
        ada, bo, cem = self.ada, self.bo, self.cem
        return [
            Expected(ada, "welcome", "sent"),
            Expected(ada, "product-viewed-three-times", "sent"),
            Expected(ada, "cart-abandoned", "sent"),
            Expected(bo, "welcome", "sent"),
            Expected(bo, "pricing-after-demo", "sent"),
            Expected(bo, "pricing-page-twice", "suppressed", "frequency_capped"),
            Expected(bo, "cart-abandoned", "no mail", "ordered in time"),
            Expected(cem, "welcome", "sent"),
            Expected(self.dee, "login-trouble", "sent"),
            Expected(cem, "cart-abandoned", "suppressed", "no_consent"),
        ]

    @property
    def elapsed(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._began

    def play(self) -> Iterator[str]:
        """Do what the visitors do, and say each thing that was done.

        Raises:
            ClosedDoorError: the front door refuses an event, or does not answer for half a minute.
        """
        self._began = time.monotonic()
        ada, bo, cem = self.ada, self.bo, self.cem
        self._sign_up(ada, consents=True)
        yield "Ada signs up, and agrees to be written to"
        self._sign_up(bo, consents=True)
        yield "Bo does the same"
        self._sign_up(cem, consents=False)
        yield "Cem signs up too, and does not agree"
        for _ in range(3):
            self._send(ada, "track", event="Product Viewed", properties=self._product("mug", "Harbour Mug", 24))
        yield "Ada looks at the Harbour Mug three times"
        self._send(bo, "track", event="Demo Attended")
        for _ in range(2):
            self._send(bo, "page", name="Pricing", properties={"url": f"{self._shop}/pricing"})
        yield "Bo attends a demo, and reads the pricing page twice"
        for _ in range(5):
            self._send(self.dee, "track", event="Login Failed", properties={"reason": "wrong password"})
        yield "Dee fails to log in five times, which is for support to hear of"
        # Bo comes first: when the carts of the others are given up, his would have been as well.
        for visitor in (bo, ada, cem):
            thing = self._product("lamp", "Dusk Lamp", 89)
            self._send(
                visitor, "track", event="Product Added", properties={**thing, **self._cart(visitor), "quantity": 1}
            )
        yield "Bo, Ada and Cem each put a Dusk Lamp in the cart"
        order = {**self._cart(bo), "order_id": f"order-{bo.run}"}
        self._send(bo, "track", event="Order Completed", properties=order)
        yield f"Bo orders. Ada and Cem just leave, and their carts are given up in {self._wait:.0f} s"

    def outcomes(self, check: Callable[[], None]) -> Iterator[Found]:
        """Wait for what comes of it, each as it comes; what is missing at the end is found as `nothing`.

        Args:
            check: called on every look; may raise to end the wait.
        """
        open_ends = [one for one in self.expected if one.outcome != "no mail"]
        deadline = time.monotonic() + self._wait + PATIENCE_SECONDS
        while open_ends and time.monotonic() < deadline:
            check()
            entries = self._entries()
            for expected in list(open_ends):
                entry = entries.get((expected.visitor.person, expected.rule))
                if entry and (found := self._ending(expected, entry)):
                    open_ends.remove(expected)
                    yield found
            time.sleep(LOOK_SECONDS)
        for expected in open_ends:
            yield Found(expected, "nothing", "it did not come in time", self.elapsed)
        yield from self._what_must_not_be()

    def _what_must_not_be(self) -> Iterator[Found]:
        """Mail that was expected not to come, and decisions that nobody expected."""
        entries = self._entries()
        for expected in self.expected:
            entry = entries.pop((expected.visitor.person, expected.rule), None)
            if expected.outcome == "no mail":
                outcome, why = (entry.status, "it must not have been") if entry else ("no mail", expected.why)
                yield Found(expected, outcome, why, self.elapsed)
        for (person, rule), entry in entries.items():
            visitor = next(visitor for visitor in self.visitors if visitor.person == person)
            yield Found(Expected(visitor, rule, "no mail"), entry.status, "nobody expected it", self.elapsed)

    def _ending(self, expected: Expected, entry: LedgerEntry) -> Found | None:
        """How this decision ended, once it has. A mail counts as sent when it is in the inbox, and there once."""
        if entry.status in {"claimed", "handing_over"}:
            return None
        if entry.status != "sent":
            return Found(expected, entry.status, entry.reason or entry.detail, self.elapsed)
        recipient = expected.visitor.email if entry.decision.to == "person" else SUPPORT
        subjects = [
            mail.subject
            for mail in self._mailbox.mails()
            if mail.recipient == recipient and entry.send_id in dict(mail.headers).get("Message-ID", "")
        ]
        outcome = "sent" if len(subjects) == 1 else f"{len(subjects)} times"
        return Found(expected, outcome, subjects[0], self.elapsed) if subjects else None

    def _entries(self) -> dict[tuple[str, str], LedgerEntry]:
        try:
            entries = [entry for visitor in self.visitors for entry in self._store.ledger(visitor.person)]
        except StoreError:  # it may be on its way back; the deadline decides
            return {}
        # Newest first, so that of a rule with several sends the first one stays.
        return {(entry.decision.person, entry.decision.rule_id): entry for entry in entries}

    def _sign_up(self, visitor: Visitor, consents: bool) -> None:
        self._send(visitor, "identify", traits={"email": visitor.email, "first_name": visitor.name})
        if consents:
            words = {"category": "marketing", "words": CONSENT_WORDS}
            self._send(visitor, "track", event="Consent Given", properties=words)
        self._send(visitor, "track", event="Signed Up", properties={"url": f"{self._shop}/"})

    @property
    def _shop(self) -> str:
        return f"http://localhost:{self._port}/shop"

    def _cart(self, visitor: Visitor) -> dict[str, str]:
        return {"cart_id": f"cart-{visitor.run}-{visitor.name.lower()}", "cart_url": f"{self._shop}/cart"}

    def _product(self, product_id: str, name: str, price: int) -> dict[str, Any]:
        return {
            "product_id": product_id,
            "name": name,
            "price": price,
            "currency": "EUR",
            "url": f"{self._shop}/things/{product_id}",
            "image_url": f"{self._shop}/art/{product_id}.svg",
        }

    def _send(self, visitor: Visitor, call: str, **fields: Any) -> None:
        self._door.send(call, {"userId": visitor.user_id, "messageId": f"story-{secrets.token_hex(8)}", **fields})
