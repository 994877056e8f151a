"""An erasure ends what was on its way when it was asked for: a pipeline may have been down for an hour."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.people import an_event
from tests.pipeline.live import Live
from tests.support import eventually
from tidings import erasure
from tidings.adapters.pubsub_server import PubSubServer


def test_a_backlog_brings_nobody_back_who_was_erased_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    with PubSubServer(tmp_path / "pubsub.db") as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        live = Live(tmp_path, 1.0)

        def visit(name: str, seconds: int) -> None:
            when, traits = now + timedelta(seconds=seconds), {"first_name": name.title()}
            live.publish(
                an_event("", when, type="identify", user_id=name, traits=traits),
                an_event("Home", when, type="page", user_id=name),
                an_event("Consent Given", when, user_id=name),
            )

        visit("ann", seconds=-600)
        live.publish_raw(erasure.message("u:ann", now))
        visit("bob", seconds=-300)
        with live.pipeline():
            eventually(lambda: len(live.store.activity("u:bob")) == 3)
        assert live.store.profile("u:ann") is None
        assert live.store.consent("u:ann") == []
        assert live.store.activity("u:ann") == []
        assert live.store.profile("u:bob")
        live.store.close()
