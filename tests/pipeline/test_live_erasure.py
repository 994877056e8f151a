"""An erasure ends what was on its way when it was asked for: a pipeline may have been down for an hour."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.people import an_event
from tests.pipeline.live import Live
from tests.support import eventually
from tidings.adapters.pubsub_server import PubSubServer
from tidings.deciding import erasure
from tidings.privacy.erasure import erase
from tidings.settings import Settings

SETTINGS = Settings(secret="a secret of sixteen characters", events_topic="events")
NOW = datetime.now(UTC)

Visit = Callable[[str, int], None]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv("TIDINGS_SECRET", SETTINGS.secret)
    with PubSubServer(tmp_path / "pubsub.db") as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        live = Live(tmp_path, 1.0)
        yield live
        live.store.close()


@pytest.fixture
def visit(live: Live) -> Visit:
    """Somebody comes by, from a browser that we know, and agrees to mail; received so many seconds from now."""

    def visit(name: str, seconds: int) -> None:
        when, traits = NOW + timedelta(seconds=seconds), {"first_name": name.title()}
        live.publish(
            an_event("Home", when, type="page", user_id=None, anonymous_id=f"of-{name}"),
            an_event("", when, type="identify", user_id=name, anonymous_id=f"of-{name}", traits=traits),
            an_event("Consent Given", when, user_id=name),
        )

    return visit


def forgotten(live: Live, name: str) -> bool:
    """Whether nothing is kept of them or of their browser."""
    ids = f"u:{name}", f"a:of-{name}"
    kept = [live.store.profile(one) or live.store.consent(one) or live.store.activity(one) for one in ids]
    return not any(kept)


def test_a_backlog_brings_nobody_back_who_was_erased_meanwhile(live: Live, visit: Visit) -> None:
    visit("ann", -600)
    live.publish_raw(erasure.message("u:ann", NOW), erasure.message("a:of-ann", NOW))
    visit("bob", -300)
    with live.pipeline():
        eventually(lambda: len(live.store.activity("u:bob")) >= 2)
    assert forgotten(live, "ann")
    assert live.store.profile("u:bob")


def test_what_is_delivered_again_after_the_erasure_brings_nobody_back_either(live: Live, visit: Visit) -> None:
    """Days later it may be; who has come back in the meantime is somebody new, and nothing else."""
    with live.pipeline():
        visit("ann", -600)
        visit("cy", -600)
        eventually(lambda: all(live.store.joined_to(who) for who in ("u:ann", "u:cy")))
        for who in ("u:ann", "u:cy"):
            erase(live.store, live.publisher, SETTINGS, who, NOW, "operator")
        visit("cy", 1)
        eventually(lambda: live.store.consent("u:cy"))
        visit("ann", -600)
        visit("cy", -500)
        visit("bob", 2)
        eventually(lambda: len(live.store.activity("u:bob")) >= 2)
    assert forgotten(live, "ann")
    assert {one.at for one in live.store.consent("u:cy")} == {NOW + timedelta(seconds=1)}
    profile = live.store.profile("u:cy")
    assert profile is not None
    assert profile.first_seen == NOW + timedelta(seconds=1)
