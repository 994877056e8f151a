"""Forget a person (GDPR article 17): by id or by address, restartable after a crash between any two steps.

The order is what makes it safe:

1. The digests of their addresses are suppressed. From here on nobody is mailed there, whoever imports the address anew.
2. A note says what is about to go: ids and digests, no address. Whoever runs the erasure again after a crash goes on
   from it, although the profile that led to the anonymous ids and addresses may be gone by then.
3. A receipt for each id. From here on decisions that wait in a queue end as `erased`: the mailer asks `erased_at`.
4. One message for each id tells the pipeline, which clears its state and timers. Before the store, so that little is
   decided in between. What the pipeline has written when it comes to the message, it deletes
   (`tidings.deciding.bookkeeping`).
5. The store lets go of profile, consent, activity, feedback and ledger, of every id.
6. Dead letters that speak of them go. Last, because until now new ones could come.
7. Receipts with what was found, and the note goes.

What is left is digests: in the suppression list, so that a re-import stays suppressed, and in the receipts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec
from email_validator import EmailNotValidError, validate_email

from tidings.deciding import erasure
from tidings.permission.consent import address_digest, person_digest
from tidings.privacy.export import EVERYTHING, addresses, receipt_id
from tidings.privacy.mentions import Mentions
from tidings.records.store import ERASED, Receipt, Store
from tidings.settings import Settings
from tidings.wire.topics import Publisher, Sieve, Sifted


class Plan(msgspec.Struct, frozen=True):
    """What is about to go. It is kept as a note until it is gone.

    Attributes:
        ids: the people, and the anonymous ids that joined them.
        digests: of their addresses.
    """

    ids: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    def __or__(self, other: "Plan") -> "Plan":
        """Both, each thing once."""
        ids, digests = (*self.ids, *other.ids), (*self.digests, *other.digests)
        return Plan(tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(digests)))


class Known(NamedTuple):
    """What somebody is known by.

    Attributes:
        ids: as `Event.person`.
        addresses: in plain.
        sharing: others who have one of the addresses, and whose data is their own.
    """

    ids: list[str]
    addresses: list[str]
    sharing: list[str]


def erase(
    store: Store,
    publisher: Publisher,
    settings: Settings,
    person: str,
    at: datetime,
    requested_by: str,
    sieve: Sieve | None = None,
) -> Receipt:
    """Forget one person, and the anonymous ids that joined them.

    Running it again changes nothing that is left, and keeps another receipt.

    Args:
        store: what is kept.
        publisher: takes the messages for the pipeline.
        settings: the secret of the digests, the name of the events topic.
        person: as `Event.person`.
        at: now. What was decided before it is not sent any more.
        requested_by: `recipient` or `operator`.
        sieve: over the dead letters; None leaves them alone: `tidings.privacy.letters` finds them later.

    Returns:
        The receipt. `counts` has what was deleted, `ids`, `addresses`, and of the dead letters how many were looked at,
        how many went, and whether (1 or 0) the end was reached.

    Raises:
        TemporaryError: not now; run it again.
        SettingsError: there is no secret.
    """
    subject = person_digest(person, settings.secret)
    plan = _noted(store, subject) | _planned(store, settings, [person])
    return _carry_out(store, publisher, settings, subject, plan, at, requested_by, sieve)


def erase_address(
    store: Store,
    publisher: Publisher,
    settings: Settings,
    address: str,
    at: datetime,
    requested_by: str,
    sieve: Sieve | None = None,
) -> Receipt:
    """Forget everybody who has this address, and suppress it even if nobody has.

    Arguments and faults as of `erase`. In the receipt `person_digest` is the digest of the address.
    """
    subject = address_digest(address, settings.secret)
    plan = _noted(store, subject) | Plan((), (subject,)) | _planned(store, settings, people_at(store, address))
    return _carry_out(store, publisher, settings, subject, plan, at, requested_by, sieve)


def people_at(store: Store, address: str) -> list[str]:
    """Everybody who has this address, however it is written."""
    return sorted({one for form in _forms(address) for one in store.people_at(form)})


def known_by(store: Store, person: str | None, address: str | None) -> Known:
    """What to look for elsewhere of a person, or of everybody with an address."""
    ids, theirs = _theirs(store, [person] if person else people_at(store, address or ""))
    addresses = list(dict.fromkeys([*theirs, *([address] if address else [])]))
    sharing = {one for found in addresses for one in people_at(store, found)} - {*ids}
    return Known(ids, addresses, sorted(sharing))


def _carry_out(
    store: Store,
    publisher: Publisher,
    settings: Settings,
    subject: str,
    plan: Plan,
    at: datetime,
    requested_by: str,
    sieve: Sieve | None,
) -> Receipt:
    """The seven steps. `subject` is the digest of whom or what the request named."""

    def receipt(of: str, what: str, counts: Mapping[str, int]) -> Receipt:
        return Receipt(
            receipt_id=receipt_id(f"erasure {what}", of, at, settings.secret),
            kind="erasure",
            person_digest=of,
            at=at,
            counts=dict(counts),
            requested_by=requested_by,
        )

    for one in plan.digests:
        store.suppress(one, ERASED, at)
    store.put_note(_note(subject), msgspec.to_builtins(plan))
    names = {one: person_digest(one, settings.secret) for one in plan.ids}
    for digest in names.values():
        store.put_receipt(receipt(digest, "begun", {}))
    publisher.publish(settings.events_topic, [erasure.message(one, at) for one in plan.ids])
    found = {one: store.erase_person(one) for one in plan.ids}
    total = Counter(ids=len(plan.ids), addresses=len(plan.digests))
    for counts in found.values():
        total.update(counts)
    if sieve is not None:
        total.update(letter_counts(sieve(Mentions(plan.ids, plan.digests, settings.secret))))
    for one, digest in names.items():
        if digest != subject:
            store.put_receipt(receipt(digest, "done", found[one]))
    last = receipt(subject, "done", total)
    store.put_receipt(last)
    store.put_note(_note(subject), None)
    return last


def _planned(store: Store, settings: Settings, people: Iterable[str]) -> Plan:
    """What the store knows: every id, the addresses of their profiles, and those that they were mailed at."""
    ids, theirs = _theirs(store, people)
    digests = [address_digest(one, settings.secret) for one in theirs]
    letters = [entry.letter for one in ids for entry in store.ledger(one, EVERYTHING)]
    mailed = [one.address_digest for one in letters if one is not None and one.address_digest]
    return Plan(tuple(ids), (*digests, *mailed))


def _theirs(store: Store, people: Iterable[str]) -> tuple[list[str], list[str]]:
    """The ids of these people, and their addresses.

    An anonymous id that gave one of their addresses, in the form of another browser say, and joined nobody else is
    theirs as well: it keeps that address.
    """
    ids = dict.fromkeys(one for person in people for one in (person, *store.joined_to(person)))
    theirs = addresses(found for one in ids if (found := store.profile(one)) is not None)
    for one in (one for address in theirs for one in people_at(store, address) if one.startswith("a:")):
        profile = store.profile(one)
        if profile is not None and (profile.joined is None or profile.joined[1] in ids):
            ids[one] = None
    return list(ids), theirs


def _noted(store: Store, subject: str) -> Plan:
    """What an erasure that did not come to its end had still to do."""
    note = store.note(_note(subject))
    return Plan() if note is None else msgspec.convert(note, Plan)


def _note(subject: str) -> str:
    return f"erasure:{subject}"


def _forms(address: str) -> set[str]:
    """How an address may stand in a profile: as it was typed, or its domain in one script or the other."""
    found = {address, address.strip()}
    with suppress(EmailNotValidError):
        valid = validate_email(address.strip(), check_deliverability=False, test_environment=True)
        found |= {one for one in (valid.normalized, valid.ascii_email) if one}
    return found


def letter_counts(sifted: Sifted) -> Counter[str]:
    """What became of the dead letters, as a receipt counts it."""
    return Counter(dead_letters_seen=sifted.seen, dead_letters=sifted.taken, dead_letters_complete=int(sifted.complete))
