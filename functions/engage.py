"""What recipients reach from a mail: each path has its own file, and this is the table of them."""

from collections.abc import Callable
from datetime import UTC, datetime

import flask

from functions.confirmation import ConfirmationPages, rights
from functions.preference_centre import PreferenceCentre
from functions.tracking import TrackingPages
from functions.unsubscribe import UnsubscribePages
from tidings.adapters.pubsub import Publisher
from tidings.records.store import Store
from tidings.settings import Settings


class Engage:
    """Hands a request to the page of its path; any number of threads may call it.

    Args:
        settings: who sends, and the secret that signed the links.
        store: consent, feedback and the ledger.
        publisher: takes the events.
        clock: the time; only the shell reads one.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        shared = (settings, store, publisher, clock)
        self._unsubscribe = UnsubscribePages(*shared)
        tracking = TrackingPages(*shared)
        self._pages: dict[str, Callable[[flask.Request], flask.Response]] = {
            "u": self._unsubscribe,
            "p": PreferenceCentre(*shared),
            "o": tracking,
            "l": tracking,
            "c": ConfirmationPages(*shared, rights(store, publisher, settings)),
        }

    def __call__(self, request: flask.Request) -> flask.Response:
        """Answer one request, whatever it is."""
        first = request.path.lstrip("/").partition("/")[0]
        return self._pages.get(first, self._unsubscribe)(request)
