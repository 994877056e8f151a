"""The front door as a visitor finds it, for the tests that knock on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tidings import settings
from tidings.adapters.pubsub_server import PubSubServer
from tidings.local import topology
from tidings.local.folder import DataFolder
from tidings.local.parts import functions
from tidings.local.ports import HOST, free_port
from tidings.local.supervisor import Supervisor

KEY = "door-test-key"


class FrontDoor(NamedTuple):
    """Where it is, the key that opens it, and what it writes."""

    address: str
    key: str
    log: Path


@pytest.fixture(scope="module")
def front_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """The functions and pages on one port, with an embedded Pub/Sub behind them."""
    folder, port = DataFolder(tmp_path_factory.mktemp("door")), free_port()
    with pytest.MonkeyPatch.context() as patch, PubSubServer() as pubsub:
        patch.setenv("PUBSUB_EMULATOR_HOST", pubsub)
        patch.setenv("GOOGLE_CLOUD_PROJECT", "door-test")
        patch.setenv("TIDINGS_WRITE_KEYS", KEY)
        patch.setenv("TIDINGS_SECRET", "a secret of the tests")
        patch.setenv("TIDINGS_STORE", f"sqlite:{folder.store}")
        topology.prepare(settings.load(), f"http://{HOST}:{port}/deliver")
        with Supervisor(folder.logs, pytest.fail) as supervisor:
            supervisor.start(functions(folder, port, 60)).wait_until_ready()
            yield FrontDoor(f"http://localhost:{port}", KEY, folder.logs / "functions.log")
