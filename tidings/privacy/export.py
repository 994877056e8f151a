"""A copy of everything that is kept about a person, as one JSON object: GDPR articles 15 and 20.

docs/privacy.md has the shape, field by field. A field that has been there once keeps its name and meaning; `schema`
changes when that cannot be.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tidings.explaining.archive import history_of, of_person
from tidings.feedback import email_events
from tidings.history.gather import Window
from tidings.history.sources import Unit
from tidings.permission.consent import address_digest, person_digest
from tidings.privacy.kept import TABLE
from tidings.privacy.membership import memberships
from tidings.records.store import Activity, ConsentRecord, LedgerEntry, Profile, Receipt, Store
from tidings.rollout import rule_source
from tidings.settings import Settings
from tidings.wire.dead_letter import without_write_key
from tidings.wire.events import Event, encode, receipt

SCHEMA = "tidings.export.v1"

EVERYTHING = 1_000_000
"""More than anybody has of anything; a store gives it in pages where it must."""

PROVIDED = ("profiles", "consents", "activity", "events", "feedback")
"""What the person gave us or did before our eyes, which is what article 20 speaks of."""

DERIVED = ("sends", "segments", "suppressions")
"""What we made of it."""


def export(
    store: Store,
    settings: Settings,
    person: str,
    at: datetime,
    requested_by: str,
    archive: Sequence[Unit] = (),
) -> dict[str, Any]:
    """Everything, as plain data that JSON can hold; a receipt of kind `export` is kept.

    Args:
        store: what is kept.
        settings: whose secret names people in receipts, and who answers for the data.
        person: as `Event.person`; of a known person the anonymous ids that joined them are part of it.
        at: now.
        requested_by: `recipient` or `operator`.
        archive: the archived events, if they can be read from here; without it, the file says what is missing.

    Raises:
        HistoryError: the archive cannot be read.
        TemporaryError: the store or the archive, not now.
    """
    ids = [person, *store.joined_to(person)]
    profiles = [_before_others(found) for one in ids if (found := store.profile(one)) is not None]
    joined = {one.person: one.joined[0] for one in profiles if one.joined}
    consents = [record for one in ids for record in store.consent(one, origins=True) if _is_theirs(record, joined)]
    activity = [line for one in ids for line in store.activity(one, EVERYTHING) if _is_theirs(line, joined)]
    sends = [entry for one in ids for entry in store.ledger(one, EVERYTHING)]
    feedback = [item for one in ids for item in store.feedback(one, limit=EVERYTHING, origins=True)]
    history = _history(person, archive) if archive else None
    own = next((one for one in profiles if one.person == person), None)
    segments = memberships(person, own, rule_source.in_force(store, at), history, at)
    suppressions = [_suppression(store, settings, one) for one in addresses(profiles)]
    sections: dict[str, list[Any]] = {
        "profiles": [_profile(one) for one in profiles],
        "consents": [_consent(one) for one in consents],
        "activity": activity,
        "events": [_read(without_write_key(encode(one))) for one in history or ()],
        "sends": [_send(one) for one in sends],
        "feedback": feedback,
        "segments": segments,
        "suppressions": suppressions,
    }
    counts = {name: len(found) for name, found in sections.items()}
    kept = Receipt(
        receipt_id=receipt_id("export", person, at, settings.secret),
        kind="export",
        person_digest=person_digest(person, settings.secret),
        at=at,
        counts=counts,
        requested_by=requested_by,
    )
    told = {
        "schema": SCHEMA,
        "exported_at": at,
        "receipt_id": kept.receipt_id,
        "controller": {"name": settings.mail_from, "postal_address": settings.postal_address},
        "person": person,
        "ids": ids,
        **sections,
        "sources": _sources(consents, activity, history or (), [one.source for one in feedback]),
        "recipients": sorted({one.letter.provider for one in sends if one.letter and one.letter.provider}),
        "retention": TABLE,
        "portability": {"provided_by_the_person": PROVIDED, "derived": DERIVED},
        "missing": _missing(history, any(one.member is None for one in segments)),
        "counts": counts,
    }
    plain: dict[str, Any] = msgspec.to_builtins(told)
    store.put_receipt(kept)
    return plain


def receipt_id(what: str, person: str, at: datetime, secret: str) -> str:
    """The id of a receipt: 32 hexadecimal characters that say nothing to whoever does not have the secret."""
    text = f"{what} {at.isoformat()} {person_digest(person, secret)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def addresses(profiles: Iterable[Profile]) -> list[str]:
    """The addresses that somebody is known by."""
    found = (one.traits.get("email") for one in profiles)
    return list(dict.fromkeys(one for one in found if isinstance(one, str) and one.strip()))


def _is_theirs(one: ConsentRecord | Activity, joined: Mapping[str, datetime]) -> bool:
    """Whether it is not what somebody else has done on the same computer (docs/identity.md).

    What an anonymous id does after it has joined is written down once more, under the person that it belongs to.
    """
    return one.person not in joined or one.at <= joined[one.person]


def _before_others(profile: Profile) -> Profile:
    """A profile with the traits that it had when it joined; as `_is_theirs`."""
    if profile.joined is None:
        return profile
    until = profile.joined[0]
    traits = {name: value for name, value in profile.traits.items() if profile.trait_times[name] <= until}
    return msgspec.structs.replace(profile, traits=traits)


def _history(person: str, archive: Sequence[Unit]) -> list[Event]:
    """What the archive holds of them, in order of receipt, each event once: the archive may have it twice."""
    found = sorted(history_of(person, of_person(person, archive, Window()).heard), key=receipt)
    return list({one.message_id: one for one in reversed(found)}.values())[::-1]


def _profile(profile: Profile) -> dict[str, Any]:
    traits = [
        {"name": name, "value": value, "at": profile.trait_times.get(name)} for name, value in profile.traits.items()
    ]
    joined = profile.joined and {"at": profile.joined[0], "person": profile.joined[1]}
    return {
        "person": profile.person,
        "first_seen": profile.first_seen,
        "last_seen": profile.last_seen,
        "joined": joined,
        "traits": traits,
        "address_days": profile.address_days,
    }


def _consent(record: ConsentRecord) -> dict[str, Any]:
    """A word on consent; the digest of a mailbox stays here, as that of `_send`."""
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name != "mailbox"}


def _send(entry: LedgerEntry) -> dict[str, Any]:
    """A mail that went out, or did not. The digest of the address stays here: with the secret it is worth something."""
    decision = entry.decision
    return {
        "send_id": entry.send_id,
        "person": decision.person,
        "rule": decision.rule_id,
        "rule_version": decision.rule_version,
        "template": decision.template,
        "kind": decision.kind,
        "category": decision.category,
        "to": decision.to,
        "decided_at": decision.decided_at,
        "because_of": [
            {"event": one.name, "at": one.timestamp, "properties": _read(one.properties)}
            for one in decision.events or (decision.event,)
        ],
        "evidence": decision.evidence,
        "status": entry.status,
        "reason": entry.reason,
        "detail": entry.detail,
        "ended_at": entry.updated_at,
        "subject": entry.letter.subject if entry.letter else "",
        "links": entry.links,
        "provider": entry.letter.provider if entry.letter else "",
    }


def _read(text: bytes) -> Any:
    """What JSON says; the text itself where it holds a number that nobody can read, such as 1e999."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return bytes(text).decode()


def _suppression(store: Store, settings: Settings, address: str) -> dict[str, Any]:
    found = store.suppression(address_digest(address, settings.secret))
    return {
        "address": address,
        "suppressed": found is not None,
        "reason": found.reason if found else None,
        "since": found.at if found else None,
    }


def _sources(
    consents: Iterable[Any], activity: Iterable[Activity], history: Iterable[Event], feedback: Iterable[str]
) -> list[dict[str, Any]]:
    """Where it came from (article 15(1)(g)), as far as it is known."""
    ours = {*email_events.NAMES.values(), email_events.SENT, email_events.SUPPRESSED}
    libraries = {_library(one) for one in history} - {""}
    visited = any(line.kind == "event" and line.label not in ours for line in activity)
    events = sorted(libraries) or (["websites, apps and servers that send events"] if visited else [])
    return [
        {"of": "events", "from": events},
        {"of": "consents", "from": sorted({one.source for one in consents})},
        {"of": "feedback", "from": sorted({*feedback})},
    ]


def _library(event: Event) -> str:
    """The software that sent an event, such as `analytics.js`."""
    context = _read(event.context)
    library = context.get("library") if isinstance(context, dict) else None
    name = library.get("name") if isinstance(library, dict) else None
    return name if isinstance(name, str) else ""


def _missing(history: Sequence[Event] | None, segments: bool) -> list[dict[str, str]]:
    """What this file does not hold, and why; empty when it is whole."""
    found = []
    if history is None:
        why = "the archive was not read; `activity` lists what happened, without what each event carried"
        found.append({"what": "events", "why": why})
    if segments:
        why = "whether the person is in a segment that counts events can be worked out from the archive alone"
        found.append({"what": "segments whose member is null", "why": why})
    return found
