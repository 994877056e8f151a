"""Who gets the mail of a decision: the person, if they may be written to, or a role of our own, such as support."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tidings.deciding.bookkeeping import GRACE
from tidings.errors import AddressError, TemporaryError, TidingsError
from tidings.mailing.message import ascii_address
from tidings.permission import categories
from tidings.permission.consent import MARKETING, address_digest, is_erased, permission, said_for
from tidings.records.store import ERASED, Activity, ConsentRecord, Profile, Store
from tidings.settings import Settings
from tidings.wire.decisions import PERSON, Decision, Reason

LATEST = 25
"""So many lines of activity go along with a mail to a role."""


class SuppressedError(TidingsError):
    """Something speaks against this mail, and it is nobody's fault."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class UnknownRoleError(TidingsError):
    """The operator's fault: a rule writes to a role, and TIDINGS_ROLES gives it no address that can be mailed."""


class Recipient(NamedTuple):
    """Where a mail goes, and what its template is told of the person that it is about.

    Attributes:
        address: as `ascii_address` returns it.
        digest: the name under which a dead address is suppressed; empty for a role, which never is.
        consent: every word of the person on consent; none for a role.
        activity: what the person did lately, newest first; for a role alone.
    """

    address: str
    profile: Profile
    digest: str = ""
    consent: Sequence[ConsentRecord] = ()
    activity: Sequence[Activity] = ()


def find(decision: Decision, store: Store, settings: Settings, now: datetime) -> Recipient:
    """Whom to mail.

    Raises:
        SuppressedError: the person has no address, or must not be written to.
        UnknownRoleError: the role has no address.
        TemporaryError: what the mail needs may be there in a moment.
    """
    if decision.to == PERSON:
        return _person(decision, store, settings, now)
    return _role(decision, store, settings, now)


def _person(decision: Decision, store: Store, settings: Settings, now: datetime) -> Recipient:
    """Address, suppression, consent, in this order."""
    profile = store.profile(decision.person)
    email = profile.traits.get("email") if profile else None
    if profile is None or not email:
        if now - decision.decided_at < GRACE:
            raise TemporaryError("the address is not known yet")
        raise SuppressedError("missing_address", "no email trait" if profile else "no profile")
    if is_erased(email):
        raise SuppressedError("suppressed_address", ERASED)
    try:
        address = ascii_address(email)
    except AddressError as fault:
        raise SuppressedError("missing_address", str(fault)) from None
    digest = address_digest(address, settings.secret)
    if store.suppression(digest):
        raise SuppressedError("suppressed_address")
    category = categories.load(settings.policy)[decision.category or MARKETING]
    records = said_for(digest, store.consent(decision.person))
    refusal = permission(decision.kind, category.id, records, double_opt_in=category.double_opt_in)
    if refusal:
        raise SuppressedError(refusal)
    return Recipient(address, profile, digest, records)


def _role(decision: Decision, store: Store, settings: Settings, now: datetime) -> Recipient:
    """A role is ourselves at work, so nobody's consent is asked.

    Nor is the suppression list: it holds what people and their mailboxes said about mail to them. Were our own desk on
    it after one bounce, calls for help would end there in silence.
    """
    try:
        address = ascii_address(settings.roles.get(decision.to, ""))
    except AddressError:
        raise UnknownRoleError(f"TIDINGS_ROLES has no address for {decision.to}") from None
    lines = store.activity(decision.person, LATEST)
    is_complete = any(line.kind == "event" and line.at >= decision.event.timestamp for line in lines)
    if not is_complete and now - decision.decided_at < GRACE:
        raise TemporaryError("what the person did is not in their activity yet")
    others = [line for line in lines if line.detail.get("send_id") != decision.send_id]
    return Recipient(address, store.profile(decision.person) or Profile(person=decision.person), activity=others)
