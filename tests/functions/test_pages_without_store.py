"""The store goes away at any one call of a page: nothing is claimed that was not done, and the next try does it."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from msgspec.structs import replace

from functions.engage import Engage
from tests.functions.choosing import link as preferences_link
from tests.functions.leaving import ONE_CLICK
from tests.functions.leaving import link as unsubscribe_link
from tests.functions.mail_room import MailRoom, ago, posted
from tests.functions.test_confirmation import link as confirmation_link
from tests.sends import SETTINGS
from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import StoreError
from tidings.records.store import ConsentRecord, ProfileUpdate, Store

CLAIMS = ("Done", "Saved", "no more marketing email", "Thank you", "Erased.", "is erased", "look into your mailbox")

Form = dict[str, Any]
REQUESTS: dict[str, tuple[Callable[[MailRoom], str], Form]] = {
    "one click": (unsubscribe_link, ONE_CLICK),
    "leave all": (unsubscribe_link, {"choice": "all"}),
    "stop all": (preferences_link, {"choice": "none"}),
    "switch off, on a page of last week": (preferences_link, {"choice": "save", "was": ["on:offers", "on:tracking"]}),
    "ask for a copy": (preferences_link, {"choice": "export"}),
    "confirm": (lambda room: confirmation_link(room, "subscribe"), {"choice": "confirm"}),
    "copy": (lambda room: confirmation_link(room, "export"), {"choice": "confirm"}),
    "erase": (lambda room: confirmation_link(room, "erase"), {"choice": "confirm"}),
}


class Failing:
    """The store, until so many calls were made; the next one fails, before it has done anything or after it has."""

    def __init__(self, store: Store, calls: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, calls, after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def through(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            fails, self.failed = self._left == -1, self.failed or self._left == -1
            if not fails or self._after:
                answer = call(*arguments, **named)
            if fails:
                raise StoreError("away")
            return answer

        return through


def known() -> Store:
    """A store that knows Ada, who agreed to everything and has yet to confirm the newsletter."""
    store = SqliteStore(":memory:")
    store.update_profiles([ProfileUpdate(person="u:ada", at=ago(days=30), traits={"email": "ada@example.com"})])
    posted(store, SETTINGS.secret, "u:ada", "1" * 32)
    yes = ConsentRecord(
        record_id="1", person="u:ada", category="marketing", action="given", at=ago(hours=1), source="import"
    )
    store.record_consent([yes, replace(yes, record_id="2", category="newsletter")])
    return store


def post(room: MailRoom, store: Any, path: str, form: Form) -> tuple[int, str]:
    """Press a button; returns the status and the page."""
    with flask.Flask("engage").test_request_context(path, method="POST", data=form):
        answer = Engage(room.settings, store, room.publisher)(flask.request)
    return answer.status_code, answer.get_data(as_text=True)


def outcome(store: Store) -> Any:
    """What is so in the end."""
    records = sorted((one.category, one.action, one.source) for one in store.consent("u:ada"))
    return records, store.profile("u:ada") is None, bool(store.receipts())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("what", REQUESTS)
def test_nothing_is_claimed_that_was_not_done(room: MailRoom, what: str, after: bool) -> None:
    where, form = REQUESTS[what]
    path, undisturbed = where(room), known()
    expected, _ = post(room, undisturbed, path, form)
    assert expected in (200, 409)
    failures = 0
    while True:
        store = known()
        failing = Failing(store, failures, after=after)
        status, page = post(room, failing, path, form)
        if not failing.failed:
            break
        failures += 1
        assert status == 503
        assert [one for one in CLAIMS if one in page] == []
        if what == "copy" and after and store.tallies([f"confirmed:{'1' * 32}"])[0]:
            continue  # the one call at which a copy is lost: another one can be asked for
        assert post(room, store, path, form)[0] == expected
        assert outcome(store) == outcome(undisturbed)
    assert failures > 3
