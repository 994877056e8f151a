"""Google's emulators, started once for the whole run and only when a test asks for them."""

from collections.abc import Iterator

import pytest

from tests.support import require
from tidings.local.emulators import available, google_firestore_emulator, google_pubsub_emulator


@pytest.fixture(scope="session")
def pubsub_emulator() -> Iterator[str]:
    """The `host:port` of Google's Pub/Sub emulator. Shared: use topic names of your own."""
    require(available("pubsub"))
    with google_pubsub_emulator() as address:
        yield address


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """The `host:port` of Google's Firestore emulator. Shared: use a project or database of your own."""
    require(available("firestore"))
    with google_firestore_emulator() as address:
        yield address
