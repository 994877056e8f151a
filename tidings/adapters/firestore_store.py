"""The store in Firestore: production, and Google's emulator when FIRESTORE_EMULATOR_HOST is set.

| document | holds |
|---|---|
| `profiles/{digest of the person}` | person, email (in lower case), joined, and `record`, the profile as JSON text |
| `profiles/{...}/consent/{record id}` | the record, field by field |
| `profiles/{...}/activity/{activity id}` | the line, field by field, its detail as JSON text, `expires_at` |
| `profiles/{...}/feedback/{feedback id}` | the item, field by field, its detail as JSON text, `expires_at` |
| `profiles/{...}/origins/{consent: or feedback:, and its id}` | ip, user_agent, `expires_at` |
| `suppressions/{address digest}` | reason, at |
| `receipts/{receipt id}`, `erasures/{person digest}` | the receipt, field by field; when the person was last erased |
| `used/{name}`, `tallies/{name}`, `notes/{name}` | what all workers share: a name, counts, a value; `expires_at` |
| `ledger/{send id}` | the entry, field by field, its decision as JSON text, `expires_at` |
| `rules/{rule id}`, `segments/{segment id}` | the author's fields, and `_tidings: {report, last_good}` beside them |
| `rules/{...}/versions/{record id}`, and of `segments` | one valid document as it was, field by field; for ever |

Traits are JSON text because Firestore has no lists of lists, no integers over 64 bits and no empty names, and because
an index entry for every trait of everybody costs more than the trait.

Production needs:
* the composite indexes of terraform/firestore.tf: `ledger` by person, by rule and by status, `feedback` by send_id,
  `receipts` by person_digest;
* time-to-live policies on `expires_at` of the collection groups that have it, see `tidings.records.retention`;
* of the single-field indexes only those of terraform/firestore.tf. The other fields of `profiles`, `consent`,
  `activity`, `feedback`, `origins`, `versions` and `ledger` want an exemption: they are large, or they rise with the
  clock. `ledger.updated_at` rises too, and so bounds the ledger to 500 writes a second, which is about 160 mails.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar
from uuid import uuid4

import msgspec
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec.structs import replace

from tidings.adapters import firestore_records as wire
from tidings.adapters.firestore_access import MAX_COMMIT_BYTES, Document, Fields, Seen, patient
from tidings.adapters.firestore_mail import MailRecords
from tidings.adapters.firestore_values import document_id, faults, instants, pack
from tidings.errors import InvalidRuleError
from tidings.mailing import ledger
from tidings.records import profiles, retention
from tidings.records.store import (
    ERASED,
    RESERVED,
    Activity,
    Claimed,
    ConsentRecord,
    DocumentKind,
    FinalStatus,
    LedgerEntry,
    Letter,
    Profile,
    ProfileUpdate,
    RuleRecord,
    Suppression,
    VersionRecord,
)
from tidings.wire.decisions import Decision, Reason

MAX_PEOPLE = 100
"""Profiles in one commit: few, because each is read before it is written, and one lost race runs them all again."""

_T = TypeVar("_T")
_Collection = Literal["rules", "segments"]
_COLLECTIONS: dict[DocumentKind, _Collection] = {"rule": "rules", "segment": "segments"}


class _Change(Generic[_T]):
    """One change to the ledger on its way through several attempts.

    `name` is written with it: an attempt that went through, but whose answer was lost, is recognised by the next one.
    `look` is False while an attempt may hope to be the first to write the entry, without reading it.
    """

    def __init__(self, step: Callable[[LedgerEntry | None], tuple[LedgerEntry | None, _T]], look: bool = True) -> None:
        self.name = uuid4().hex
        self.step = step
        self.look = look
        self.answer: tuple[_T, ...] = ()


class FirestoreStore(MailRecords):
    """`tidings.records.store.Store` in one Firestore database (native mode).

    Args:
        project: the Google Cloud project.
        database: the name of the database.
        timeout: seconds after which a call gives up with `StoreError`; an attempt that hangs may double it.

    Raises:
        StoreError: there are no credentials to use it with.
    """

    def __init__(self, project: str, database: str = "(default)", timeout: float = 10.0) -> None:
        super().__init__(project, database, timeout)

    # --- people

    @patient
    def profile(self, person: str) -> Profile | None:
        """See `Store.profile`."""
        return wire.profile(self.get(self.person_document(person)))

    def update_profiles(self, updates: Sequence[ProfileUpdate]) -> None:
        """See `Store.update_profiles`."""
        news: dict[str, Profile] = {}
        for update in updates:
            news[update.person] = profiles.merge(news.get(update.person), update)
        people = list(news.values())
        for start in range(0, len(people), MAX_PEOPLE):
            self._join(people[start : start + MAX_PEOPLE])

    @patient
    def _join(self, people: list[Profile]) -> None:
        news = {self.person_document(profile.person).path: profile for profile in people}
        batch, size = self.client.batch(), 0
        for seen in self.get_all(self.person_document(profile.person) for profile in people):
            before, after = wire.profile(seen), news[seen.document.path]
            if before is not None:
                after = profiles.join(before, after)
            if after == before:
                continue
            record = profiles.encode(after)
            self.write(batch, seen, wire.profile_fields(after, record))
            size += len(record)
            if size > MAX_COMMIT_BYTES:  # what is written already is merged again without harm, should the rest fail
                self.commit(batch)
                batch, size = self.client.batch(), 0
        self.commit(batch)

    def record_consent(self, records: Sequence[ConsentRecord]) -> None:
        """See `Store.record_consent`."""
        self.append(self._consent_documents(records))

    def _consent_documents(self, records: Sequence[ConsentRecord]) -> Iterator[tuple[Document, Fields]]:
        for record in records:
            of_person = self.person_document(record.person)
            yield of_person.collection("consent").document(document_id(record.record_id)), wire.consent_fields(record)
            if record.origin:
                yield self.origin(record.person, f"consent:{record.record_id}", record.at, record.origin)

    @patient
    def consent(self, person: str, *, origins: bool = False) -> list[ConsentRecord]:
        """See `Store.consent`."""
        found = [wire.consent(fields) for _, fields in self.run(self.person_document(person).collection("consent"))]
        known = self.origins(person) if origins else {}
        found = [replace(one, origin=known.get(document_id(f"consent:{one.record_id}"))) for one in found]
        return sorted(found, key=lambda record: (record.at, record.record_id))

    @patient
    def suppress(self, address_digest: str, reason: str, at: datetime) -> None:
        """See `Store.suppress`."""
        seen = self.get(self._suppression(address_digest))
        if seen.fields is None or reason == ERASED != seen.fields["reason"]:
            batch = self.client.batch()
            self.write(batch, seen, {"reason": reason, "at": at})
            self.commit(batch)

    @patient
    def suppression(self, address_digest: str) -> Suppression | None:
        """See `Store.suppression`."""
        fields = self.get(self._suppression(address_digest)).fields
        return None if fields is None else msgspec.convert(instants(fields), Suppression)

    @patient
    def lift_suppression(self, address_digest: str) -> None:
        """See `Store.lift_suppression`."""
        self._suppression(address_digest).delete(retry=None, timeout=self.timeout)

    # --- sends

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claimed:
        """See `Store.claim`. The first attempt creates without looking: most sends are claimed once."""
        claim_id = uuid4().hex

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry, Claimed]:
            claimed = ledger.claim(entry, decision, now, lease, claim_id)
            return claimed.entry, claimed

        return self._step(decision.send_id, _Change(step, look=False))

    def hand_over(self, held: LedgerEntry, now: datetime, letter: Letter | None = None) -> bool:
        """See `Store.hand_over`."""
        return self._move(held, lambda entry: ledger.hand_over(entry, held, now, letter)) is not None

    def release(self, held: LedgerEntry, now: datetime) -> bool:
        """See `Store.release`."""
        return self._move(held, lambda entry: ledger.release(entry, held, now)) is not None

    def wait(self, held: LedgerEntry, now: datetime, until: datetime) -> bool:
        """See `Store.wait`."""
        return self._move(held, lambda entry: ledger.wait(entry, held, now, until)) is not None

    @patient
    def waiting(self, now: datetime, limit: int) -> list[LedgerEntry]:
        """See `Store.waiting`."""
        query = (
            self.client.collection("ledger")
            .where(filter=FieldFilter("status", "==", "waiting"))
            .where(filter=FieldFilter("lease_until", "<=", now))
            .order_by("lease_until")
            .limit(limit)
        )
        return [entry for _, fields in self.run(query) if (entry := wire.entry(fields))]

    def finish(
        self,
        held: LedgerEntry,
        status: FinalStatus,
        now: datetime,
        reason: Reason | None = None,
        detail: str = "",
        decision: Decision | None = None,
    ) -> LedgerEntry | None:
        """See `Store.finish`."""
        return self._move(held, lambda entry: ledger.finish(entry, held, status, now, reason, detail, decision))

    def reopen(self, send_id: str, now: datetime, may_repeat: bool = False) -> LedgerEntry | None:
        """See `Store.reopen`."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry | None, LedgerEntry | None]:
            after = entry and ledger.reopen(entry, now, may_repeat)
            return after, after

        return self._step(send_id, _Change(step))

    def _move(self, held: LedgerEntry, move: Callable[[LedgerEntry], LedgerEntry]) -> LedgerEntry | None:
        """One step of the ledger; None when it has changed nothing."""

        def step(entry: LedgerEntry | None) -> tuple[LedgerEntry | None, LedgerEntry | None]:
            after = entry and move(entry)
            return after, None if after is entry else after

        return self._step(held.send_id, _Change(step))

    @patient
    def _step(self, send_id: str, change: _Change[_T]) -> _T:
        seen = Seen(self._send(send_id))
        if change.look:
            seen = self.get(seen.document)
            if seen.fields is not None and seen.fields.get("changed_by") == change.name:
                return change.answer[0]
        change.look = True
        before = wire.entry(seen.fields)
        after, answer = change.step(before)
        if after is not None and after is not before:
            change.answer = (answer,)
            batch = self.client.batch()
            self.write(batch, seen, wire.entry_fields(after) | {"changed_by": change.name})
            self.commit(batch)
        return answer

    @patient
    def ledger_entry(self, send_id: str) -> LedgerEntry | None:
        """See `Store.ledger_entry`."""
        return wire.entry(self.get(self._send(send_id)).fields)

    def ledger(self, person: str | None = None, limit: int = 1000) -> list[LedgerEntry]:
        """See `Store.ledger`."""
        query = self.client.collection("ledger").order_by("updated_at", direction=firestore.Query.DESCENDING)
        if person is not None:
            query = query.where(filter=FieldFilter("person", "==", person))
        return [entry for fields in self.pages(query, limit) if (entry := wire.entry(fields))]

    def ledger_of_rule(self, rule_id: str, since: datetime, limit: int) -> list[LedgerEntry]:
        """See `Store.ledger_of_rule`."""
        of_rule = (
            self.client.collection("ledger")
            .where(filter=FieldFilter("rule_id", "==", rule_id))
            .where(filter=FieldFilter("updated_at", ">=", since))
            .order_by("updated_at", direction=firestore.Query.DESCENDING)
            .order_by("__name__", direction=firestore.Query.DESCENDING)
        )
        return [entry for fields in self.pages(of_rule, limit) if (entry := wire.entry(fields))]

    # --- rules and segments

    def rules(self) -> list[RuleRecord]:
        """See `Store.rules`. Costs one document read for each rule."""
        return self._documents("rules")

    def put_rule(self, rule_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """See `Store.put_rule`.

        Raises:
            InvalidRuleError: Firestore cannot hold lists directly inside lists, integers over 64 bits, names that are
                empty or like `__this__`, more than 20 levels, or more than 900 kB.
        """
        self._put_document("rules", rule_id, document, version)

    def report_rule(self, rule_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """See `Store.report_rule`."""
        self._report_document("rules", rule_id, report, last_good)

    def delete_rule(self, rule_id: str) -> None:
        """See `Store.delete_rule`."""
        self._delete_document("rules", rule_id)

    def segments(self) -> list[RuleRecord]:
        """See `Store.segments`. Costs one document read for each segment."""
        return self._documents("segments")

    def put_segment(self, segment_id: str, document: dict[str, Any], version: VersionRecord | None = None) -> None:
        """See `Store.put_segment`. Refuses what `put_rule` refuses."""
        self._put_document("segments", segment_id, document, version)

    def report_segment(self, segment_id: str, report: dict[str, Any], last_good: dict[str, Any] | None) -> None:
        """See `Store.report_segment`."""
        self._report_document("segments", segment_id, report, last_good)

    def delete_segment(self, segment_id: str) -> None:
        """See `Store.delete_segment`."""
        self._delete_document("segments", segment_id)

    @patient
    def _documents(self, collection: _Collection) -> list[RuleRecord]:
        found = [wire.rule(name, fields) for name, fields in self.run(self.client.collection(collection))]
        return sorted(found, key=lambda one: one.rule_id)

    @patient
    def _put_document(
        self, collection: _Collection, key: str, document: dict[str, Any], version: VersionRecord | None
    ) -> None:
        fields = msgspec.to_builtins({name: value for name, value in document.items() if name != RESERVED})
        if refused := faults(fields):
            raise InvalidRuleError(key, refused, collection.removesuffix("s"))
        seen = self.get(self._document(collection, key))
        batch = self.client.batch()
        if version is not None and (kept := self.get(self._version(version))).fields is None:
            self.write(batch, kept, wire.version_fields(version))
        if seen.fields is not None:
            fields |= dict.fromkeys(seen.fields.keys() - fields.keys() - {RESERVED}, firestore.DELETE_FIELD)
        elif seen.document.id != key:
            fields[RESERVED] = {"rule_id": key}
        if fields or seen.fields is None:
            self.write(batch, seen, fields)
        self.commit(batch)

    @patient
    def _report_document(
        self, collection: _Collection, key: str, report: dict[str, Any], last_good: dict[str, Any] | None
    ) -> None:
        fields = {f"{RESERVED}.report": pack(report), f"{RESERVED}.last_good": pack(last_good)}
        try:
            self._document(collection, key).update(fields, retry=None, timeout=self.timeout)
        except exceptions.NotFound:
            return

    @patient
    def _delete_document(self, collection: _Collection, key: str) -> None:
        self._document(collection, key).delete(retry=None, timeout=self.timeout)

    def keep_version(self, version: VersionRecord) -> None:
        """See `Store.keep_version`."""
        self.append([(self._version(version), wire.version_fields(version))])

    @patient
    def versions(self, kind: DocumentKind, document_id: str, limit: int = 1000) -> list[VersionRecord]:
        """See `Store.versions`."""
        query = self._versions(kind, document_id).order_by("at", direction=firestore.Query.DESCENDING).limit(limit)
        return [wire.version(fields) for _, fields in self.run(query)]

    # --- activity

    def append_activity(self, items: Sequence[Activity]) -> None:
        """See `Store.append_activity`."""
        self.append(
            (
                self.person_document(item.person).collection("activity").document(document_id(item.activity_id)),
                msgspec.structs.asdict(item)
                | {"detail": msgspec.json.encode(item.detail).decode(), "expires_at": item.at + retention.ACTIVITY},
            )
            for item in items
        )

    def activity(self, person: str, limit: int = 100) -> list[Activity]:
        """See `Store.activity`."""
        lines = self.person_document(person).collection("activity")
        query = lines.order_by("at", direction=firestore.Query.DESCENDING)
        rows = [instants(fields) for fields in self.pages(query, limit)]
        return [msgspec.convert(row | {"detail": msgspec.json.decode(row["detail"])}, Activity) for row in rows]

    def _suppression(self, address_digest: str) -> Document:
        return self.client.collection("suppressions").document(document_id(address_digest))

    def _send(self, send_id: str) -> Document:
        return self.client.collection("ledger").document(document_id(send_id))

    def _document(self, collection: _Collection, key: str) -> Document:
        return self.client.collection(collection).document(document_id(key))

    def _version(self, version: VersionRecord) -> Any:
        return self._versions(version.kind, version.document_id).document(document_id(version.record_id))

    def _versions(self, kind: DocumentKind, key: str) -> Any:
        return self._document(_COLLECTIONS[kind], key).collection("versions")
