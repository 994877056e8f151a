"""Whether somebody's data may go where their mail goes: `address_age` has the rule, and here it meets links.

Asked twice: on the page where a copy or an erasure is asked for, so that people read at once why not; and when it is
confirmed, because anybody may publish a `Data Requested`, and the address may have changed since the mail was sent.
"""

from datetime import datetime

from functions.speech import ENGLISH, Speech
from tidings.errors import AddressError
from tidings.mailing.message import ascii_address
from tidings.permission.consent import address_digest
from tidings.records.address_age import is_trusted, trusted_from
from tidings.records.store import Profile, Store
from tidings.tokens import Confirmation


def address(profile: Profile | None) -> str:
    """Where mail for the person goes; empty when there is nowhere."""
    try:
        return ascii_address(profile.traits.get("email")) if profile else ""
    except AddressError:
        return ""


def mailbox(profile: Profile | None, secret: str) -> str:
    """The digest of that address; empty when there is none."""
    found = address(profile)
    return address_digest(found, secret) if found else ""


NO_ADDRESS = "There is no address that we could send a mail to."


def why_not(profile: Profile | None, now: datetime, say: Speech = ENGLISH) -> str:
    """Why no data is handed out or erased by mail to the address on file; empty when it may be."""
    if not address(profile):
        return say(NO_ADDRESS)
    if is_trusted(profile, now):
        return ""
    begins = trusted_from(profile)
    if begins is None:
        when = say("when we have heard it from you once more, and a week has passed")
    else:
        when = say("from {day} on", day=say.day(begins))
    return say(
        "We have not had this address for long, or another one was given meanwhile. So that nobody gets at your data "
        "by giving an address of their own, you can ask for a copy or for erasure here {when}.",
        when=when,
    )


def is_elsewhere(link: Confirmation, profile: Profile | None, store: Store, secret: str) -> bool:
    """Whether mail for the person goes to another address now than the mail that carried this link went to.

    A mail that the ledger does not know went nowhere; but when an erasure breaks off, its own mail may be gone already.
    """
    entry = store.ledger_entry(link.send_id)
    if entry is None:
        return link.purpose != "erase"
    went_to = entry.letter.address_digest if entry.letter else ""
    return not went_to or went_to != mailbox(profile, secret)
