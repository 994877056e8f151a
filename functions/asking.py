"""Mail that asks somebody to confirm something: anybody can bring it about who types an address into a form.

So an address gets a few of a kind in a day (UTC), and no more, under however many ids it is typed in. That belongs
here, where the address is known: a rule knows one id alone, and has to let people ask again who have left.
"""

from datetime import UTC, datetime, timedelta

from functions.recipients import Recipient, SuppressedError
from tidings.mailing.links import asks_for
from tidings.records.store import Store
from tidings.wire.decisions import Decision

MOST = 3
"""Of one kind, to one address, in one day: the first, one that was lost, and one for who left and came back."""

_KEPT = timedelta(days=3)


def limit(decision: Decision, to: Recipient, store: Store, now: datetime) -> None:
    """Return if the mail asks for nothing, or may still ask. A mail that is tried again is counted once.

    Raises:
        SuppressedError: `frequency_capped`.
        StoreError: nobody can say now.
    """
    purpose = asks_for(decision)
    counted = f"asked:{decision.send_id}"
    if purpose is None or store.tallies([counted])[0]:
        return
    today = f"asking-{purpose}-{now.astimezone(UTC).date()}-{to.digest}"
    if not store.take(today, 1, MOST, now + _KEPT):
        raise SuppressedError("frequency_capped", f"{MOST} mails to this address have asked for a confirmation today")
    store.tally(counted, {purpose: 1}, now + _KEPT)
