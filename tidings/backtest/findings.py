"""What a backtest has found: counts that add up, and a few examples. As small for a million people as for one."""

from collections import Counter
from typing import Any

import msgspec

from tidings.backtest.difference import Counts
from tidings.wire.decisions import Decision

DELAYS = (
    ("15 minutes", 15), ("1 hour", 60), ("6 hours", 360), ("1 day", 1440), ("2 days", 2880), ("3 days", 4320),
    ("7 days", 10_080), ("14 days", 20_160), ("30 days", 43_200), ("longer", 10**9),
)  # fmt: skip
"""How long after the rule had fired somebody reached the goal: the name of a class, and its last minute."""


class Goals(msgspec.Struct):
    """Of some firings, how many of their people reached the goal within the window, by themselves.

    Attributes:
        firings: how many there are.
        before: reached it before the first mail would have gone, or at that instant.
        after: reached it after that.
        open: had not reached it when the past ended, and the window had not.
    """

    firings: int = 0
    before: int = 0
    after: int = 0
    open: int = 0

    @property
    def reached(self) -> int:
        """How many reached it, mail or no mail."""
        return self.before + self.after

    @property
    def ceiling(self) -> int:
        """The most that the mail could change: those who had the whole window, and did not reach the goal."""
        return self.firings - self.reached - self.open

    def add(self, other: "Goals") -> None:
        """Take in others."""
        self.firings += other.firings
        self.before += other.before
        self.after += other.after
        self.open += other.open


class Example(msgspec.Struct, frozen=True):
    """A mail that would have gone, with what was known of the person by then."""

    place: str
    decision: Decision
    traits: dict[str, Any]


class Known(msgspec.Struct):
    """Of the first mails of all firings, for how many the events themselves say whether they could have been sent.

    Attributes:
        address / consent / refusal: the events bring an address; a yes; a no that came later or alone.
        untraited: the audience asks about a trait that no event has brought.
    """

    address: int = 0
    consent: int = 0
    refusal: int = 0
    untraited: int = 0

    def add(self, other: "Known") -> None:
        """Take in others."""
        self.address += other.address
        self.consent += other.consent
        self.refusal += other.refusal
        self.untraited += other.untraited


class Findings(msgspec.Struct):
    """Everything that is counted. Counters are plain dicts, so that they travel.

    Attributes:
        everybody: how many people the past has.
        people: for how many the rule fired at least once, inside its audience.
        outside: how often it fired outside it.
        endings: (step, template, outcome or reason) -> decisions.
        hours: hour with its offset -> mails that would have gone, in the zone of the question.
        stopped_hours: the same, of what was decided and would not have gone.
        mailed / stopped: goals of firings with at least one mail, and of those with none.
        delays: class of `DELAYS` -> firings with a mail that reached the goal so long after they fired.
        held: mails that waited for the morning.
        capped_by: rule -> mails of the rule in question for which that rule's mail had used up the cap.
        lost / won: other rule -> its mails that would no longer have gone, or would have gone then.
        difference: to the current version.
        known: see `Known`.
        examples: a few.
        mismatches: what was found where something else was expected -> events.
    """

    everybody: int = 0
    people: int = 0
    outside: int = 0
    endings: dict[tuple[int, str, str], int] = {}
    hours: dict[str, int] = {}
    stopped_hours: dict[str, int] = {}
    mailed: Goals = msgspec.field(default_factory=Goals)
    stopped: Goals = msgspec.field(default_factory=Goals)
    delays: dict[str, int] = {}
    held: int = 0
    capped_by: dict[str, int] = {}
    lost: dict[str, int] = {}
    won: dict[str, int] = {}
    difference: Counts = msgspec.field(default_factory=Counts)
    known: Known = msgspec.field(default_factory=Known)
    examples: list[Example] = []
    mismatches: dict[str, int] = {}

    def add(self, other: "Findings", most_examples: int) -> None:
        """Take in those of another part."""
        self.everybody += other.everybody
        self.people += other.people
        self.outside += other.outside
        self.held += other.held
        for name in ("endings", "hours", "stopped_hours", "delays", "capped_by", "lost", "won", "mismatches"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))
        self.mailed.add(other.mailed)
        self.stopped.add(other.stopped)
        self.difference.add(other.difference)
        self.known.add(other.known)
        self.examples = sorted([*self.examples, *other.examples], key=lambda one: one.place)[:most_examples]
