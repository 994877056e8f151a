"""What a Firestore store keeps of feedback, of shared counts, and of people's requests about their data.

The table of its documents is in `firestore_store`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec.structs import replace

from tidings.adapters import firestore_records as wire
from tidings.adapters.firestore_access import MAX_WRITES, Access, CollisionError, Document, Fields, Seen, patient
from tidings.adapters.firestore_values import document_id, instants, pack, person_id, unpack
from tidings.records import retention
from tidings.records.feedback import Feedback, Origin
from tidings.records.store import Receipt

_OF_A_PERSON = ("consent", "activity", "feedback", "origins")
"""The collections below a profile."""

FEW = 100
"""So many origins are read one by one: a person may have thousands, and every click looks at those of twenty hits."""


class MailRecords(Access):
    """The second half of `tidings.records.store.Store`."""

    # --- what comes back

    def append_feedback(self, items: Sequence[Feedback]) -> None:
        """See `Store.append_feedback`."""
        self.append(self._feedback_documents(items))

    def _feedback_documents(self, items: Iterable[Feedback]) -> "Iterable[tuple[Document, Fields]]":
        for item in items:
            of_person = self.person_document(item.person)
            yield of_person.collection("feedback").document(document_id(item.feedback_id)), wire.feedback_fields(item)
            if item.origin:
                yield self.origin(item.person, f"feedback:{item.feedback_id}", item.at, item.origin)

    def feedback(self, person: str, send_id: str = "", limit: int = 1000, *, origins: bool = False) -> list[Feedback]:
        """See `Store.feedback`."""
        query = self.person_document(person).collection("feedback")
        if send_id:
            query = query.where(filter=FieldFilter("send_id", "==", send_id))
        newest_first = query.order_by("at", direction=firestore.Query.DESCENDING)
        newest_first = newest_first.order_by("__name__", direction=firestore.Query.DESCENDING)
        found = [wire.feedback(fields) for fields in self.pages(newest_first, limit)]
        names = [document_id(f"feedback:{one.feedback_id}") for one in found]
        known = self.origins(person, names if len(names) <= FEW else None) if origins else {}
        return [replace(one, origin=known.get(name)) for name, one in zip(names, found, strict=True)]

    @patient
    def has_feedback(self, person: str, feedback_id: str) -> bool:
        """See `Store.has_feedback`."""
        document = self.person_document(person).collection("feedback").document(document_id(feedback_id))
        return self.get(document).fields is not None

    def origin(self, person: str, of: str, at: datetime, origin: Origin) -> tuple[Document, Fields]:
        """Where something came from, as a document of its own, because it is kept for a shorter time."""
        document = self.person_document(person).collection("origins").document(document_id(of))
        return document, msgspec.structs.asdict(origin) | {"expires_at": at + retention.ORIGINS}

    @patient
    def origins(self, person: str, names: Sequence[str] | None = None) -> dict[str, Origin]:
        """All of a person that are still kept, or only these, by the ids of their documents."""
        collection = self.person_document(person).collection("origins")
        if names is None:
            found = dict(self.run(collection))
        else:
            seen = self.get_all(collection.document(name) for name in names)
            found = {one.document.id: one.fields for one in seen if one.fields is not None}
        return {name: Origin(ip=fields["ip"], user_agent=fields["user_agent"]) for name, fields in found.items()}

    # --- small things that all workers share

    @patient
    def use_once(self, name: str, expires_at: datetime) -> bool:
        """See `Store.use_once`. An answer that was lost looks like somebody else's use: better never than twice."""
        batch = self.client.batch()
        self.write(batch, Seen(self._shared("used", name)), {"expires_at": expires_at})
        try:
            self.commit(batch)
        except CollisionError:
            return False
        return True

    @patient
    def take(self, name: str, amount: int, limit: int, expires_at: datetime) -> int:
        """See `Store.take`."""
        seen = self.get(self._shared("tallies", name))
        taken: int = (seen.fields or {}).get("counts", {}).get("taken", 0)
        granted = max(min(amount, limit - taken), 0)
        if granted:
            batch = self.client.batch()
            self.write(batch, seen, {"counts": {"taken": taken + granted}, "expires_at": expires_at})
            self.commit(batch)
        return granted

    @patient
    def tally(self, name: str, counts: Mapping[str, int], expires_at: datetime) -> None:
        """See `Store.tally`. One document bears about one write a second: see docs/sending-limits.md."""
        more = {what: firestore.Increment(count) for what, count in counts.items()}
        document = self._shared("tallies", name)
        document.set({"counts": more, "expires_at": expires_at}, merge=True, retry=None, timeout=self.timeout)

    @patient
    def tallies(self, names: Sequence[str]) -> list[dict[str, int]]:
        """See `Store.tallies`."""
        wanted = [self._shared("tallies", name) for name in names]
        found = {seen.document.id: (seen.fields or {}).get("counts", {}) for seen in self.get_all(wanted)}
        return [found[document.id] for document in wanted]

    @patient
    def note(self, name: str) -> dict[str, Any] | None:
        """See `Store.note`."""
        seen = self.get(self._shared("notes", name))
        return None if seen.fields is None else unpack(seen.fields["value"])

    @patient
    def put_note(self, name: str, value: dict[str, Any] | None) -> None:
        """See `Store.put_note`."""
        document = self._shared("notes", name)
        if value is None:
            document.delete(retry=None, timeout=self.timeout)
        else:
            document.set({"value": pack(value)}, retry=None, timeout=self.timeout)

    # --- rights of people

    def people_at(self, email: str) -> list[str]:
        """See `Store.people_at`."""
        return self._people("email", email.lower())

    def joined_to(self, person: str) -> list[str]:
        """See `Store.joined_to`."""
        return self._people("joined", person)

    @patient
    def _people(self, field: str, value: str) -> list[str]:
        query = self.client.collection("profiles").where(filter=FieldFilter(field, "==", value)).select(["person"])
        return sorted(fields["person"] for _, fields in self.run(query))

    def erase_person(self, person: str) -> dict[str, int]:
        """See `Store.erase_person`. The profile goes last: who is cut off in the middle finds the rest again by it."""
        profile = self.person_document(person)
        counts = {name: self._delete_all(profile.collection(name)) for name in _OF_A_PERSON}
        sends = self.client.collection("ledger").where(filter=FieldFilter("person", "==", person))
        counts["ledger"] = self._delete_all(sends.order_by("updated_at", direction=firestore.Query.DESCENDING))
        counts["profiles"] = self._delete([profile]) if self._is_there(profile) else 0
        del counts["origins"]
        return counts

    def _delete_all(self, query: Any) -> int:
        """Everything that a query finds, by and by."""
        count = 0
        while documents := self._some_of(query):
            count += self._delete(documents)
        return count

    @patient
    def _some_of(self, query: Any) -> list[Document]:
        return [snapshot.reference for snapshot in self.stream(query.select([]).limit(MAX_WRITES))]

    @patient
    def _is_there(self, document: Document) -> bool:
        return self.get(document).fields is not None

    @patient
    def _delete(self, documents: Sequence[Document]) -> int:
        batch = self.client.batch()
        for document in documents:
            batch.delete(document)
        self.commit(batch)
        return len(documents)

    @patient
    def put_receipt(self, receipt: Receipt) -> None:
        """See `Store.put_receipt`."""
        batch = self.client.batch()
        seen = self.get(self._shared("receipts", receipt.receipt_id))
        if seen.fields is None:
            self.write(batch, seen, msgspec.structs.asdict(receipt))
        if receipt.kind == "erasure":
            last = self.get(self._shared("erasures", receipt.person_digest))
            if last.fields is None or last.fields["at"] < receipt.at:
                self.write(batch, last, {"at": receipt.at})
        self.commit(batch)

    @patient
    def receipts(self, person_digest: str | None = None, limit: int = 1000) -> list[Receipt]:
        """See `Store.receipts`."""
        query: Any = self.client.collection("receipts")
        if person_digest is not None:
            query = query.where(filter=FieldFilter("person_digest", "==", person_digest))
        newest_first = query.order_by("at", direction=firestore.Query.DESCENDING)
        newest_first = newest_first.order_by("__name__", direction=firestore.Query.DESCENDING).limit(limit)
        return [msgspec.convert(instants(fields), Receipt) for _, fields in self.run(newest_first)]

    @patient
    def erased_at(self, person_digest: str) -> datetime | None:
        """See `Store.erased_at`."""
        fields = self.get(self._shared("erasures", person_digest)).fields
        return None if fields is None else instants(fields)["at"]

    def expire(self, now: datetime) -> dict[str, int]:
        """See `Store.expire`. Firestore's own time-to-live policies do this: nothing is left to do."""
        return {}

    # --- places

    def person_document(self, person: str) -> Document:
        """The profile, below which everything of a person lies."""
        return self.client.collection("profiles").document(person_id(person))

    def _shared(self, collection: str, name: str) -> Document:
        return self.client.collection(collection).document(document_id(name))
