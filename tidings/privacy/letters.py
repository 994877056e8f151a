"""Dead letters of people who have been forgotten: what comes in after an erasure, or where one could not reach them.

An erasure takes the letters of its person with it. Some remain all the same: those that fail a moment later, and those
of people who erased themselves from a page, which may not read dead letters. This finds them again by digests alone.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from tidings.errors import InvalidEventError
from tidings.permission.consent import address_digest, person_digest
from tidings.privacy.mentions import addresses, forms
from tidings.records.store import ERASED, Store
from tidings.settings import Settings
from tidings.wire import dead_letter
from tidings.wire.topics import Message

_PREFIXES = {"userid": "u:", "user_id": "u:", "person": ""}
_FIELD = re.compile(
    r"(userId|user_id|anonymousId|anonymous_id|previousId|previous_id|person)[\"']?\s*[:=]\s*"
    r"(?:\"([^\"\\]{1,500})\"|'([^'\\]{1,500})'|([^\s\"'\\,;&}\]]{1,500}))",
    re.IGNORECASE,
)


class Forgotten:
    """Whether a dead letter speaks of somebody who was erased after it was written, or has an address that was erased.

    Of an address it does not matter when: it may not come back. The store is asked once about each id and address.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._secret = settings.secret
        self._erased: dict[str, datetime | None] = {}
        self._suppressed: dict[str, bool] = {}

    def __call__(self, message: Message) -> bool:
        """See the class.

        Raises:
            StoreError: the store cannot be asked now.
        """
        written = _written(message)
        texts = [message.data.decode(errors="replace"), *message.attributes.values()]
        said = [form for text in texts for form in forms(text)]
        people = {one for text in said for one in ids(text)}
        return any(self._was_erased(one, written) for one in people) or any(
            self._is_suppressed(one) for text in said for one in set(addresses(text))
        )

    def _was_erased(self, person: str, written: datetime | None) -> bool:
        if person not in self._erased:
            self._erased[person] = self._store.erased_at(person_digest(person, self._secret))
        at = self._erased[person]
        return at is not None and (written is None or written <= at)

    def _is_suppressed(self, address: str) -> bool:
        digest = address_digest(address, self._secret)
        if digest not in self._suppressed:
            found = self._store.suppression(digest)
            self._suppressed[digest] = found is not None and found.reason == ERASED
        return self._suppressed[digest]


def ids(text: str) -> Iterator[str]:
    """The people that the fields of a text name, as `Event.person`."""
    for field, *values in _FIELD.findall(text):
        yield _PREFIXES.get(field.lower(), "a:") + next(value for value in values if value)


def _written(message: Message) -> datetime | None:
    """When the letter was set aside; None when it does not say."""
    try:
        return dead_letter.read(*message).at
    except InvalidEventError:
        return None
