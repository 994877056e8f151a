"""What is kept about people, rules and sends: the records, and the one protocol that both stores speak.

`tidings.adapters.sqlite_store` is the embedded default, `tidings.adapters.firestore_store` is production.
The same contract suite (`tests/contracts/`) runs on both. Time is an argument; nothing here reads a clock.
Every method may raise `StoreError`, which means "try again later".
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from tidings.records.feedback import Origin
from tidings.records.mail_records import MailRecords
from tidings.wire.decisions import Decision, Reason

RESERVED = "_tidings"
"""The field of a stored rule or segment that belongs to the system. An author's document has no such field."""


AddressDay = tuple[date, str]
"""That an address was heard of on a day (UTC): the day of receipt, and what tells addresses apart."""


class Profile(msgspec.Struct, kw_only=True):
    """What is known of one person. `trait_times` says how new each trait is, so that order cannot matter.

    `joined` is for anonymous ids: when, and which known person, they joined first. `address_days` says since when the
    address has been theirs, see `tidings.records.address_age`.
    """

    person: str
    traits: dict[str, Any] = {}
    trait_times: dict[str, datetime] = {}
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    joined: tuple[datetime, str] | None = None
    address_days: list[AddressDay] = []


class ProfileUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Traits that one event brought. A trait is taken only when `at` is not older than what is stored.

    `joined` is for anonymous ids: the known person that they joined at `at`. The earliest one stays. `received_at` is
    when we heard of it, by our own clock; left out, that is `at`.
    """

    person: str
    at: datetime
    received_at: datetime | None = None
    traits: dict[str, Any] = {}
    joined: str | None = None


ConsentAction = Literal["given", "withdrawn", "confirmed"]
"""`confirmed` is the second word of a double opt-in, said from the mailbox itself."""


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the append-only proof of consent (GDPR article 7(1)): who, what, when, from where, which words.

    Attributes:
        record_id: derived from content (a messageId, or a send id and action), so that writing twice is writing once.
        category: what was agreed to or withdrawn: a category of mail, or `marketing` for all of it; or
            `sale_and_sharing` of personal data, which is no mail at all.
        source: `event`, `one_click`, `preferences_page`, `confirmation_page`, `import`, `gpc`, ...
        words / words_version / language: the text the person was shown, which edition of it, and its language.
        channel: by which way they are written to.
        origin: the browser's address and name; gone after a while, see `tidings.records.retention`.
        mailbox: of what was confirmed from a mailbox, the digest of its address; empty where nobody knows.
    """

    record_id: str
    person: str
    category: str
    action: ConsentAction
    at: datetime
    source: str
    words: str = ""
    words_version: str = ""
    language: str = ""
    channel: str = "email"
    origin: Origin | None = None
    mailbox: str = ""

    @property
    def given(self) -> bool:
        """Whether this is a yes, of either kind."""
        return self.action != "withdrawn"


ERASED = "erased"
"""The reason of a suppression whose person is forgotten: the address may not come back into the store in plain."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Why and since when an address is never mailed. The address itself is nowhere: see `consent.address_digest`."""

    reason: str
    at: datetime


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger must know of a mail before it leaves, to make sense of what comes back about it.

    Attributes:
        provider: which door it leaves by: `smtp`, `sendgrid`, `ses`, `mailgun`, `postmark`.
        subject: as the person reads it.
        links: the targets of its tracked links, by number; empty when it is not tracked.
        address_digest: of the recipient; empty for a role.
    """

    provider: str = ""
    subject: str = ""
    links: tuple[str, ...] = ()
    address_digest: str = ""


ReceiptKind = Literal["export", "erasure"]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a request of a person was carried out, without a word about whom: `person_digest` is a keyed digest.

    Attributes:
        counts: how much of what was handed out or erased.
        requested_by: `recipient` (the preference centre), or `operator`.
    """

    receipt_id: str
    kind: ReceiptKind
    person_digest: str
    at: datetime
    counts: dict[str, int]
    requested_by: str


class Claim(Enum):
    """The answer to "may I work on this send?"."""

    GRANTED = "granted"
    """It is yours until the lease ends."""
    HELD = "held"
    """Another worker holds the lease: come back later."""
    DONE = "done"
    """It has ended already: this is a duplicate."""
    UNKNOWN = "unknown"
    """A worker vanished between handing the mail over and recording the answer: it may have gone out."""


LedgerStatus = Literal["claimed", "waiting", "handing_over", "sent", "suppressed", "shadow", "dead_lettered"]
FinalStatus = Literal["sent", "suppressed", "shadow", "dead_lettered"]


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """How one decision ended, or how far it has come. One entry a send id, for ever one.

    `claim_id` is another one with every claim that hands the entry to somebody: whoever has an older one was overtaken.
    (Entries of earlier versions have none.) `attempts` counts the claims that were granted, and `repeats` those of them
    that began again although the mail may have gone out. `lease_until` of an entry that waits is when its turn comes,
    and `waiting_since` stays when it was put aside first. `letter` is there once the mail was about to leave.
    `reopened_at` and `reopened_from` are when, and after which reason and detail, a person let it be tried again last.
    """

    send_id: str
    status: LedgerStatus
    decision: Decision
    updated_at: datetime
    lease_until: datetime
    claim_id: str = ""
    attempts: int = 1
    repeats: int = 0
    reason: Reason | None = None
    detail: str = ""
    letter: Letter | None = None
    waiting_since: datetime | None = None
    reopened_at: datetime | None = None
    reopened_from: str = ""

    @property
    def links(self) -> tuple[str, ...]:
        """The targets of its tracked links; none when it is not tracked, or has not left."""
        return self.letter.links if self.letter else ()


class Claimed(NamedTuple):
    """The answer to a claim, and the entry as it is now: who may work on it shows it with all that they do to it."""

    answer: Claim
    entry: LedgerEntry


class RuleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A rule or a segment as its author left it, beside what the system says of it.

    Attributes:
        rule_id: the id under which it is stored.
        document: exactly as edited. It may be invalid.
        last_good: the newest version that was valid; it is the one that runs while `document` is not.
        report: `{"valid": bool, "version": str, "faults": [{"path", "value", "reason"}], "checked_at": str}`; of a rule
            also `history`, and of a shadow `shadow`, see `tidings.backtest.shadows`.
    """

    rule_id: str
    document: dict[str, Any]
    last_good: dict[str, Any] | None = None
    report: dict[str, Any] | None = None


DocumentKind = Literal["rule", "segment"]


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One valid document, as it once was: the history of a rule or segment is made of these, and only grows.

    Attributes:
        record_id: derived from `follows` and `document`, see `tidings.rollout.versions`: who writes it twice writes it
            once.
        document_id: the id of the rule or segment.
        version: what the document says it does, see `Rule.version`; documents that do the same have the same.
        at: when it was put, or first seen; later than what it follows.
        note: how it came: `push`, `rollback to 1a2b3c4d`, `edited in the store`, or what somebody said about it.
        follows: the id of the record before it; empty for the first one.
    """

    record_id: str
    document_id: str
    kind: DocumentKind
    version: str
    document: dict[str, Any]
    at: datetime
    note: str = ""
    follows: str = ""


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a person did, or of what was decided for them, for the support agent's feed.

    Attributes:
        activity_id: derived from content; writing twice is writing once.
        kind: `event` or `decision`.
        label: the event's name, or the rule's id.
        detail: small, plain and free of addresses.
    """

    activity_id: str
    person: str
    at: datetime
    kind: Literal["event", "decision"]
    label: str
    detail: dict[str, Any] = {}


class Store(MailRecords, Protocol):
    """The one door to what is kept."""

    def profile(self, person: str) -> Profile | None:
        """The profile, or None when this person was never heard of."""

    def update_profiles(self, updates: Sequence[ProfileUpdate]) -> None:
        """Merge traits, each by its own time; atomic for one person. Order of calls does not change the result.

        `first_seen` and `last_seen` become the earliest and latest `at`. A trait of value None is stored as None.
        Equal times: the greater JSON encoding wins, so that order cannot matter.
        """

    def record_consent(self, records: Sequence[ConsentRecord]) -> None:
        """Append; a record id that the person has already is left as it is."""

    def consent(self, person: str, *, origins: bool = False) -> list[ConsentRecord]:
        """Every record of the person, oldest first (by `at`, then `record_id`).

        Their `origin` is None, unless `origins` asks for it and it is still kept: the mailer does without.
        """

    def suppress(self, address_digest: str, reason: str, at: datetime) -> None:
        """Never mail this address again. The digest is `tidings.permission.consent.address_digest`, never the address.

        Suppressing it again changes nothing, but for the reason `ERASED`, which takes the place of any other.
        """

    def suppression(self, address_digest: str) -> Suppression | None:
        """Since when and why the address is on the suppression list; None when it is not."""

    def lift_suppression(self, address_digest: str) -> None:
        """Take the address off the list; nothing happens when it is not on it."""

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claimed:
        """Take a decision for `lease`, atomically, in the ledger.

        No entry: create one as `claimed`, GRANTED. A final entry: DONE. `waiting`: taken over (attempts + 1), GRANTED,
        whether its turn has come or not: whoever has its message can put it aside again. `claimed`: HELD while
        `now < lease_until`, and after it taken over (attempts + 1), GRANTED. `handing_over`: HELD while
        `now < lease_until`; after it GRANTED when mail of this kind may be repeated once more (`ledger.REPEATS`), and
        otherwise UNKNOWN (and the lease is renewed, so that only one caller hears it).

        The entry of GRANTED and UNKNOWN has a new `claim_id`, and is what `hand_over`, `release`, `wait` and `finish`
        want as `held`. They change nothing, and answer False or None, when it has ended, is gone, or was claimed by
        somebody else since: whoever hears that was overtaken, and must neither send nor say anything more about it.
        """

    def hand_over(self, held: LedgerEntry, now: datetime, letter: Letter | None = None) -> bool:
        """Mark that the mail is about to leave, and what it is: from here on a crash is ambiguous.

        True once a claim, and False if it is UNKNOWN.
        """

    def release(self, held: LedgerEntry, now: datetime) -> bool:
        """Give it back after a failure that certainly left no mail: `claimed`, its lease over. Nothing if UNKNOWN."""

    def wait(self, held: LedgerEntry, now: datetime, until: datetime) -> bool:
        """Put it aside until its turn comes: it certainly has not left. Nothing if it is UNKNOWN.

        What waits already is put further off, with `held` as `waiting` has it, unless somebody has claimed it since.
        """

    def waiting(self, now: datetime, limit: int) -> list[LedgerEntry]:
        """Up to `limit` entries whose turn has come (`waiting`, and not `now < lease_until`), the longest due first."""

    def finish(
        self,
        held: LedgerEntry,
        status: FinalStatus,
        now: datetime,
        reason: Reason | None = None,
        detail: str = "",
        decision: Decision | None = None,
    ) -> LedgerEntry | None:
        """Record how it ended, once; returns the entry as it is then.

        `sent` is a fact and no decision: it ends the entry whoever has claimed it since, so that nobody sends another.
        `decision` is kept in place of the one that was claimed, and the letter goes: for people who were erased.
        """

    def reopen(self, send_id: str, now: datetime, may_repeat: bool = False) -> LedgerEntry | None:
        """Let what was `dead_lettered` be tried again: `waiting`, and its turn is now. Any other entry stays as it is.

        With `may_repeat` also what may have gone out already (`ledger.may_have_gone_out`), which stays otherwise.

        Returns the entry as it is then, or None.
        """

    def ledger_entry(self, send_id: str) -> LedgerEntry | None:
        """The entry, or None."""

    def ledger(self, person: str | None = None, limit: int = 1000) -> list[LedgerEntry]:
        """The latest `limit` entries, newest `updated_at` first (ties: greater id first), of one person or of all."""

    def ledger_of_rule(self, rule_id: str, since: datetime, limit: int) -> list[LedgerEntry]:
        """The latest `limit` entries of a rule whose `updated_at` is not before `since`; order as `ledger`."""

    def rules(self) -> list[RuleRecord]:
        """Every rule, ordered by id. Cheap enough to call every few seconds."""

    def put_rule(self, rule_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """Create or replace the author's document; `last_good` and `report` stay.

        With `version`, that record is kept in the same instant: nobody sees one of the two without the other.

        Raises:
            InvalidRuleError: the store cannot hold this document (see the adapter); the old one stays.
        """

    def report_rule(self, rule_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """Write what the system says of the rule, without touching the author's document. Unknown rule: nothing."""

    def delete_rule(self, rule_id: str) -> None:
        """Remove the rule; nothing happens when there is none."""

    def segments(self) -> list[RuleRecord]:
        """Every segment, as `rules`."""

    def put_segment(self, segment_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """As `put_rule`."""

    def report_segment(self, segment_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """As `report_rule`."""

    def delete_segment(self, segment_id: str) -> None:
        """As `delete_rule`."""

    def keep_version(self, version: VersionRecord) -> None:
        """Append; a record id that the document has already is left as it is. A document that is deleted keeps them."""

    def versions(self, kind: DocumentKind, document_id: str, limit: int = 1000) -> list[VersionRecord]:
        """The latest `limit` records of a rule or segment, newest `at` first (ties: greater id first)."""

    def append_activity(self, items: Sequence[Activity]) -> None:
        """Append; an activity id that the person has already is left as it is."""

    def activity(self, person: str, limit: int = 100) -> list[Activity]:
        """The latest `limit` lines of the person, newest `at` first (ties: greater id first)."""

    def close(self) -> None:
        """Let go of connections and files."""
