"""The second half of the protocol `Store`: what comes back about mail, what all workers share, and people's rights."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from tidings.records.feedback import Feedback

if TYPE_CHECKING:
    from tidings.records.store import Receipt


class MailRecords(Protocol):
    """See `Store`, which is what everybody else asks for."""

    # --- what comes back

    def append_feedback(self, items: Sequence[Feedback]) -> None:
        """Append; a feedback id that the person has already is left as it is."""

    def feedback(self, person: str, send_id: str = "", limit: int = 1000, *, origins: bool = False) -> list[Feedback]:
        """The latest `limit` items of the person, or of one mail, newest `at` first (ties: greater id first).

        `origins` as of `consent`.
        """

    def has_feedback(self, person: str, feedback_id: str) -> bool:
        """Whether this item is kept, however many others have come since."""

    # --- small things that all workers share

    def use_once(self, name: str, expires_at: datetime) -> bool:
        """True for the first call with this name, atomically, and False for every other one until it expires."""

    def take(self, name: str, amount: int, limit: int, expires_at: datetime) -> int:
        """Take from an allowance of `limit`, atomically; returns how many of `amount` are granted, 0 when none is left.

        The allowance of a name begins full. What is taken cannot be given back; `tallies` has it, as `taken`.
        """

    def tally(self, name: str, counts: Mapping[str, int], expires_at: datetime) -> None:
        """Add to the counts of this name; a count that is not there begins at 0.

        Approximate, as counters are: a call that is tried again after its answer was lost may count twice.
        """

    def tallies(self, names: Sequence[str]) -> list[dict[str, int]]:
        """The counts of each name, in the order of the names; empty where there are none."""

    def note(self, name: str) -> dict[str, Any] | None:
        """What was written down under this name, or None."""

    def put_note(self, name: str, value: dict[str, Any] | None) -> None:
        """Write down plain data under this name, in place of what was there; None takes it away."""

    # --- rights of people

    def people_at(self, email: str) -> list[str]:
        """Everybody whose `email` trait is this text, case aside, in order."""

    def joined_to(self, person: str) -> list[str]:
        """The anonymous ids whose first person this is (`Profile.joined`), in order."""

    def erase_person(self, person: str) -> dict[str, int]:
        """Delete profile, consent, activity, feedback and ledger entries of one id; returns how many of each.

        Erasing again finds less. What is written about the id from then on is kept as if it were new.
        """

    def put_receipt(self, receipt: "Receipt") -> None:
        """Keep a receipt; one of kind `erasure` also moves `erased_at` forward. Writing it again changes nothing."""

    def receipts(self, person_digest: str | None = None, limit: int = 1000) -> "list[Receipt]":
        """The latest `limit` receipts, of one person or of all, newest `at` first (ties: greater id first)."""

    def erased_at(self, person_digest: str) -> datetime | None:
        """When this person was last erased; None for never. One cheap read: the mailer asks before every mail."""

    def expire(self, now: datetime) -> dict[str, int]:
        """Delete what `retention` says is over, where the database does not do so by itself; counts of each."""
