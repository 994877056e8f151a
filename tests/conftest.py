"""An environment that is the same for everybody, and Google's emulators, started once and only when a test asks."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.support import require
from tidings.local.emulators import available, google_firestore_emulator, google_pubsub_emulator

_SOMEBODYS_OWN = re.compile(
    r"TIDINGS_(?!REQUIRE_ALL$)|GOOGLE_(CLOUD_PROJECT|APPLICATION_CREDENTIALS)$|(PUBSUB|FIRESTORE)_EMULATOR_HOST$"
    r"|(FORCE_COLOR|NO_COLOR|CLICOLOR|CLICOLOR_FORCE|COLUMNS|LINES)$"
)
"""What people set for an installation or a terminal of theirs. A test that wants one of these sets it."""


def pytest_configure() -> None:
    """Before anything is imported that reads them."""
    for name in filter(_SOMEBODYS_OWN.match, list(os.environ)):
        del os.environ[name]


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
