"""Records as Firestore holds them: fields of a document, and back."""

import msgspec

from tidings.adapters.firestore_access import Fields, Seen
from tidings.adapters.firestore_values import document_id, instants, pack, plain, unpack
from tidings.records import profiles, retention
from tidings.records.feedback import Feedback
from tidings.records.store import RESERVED, ConsentRecord, LedgerEntry, Profile, RuleRecord, VersionRecord
from tidings.wire.decisions import decode as decode_decision
from tidings.wire.decisions import encode as encode_decision


def profile(seen: Seen) -> Profile | None:
    """A profile; None when there is no such document."""
    return None if seen.fields is None else profiles.decode(seen.fields["record"])


def profile_fields(profile: Profile, record: bytes) -> Fields:
    """A profile, with what people are looked up by beside its record."""
    return {
        "person": profile.person,
        "email": profiles.email(profile),
        "joined": profile.joined and profile.joined[1],
        "first_seen": profile.first_seen,
        "last_seen": profile.last_seen,
        "record": record.decode(),
    }


def entry_fields(entry: LedgerEntry) -> Fields:
    """A ledger entry; its decision as JSON text."""
    return msgspec.structs.asdict(entry) | {
        "person": entry.decision.person,
        "rule_id": entry.decision.rule_id,
        "decision": encode_decision(entry.decision).decode(),
        "letter": entry.letter and msgspec.structs.asdict(entry.letter),
        "expires_at": entry.updated_at + retention.LEDGER,
    }


def entry(fields: Fields | None) -> LedgerEntry | None:
    """A ledger entry; None when there is no such document."""
    if fields is None:
        return None
    decision = decode_decision(fields["decision"].encode())
    return msgspec.convert(instants(fields) | {"decision": decision}, LedgerEntry)


def consent_fields(record: ConsentRecord) -> Fields:
    """A word on consent, without its origin, which is kept apart."""
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name != "origin"}


def consent(fields: Fields) -> ConsentRecord:
    """A word on consent. An earlier version wrote `given`, a yes or no, where `action` is now."""
    fields = instants(fields)
    if (given := fields.pop("given", None)) is not None:
        fields.setdefault("action", "given" if given else "withdrawn")
    return msgspec.convert(fields, ConsentRecord)


def feedback_fields(item: Feedback) -> Fields:
    """What came back about a mail, without its origin; its detail as JSON text."""
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if name != "origin"}
    detail = msgspec.json.encode(item.detail).decode()
    return fields | {"reasons": list(item.reasons), "detail": detail, "expires_at": item.at + retention.FEEDBACK}


def feedback(fields: Fields) -> Feedback:
    """What came back about a mail."""
    return msgspec.convert(instants(fields) | {"detail": msgspec.json.decode(fields["detail"])}, Feedback)


def version_fields(version: VersionRecord) -> Fields:
    """A version; its document as people can read it in the console, where Firestore can hold it."""
    return msgspec.structs.asdict(version) | {"document": pack(version.document)}


def version(fields: Fields) -> VersionRecord:
    """A version."""
    return msgspec.convert(instants(fields) | {"document": unpack(fields["document"])}, VersionRecord)


def rule(name: str, fields: Fields) -> RuleRecord:
    """A rule or segment, stored under the document id `name`."""
    ours = fields.pop(RESERVED, None)
    ours = ours if isinstance(ours, dict) else {}  # an author can break this field too
    written = ours.get("rule_id")
    return RuleRecord(
        rule_id=written if isinstance(written, str) and document_id(written) == name else name,
        document=plain(fields),
        last_good=unpack(ours.get("last_good")),
        report=unpack(ours.get("report")),
    )
