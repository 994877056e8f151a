"""Records as Firestore holds them: fields of a document, and back."""

from datetime import timedelta

import msgspec

from tidings import profiles
from tidings.adapters.firestore_access import Fields, Seen
from tidings.adapters.firestore_values import document_id, instants, pack, plain, unpack
from tidings.decisions import decode as decode_decision
from tidings.decisions import encode as encode_decision
from tidings.store import RESERVED, LedgerEntry, Profile, RuleRecord, VersionRecord

KEPT = timedelta(days=400)
"""How long the ledger and activity stay."""


def profile(seen: Seen) -> Profile | None:
    """A profile; None when there is no such document."""
    return None if seen.fields is None else profiles.decode(seen.fields["record"])


def entry_fields(entry: LedgerEntry) -> Fields:
    """A ledger entry; its decision as JSON text."""
    return msgspec.structs.asdict(entry) | {
        "person": entry.decision.person,
        "rule_id": entry.decision.rule_id,
        "decision": encode_decision(entry.decision).decode(),
        "expires_at": entry.updated_at + KEPT,
    }


def entry(fields: Fields | None) -> LedgerEntry | None:
    """A ledger entry; None when there is no such document."""
    if fields is None:
        return None
    decision = decode_decision(fields["decision"].encode())
    return msgspec.convert(instants(fields) | {"decision": decision}, LedgerEntry)


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
