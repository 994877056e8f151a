"""A visitor clicks through the shop in a real browser, and the real browser SDK tells the real front door."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.browser import Browser, missing
from tests.local.conftest import FrontDoor
from tests.support import require
from tidings import settings
from tidings.adapters.pubsub import pull
from tidings.local import topology


@pytest.fixture
def visitor() -> Iterator[Browser]:
    require(missing())
    with Browser() as browser:
        yield browser


def arrivals(count: int) -> list[dict[str, Any]]:
    """Wait until the front door has published so many events; fail when they do not come, or when there are more."""
    chosen, events = settings.load(), []
    for _ in range(30):
        messages = pull(chosen.project, topology.events_subscription(chosen), 100, wait=1)
        events += [json.loads(message.data) for message in messages]
        if len(events) >= count:
            break
    assert len(events) == count, [name(event) for event in events]
    return events


def name(event: dict[str, Any]) -> str:
    return " ".join(str(event[field]) for field in ("type", "event", "name") if event.get(field))


def only(events: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The one event of that name."""
    (event,) = [event for event in events if name(event) == wanted]
    return event


def test_a_visitor_who_signs_up_and_leaves_a_cart_is_seen_doing_so(front_door: FrontDoor, visitor: Browser) -> None:
    visitor.open(f"{front_door.address}/shop/")
    visitor.click('a[href="/shop/sign-up"]')
    visitor.wait_for("document.getElementById('consent-words')")
    words = visitor.run("document.getElementById('consent-words').textContent")
    visitor.type("input[name=first_name]", "Ada")
    visitor.type("input[name=email]", "ada@visitors.example")
    visitor.click("input[name=consent]")
    visitor.click("#sign-up button")
    visitor.click('a.quiet[href="/shop/"]')
    visitor.click('a[href="/shop/things/mug"]')
    visitor.click("[data-add=mug]")
    visitor.click('#said a[href="/shop/cart"]')

    events = arrivals(12)
    assert sorted(map(name, events)) == [
        "identify",
        "page Cart",
        "page Home",
        "page Home",
        "page Product",
        "page Sign Up",
        "page Welcome",
        "track Cart Viewed",
        "track Consent Given",
        "track Product Added",
        "track Product Viewed",
        "track Signed Up",
    ]
    assert only(events, "identify")["traits"] == {"first_name": "Ada", "email": "ada@visitors.example"}
    assert only(events, "track Consent Given")["properties"] == {"category": "marketing", "words": words}
    added = only(events, "track Product Added")
    assert added["userId"] == only(events, "identify")["userId"]
    assert (
        added["properties"].items() >= {"product_id": "mug", "name": "Harbour Mug", "price": 24, "quantity": 1}.items()
    )
    assert added["properties"]["cart_id"].startswith("cart_")


def test_without_the_tick_no_consent_is_given(front_door: FrontDoor, visitor: Browser) -> None:
    visitor.open(f"{front_door.address}/shop/sign-up")
    visitor.type("input[name=first_name]", "Cem")
    visitor.type("input[name=email]", "cem@visitors.example")
    visitor.click("#sign-up button")
    assert sorted(map(name, arrivals(4))) == ["identify", "page Sign Up", "page Welcome", "track Signed Up"]


def test_an_order_names_its_cart_and_the_next_cart_is_another(front_door: FrontDoor, visitor: Browser) -> None:
    visitor.open(f"{front_door.address}/shop/things/lamp")
    visitor.click("[data-add=lamp]")
    visitor.click('#said a[href="/shop/cart"]')
    visitor.click('a[href="/shop/checkout"]')
    visitor.click("#order button")
    visitor.wait_for("document.querySelector('h1').textContent === 'Thank you'")
    events = arrivals(9)
    cart_id = only(events, "track Product Added")["properties"]["cart_id"]
    for event in ("track Cart Viewed", "track Checkout Started", "track Order Completed"):
        assert only(events, event)["properties"]["cart_id"] == cart_id

    visitor.open(f"{front_door.address}/shop/things/lamp")
    visitor.click("[data-add=lamp]")
    assert only(arrivals(3), "track Product Added")["properties"]["cart_id"] != cart_id


def test_every_visit_to_a_product_is_a_view_and_adding_it_is_none(front_door: FrontDoor, visitor: Browser) -> None:
    visitor.open(f"{front_door.address}/shop/things/clock")
    visitor.click("[data-add=clock]")
    visitor.click("p.back a")
    visitor.click('a[href="/shop/things/clock"]')
    visitor.wait_for("location.pathname === '/shop/things/clock'")
    visitor.run("history.back()")
    visitor.wait_for("location.pathname === '/shop/'")
    visitor.run("history.forward()")
    visitor.wait_for("location.pathname === '/shop/things/clock'")
    views = [event for event in arrivals(9) if name(event) == "track Product Viewed"]
    assert [view["properties"]["product_id"] for view in views] == ["clock"] * 3


def test_what_the_browser_fetches_and_sends_stays_on_this_machine(front_door: FrontDoor, visitor: Browser) -> None:
    visitor.open(f"{front_door.address}/shop/pricing")
    arrivals(1)
    fetched = "performance.getEntriesByType('resource').map(entry => entry.name)"
    visitor.wait_for(f"{fetched}.includes('{front_door.address}/v1/p')")
    assert [address for address in visitor.run(fetched) if not address.startswith(front_door.address)] == []
    assert visitor.run("window.analytics.VERSION") == "1.84.3"
