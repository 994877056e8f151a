"""Unmodified SDKs of Segment and RudderStack, over real HTTP and from a real browser, with only their host changed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import segment.analytics as segment

from tests.functions import sdks
from tests.functions.front_door import FrontDoor, served
from tests.local import browser
from tests.local.browser import Browser
from tests.support import eventually, require

KEY = "key"


@pytest.fixture
def door() -> FrontDoor:
    """A function instance of its own for each test."""
    return FrontDoor()


@pytest.fixture
def collect(door: FrontDoor) -> Iterator[str]:
    """The URL of that instance."""
    with served(door.app) as url:
        yield url


@pytest.fixture(scope="session")
def packages() -> None:
    """The SDKs from npm."""
    require(sdks.missing())


@pytest.fixture(scope="module")
def shop(packages: None) -> Iterator[str]:
    """The URL of pages that use the SDKs, on another origin than the function."""
    with sdks.shop() as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    require(browser.missing())
    with Browser() as tab:
        yield tab


def labels(door: FrontDoor) -> list[tuple[str, str]]:
    """Type and label of what was published, in alphabetical order: SDKs promise no other."""
    return sorted((event.type, event.label) for event in door.events)


def arrived(door: FrontDoor, count: int) -> None:
    """Wait until so many events are there, and see that nothing was set aside."""
    eventually(lambda: len(door.events) >= count)
    assert len(door.events) == count
    assert door.dead_letters == []


# On a server


@pytest.mark.parametrize("packed", [True, False])
def test_segments_sdk_for_python(door: FrontDoor, collect: str, packed: bool) -> None:
    failures: list[Exception] = []
    client = segment.Client(KEY, host=collect, gzip=packed, on_error=lambda error, _: failures.append(error))
    client.identify(7, {"plan": "pro", "score": float("nan")})
    client.track("u1", "Order Completed", {"total": 12.5}, timestamp=datetime(2020, 1, 1, tzinfo=UTC))
    client.page(anonymous_id="a1", name="Pricing")
    client.screen(anonymous_id="a1", name="Start")
    client.group("u1", "g1", {"seats": 5})
    client.alias("a1", "u1")
    client.shutdown()
    assert failures == []
    arrived(door, 6)
    events = {event.type: event for event in door.events}
    assert events["identify"].person == "u:7"
    assert events["identify"].objects["traits"] == {"plan": "pro", "score": None}
    assert events["track"].timestamp == datetime(2020, 1, 1, tzinfo=UTC)
    assert (events["alias"].person, events["alias"].previous_id) == ("u:u1", "a1")
    assert events["page"].objects["context"]["library"]["name"] == "analytics-python"


def test_segments_sdk_for_python_sends_again_what_could_not_be_published(door: FrontDoor, collect: str) -> None:
    door.publisher.failures = 1
    client = segment.Client(KEY, host=collect)
    client.track("u1", "Order Completed")
    client.shutdown()
    arrived(door, 1)
    assert door.publisher.failures == 0


def test_segments_sdk_for_python_splits_what_is_too_much_for_one_request(door: FrontDoor, collect: str) -> None:
    client = segment.Client(KEY, host=collect, upload_size=1000)
    for number in range(40):
        client.track("u1", "Order Completed", {"number": number, "text": "x" * 31_000})
    client.shutdown()
    arrived(door, 40)


def test_segments_sdk_for_node(packages: None, door: FrontDoor, collect: str) -> None:
    sdks.run_in_node("segment_node.cjs", collect, KEY)
    arrived(door, 6)
    events = {event.type: event for event in door.events}
    assert events["track"].timestamp == datetime(2020, 1, 1, tzinfo=UTC)
    assert events["group"].group_id == "g1"
    assert events["identify"].objects["traits"] == {"plan": "pro"}


# In a browser

VISIT = [("group", "group"), ("identify", "identify"), ("page", "Pricing")]
VISIT += [("track", "Product Added"), ("track", "Product Viewed")]


@pytest.mark.parametrize(
    ("strategy", "request_"), [("one by one", "POST /v1/t"), ("batching", "POST /v1/b")], ids=["one by one", "batching"]
)
def test_segments_sdk_for_browsers(
    shop: str, chromium: Browser, door: FrontDoor, collect: str, strategy: str, request_: str
) -> None:
    query = urlencode({"key": KEY, "collect": collect, "utm_campaign": "spring", strategy: "yes"})
    chromium.open(f"{shop}/segment.html?{query}")
    chromium.run("analytics.reset().then(visit)")
    arrived(door, 5)
    assert labels(door) == VISIT
    assert request_ in door.requests
    added = next(event for event in door.events if event.event == "Product Added")
    viewed = next(event for event in door.events if event.event == "Product Viewed")
    assert added.person == "u:u1"
    assert viewed.person == f"a:{added.anonymous_id}"
    assert added.objects["properties"] == {"sku": "tea-1", "name": "Tea \U0001f375, cut: \ufffd"}
    context = added.objects["context"]
    assert context["campaign"] == {"name": "spring"}
    assert context["page"]["url"].startswith(shop)
    assert "Chrome" in context["userAgent"]
    assert context["ip"] == "127.0.0.1"


def test_segments_sdk_for_browsers_sends_again_what_could_not_be_published(
    shop: str, chromium: Browser, door: FrontDoor, collect: str
) -> None:
    chromium.open(f"{shop}/segment.html?{urlencode({'key': KEY, 'collect': collect})}")
    door.publisher.failures = 1
    chromium.run("analytics.track('Product Viewed')")
    arrived(door, 1)
    assert door.publisher.failures == 0


@pytest.mark.parametrize(
    ("transport", "request_"),
    [("fetch", "POST /v1/track"), ("beacon", "POST /beacon/v1/batch")],
    ids=["fetch", "beacon"],
)
def test_rudderstacks_sdk_for_browsers(
    shop: str, chromium: Browser, door: FrontDoor, collect: str, transport: str, request_: str
) -> None:
    chromium.open(f"{shop}/rudder.html?{urlencode({'key': KEY, 'collect': collect, transport: 'yes'})}")
    chromium.run("analytics.reset({entries: {anonymousId: true}})")
    chromium.run("visit()")
    arrived(door, 4)
    assert labels(door) == [item for item in VISIT if item[0] != "group"]
    assert request_ in door.requests
    identify = next(event for event in door.events if event.type == "identify")
    assert identify.person == "u:u1"
    assert identify.objects["context"]["traits"] == {"email": "ada@example.com"}
