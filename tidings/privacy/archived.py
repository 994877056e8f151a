"""Archived events of people who were erased where the archive is out of reach: from their own page, or by the function.

Nobody keeps a list of the erased. They are found again by the digests of the receipts, as dead letters are.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from tidings.permission.consent import person_digest
from tidings.privacy.export import EVERYTHING
from tidings.records.store import Store
from tidings.settings import Settings


def forgotten(people: Iterable[str], store: Store, settings: Settings) -> dict[datetime, list[str]]:
    """Those of these people who were erased, by when; the earliest erasure first.

    Args:
        people: as `Event.person`.
        store: has the receipts.
        settings: the secret of their digests.

    Raises:
        StoreError: the store cannot be asked now.
        SettingsError: there is no secret.
    """
    erasures = [one for one in store.receipts(limit=EVERYTHING) if one.kind == "erasure"]
    erased_at = {one.person_digest: one.at for one in reversed(erasures)}  # the newest of a person stays
    found: dict[datetime, list[str]] = defaultdict(list)
    for person in sorted(set(people)):
        if at := erased_at.get(person_digest(person, settings.secret)):
            found[at].append(person)
    return dict(sorted(found.items()))
