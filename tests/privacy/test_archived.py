"""Who was erased is found in the archive by digests alone."""

import pytest

from tests.contracts.lives import ANN, BEFORE, BOB, SETTINGS
from tests.contracts.samples import at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.permission.consent import person_digest
from tidings.privacy.archived import forgotten
from tidings.records.store import Receipt, ReceiptKind
from tidings.settings import Settings, SettingsError


def receipt(person: str, seconds: float, kind: ReceiptKind = "erasure") -> Receipt:
    return Receipt(
        receipt_id=f"{person}{seconds}", kind=kind, person_digest=person_digest(person, SETTINGS.secret),
        at=at(seconds), counts={}, requested_by="recipient",
    )  # fmt: skip


def test_everybody_is_found_with_their_latest_erasure_and_nobody_else() -> None:
    """Whoever came back and was erased once more leaves nothing from in between."""
    store = SqliteStore(":memory:")
    for one in (receipt(ANN, 1), receipt(ANN, 5), receipt(BEFORE, 1), receipt(BOB, 9, "export")):
        store.put_receipt(one)
    assert forgotten([BOB, ANN, BEFORE, ANN, "u:eve"], store, SETTINGS) == {at(1): [BEFORE], at(5): [ANN]}
    with pytest.raises(SettingsError):
        forgotten([ANN], store, Settings())
    store.close()
