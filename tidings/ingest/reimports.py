"""An address whose owner was erased must not come back in plain text, however often somebody imports it.

Only a digest of it is left, in the suppression list. So of every address that an `identify` brings, it is asked whether
its digest stands there as erased; if so, the address is replaced wherever the event says it, before anything is written
or decided. The person is then somebody new, with a marker in the place of an address.

Two people may share a mailbox. Who was known by the address before, and was not erased with it, has it in their own
profile and keeps it: what one of them asks for does not take from the other. Nobody is mailed there all the same.

What is not looked at: addresses that stand only in the properties of other events, and ids. Who makes a user id of an
address makes it part of every record that the id names.
"""

import json
import re
from collections.abc import Callable

import msgspec

from tidings.permission.consent import address_digest, erased_marker
from tidings.records.store import ERASED, Store
from tidings.wire.events import Event

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
"""A text in JSON, or the name of a field."""


class Reimports:
    """Looks at events, and remembers what the store has answered: to be made anew for each bundle.

    Args:
        store: has the suppression list.
        secret: digests addresses, see `consent.address_digest`.
        attempt: wraps a call of the store, to try again while it is away.
    """

    def __init__(
        self,
        store: Store,
        secret: str,
        attempt: Callable[[Callable[..., bool]], Callable[..., bool]] = lambda call: call,
    ) -> None:
        self._store = store
        self._secret = secret
        self._ask = attempt(self._is_erased)
        self._ask_of = attempt(self._has)
        self._known: dict[str, bool] = {}

    def cleaned(self, event: Event) -> Event:
        """The event as it is; or, when its address was erased, without it.

        Raises:
            StoreError: nobody can tell now.
        """
        if event.type != "identify":
            return event
        email = event.read("traits").get("email")
        if not isinstance(email, str) or "@" not in email:
            return event
        digest = address_digest(email, self._secret)
        if digest not in self._known:
            self._known[digest] = self._ask(digest)
        if not self._known[digest] or self._ask_of(event.person, digest):
            return event
        return self._without(event, email, digest)

    def _is_erased(self, digest: str) -> bool:
        found = self._store.suppression(digest)
        return found is not None and found.reason == ERASED

    def _has(self, person: str, digest: str) -> bool:
        """Whether somebody is known by the address, and so has not been erased with it."""
        profile = self._store.profile(person)
        email = profile.traits.get("email") if profile else None
        return isinstance(email, str) and "@" in email and address_digest(email, self._secret) == digest

    def _without(self, event: Event, email: str, digest: str) -> Event:
        """Text by text, so that everything else stays as it was written, to the byte."""
        plain = email.strip().casefold()
        marker = msgspec.json.encode(erased_marker(digest))

        def replaced(found: re.Match[bytes]) -> bytes:
            text = json.loads(found[0])  # which takes half a surrogate pair, too
            if plain in text.casefold() or ("@" in text and address_digest(text, self._secret) == digest):
                return marker
            return found[0]

        objects = {
            name: msgspec.Raw(_STRING.sub(replaced, bytes(getattr(event, name))))
            for name in ("properties", "traits", "context", "integrations")
        }
        return msgspec.structs.replace(event, **objects)
