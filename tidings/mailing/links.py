"""The links in a mail by which its reader says something to us: leave, choose, confirm. Each carries a signed token."""

from collections.abc import Mapping
from datetime import timedelta
from typing import get_args
from urllib.parse import quote

import msgspec

from tidings.permission.consent import MARKETING
from tidings.settings import Settings
from tidings.tokens import (
    Confirmation,
    Preferences,
    Purpose,
    sign_confirmation,
    sign_preferences,
    sign_unsubscribe,
    unsubscribe_subject,
)
from tidings.wire.decisions import PERSON, Decision

LASTS: Mapping[Purpose, timedelta] = {
    "subscribe": timedelta(days=7),
    "export": timedelta(days=2),
    "erase": timedelta(days=2),
}
"""How long the link of a confirmation works, from the decision on. A link to data is worth more to a thief."""

CONFIRMED_EVENTS = ("Consent Given", "Data Requested")
"""What is asked for by mail before it is done: transactional mail about one of these carries `links.confirm`."""


class _Said(msgspec.Struct):
    category: object = None
    what: object = None


def unsubscribe_url(decision: Decision, settings: Settings) -> str:
    """The link that takes this person out of this mail's category; the same for header and body."""
    return f"{settings.public_url}/u/{_unsubscribe_token(decision, settings)}"


def unsubscribe_mailto(decision: Decision, settings: Settings) -> str:
    """The same as an address to write to; empty when nobody reads mail that unsubscribes (RFC 2369, RFC 6068)."""
    if not settings.unsubscribe_mailto:
        return ""
    subject = unsubscribe_subject(_unsubscribe_token(decision, settings))
    return f"mailto:{quote(settings.unsubscribe_mailto, safe='@+')}?subject={subject}"


def preferences_url(decision: Decision, settings: Settings) -> str:
    """The link to the person's preference centre."""
    token = sign_preferences(Preferences(decision.person, decision.send_id), settings.secret)
    return f"{settings.public_url}/p/{token}"


def confirmation_url(decision: Decision, settings: Settings) -> str | None:
    """The link that confirms what the mail asks about, or None for a mail that asks nothing.

    Transactional mail whose event is `Consent Given` asks whether this person agrees to its `category`, and one whose
    event is `Data Requested` whether it was they who asked for `what`: `export` or `erase`.
    """
    purpose, category = _asked(decision)
    if purpose is None:
        return None
    expires_at = int((decision.decided_at + LASTS[purpose]).timestamp())
    confirmation = Confirmation(purpose, decision.person, category, decision.send_id, expires_at)
    return f"{settings.public_url}/c/{sign_confirmation(confirmation, settings.secret)}"


def asks_for(decision: Decision) -> Purpose | None:
    """What a mail asks to be confirmed; None for a mail that asks nothing."""
    return _asked(decision)[0] if decision.to == PERSON else None


def _asked(decision: Decision) -> tuple[Purpose | None, str]:
    if decision.kind != "transactional" or decision.event.name not in CONFIRMED_EVENTS:
        return None, ""
    try:
        said = msgspec.json.decode(decision.event.properties, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""  # what cannot be read asks for nothing; the mail itself will say why it cannot be made
    if decision.event.name == "Consent Given":
        category = said.category or MARKETING
        return ("subscribe", category) if isinstance(category, str) else (None, "")
    requests: dict[object, Purpose] = {purpose: purpose for purpose in get_args(Purpose) if purpose != "subscribe"}
    return (requests.get(said.what), "") if isinstance(said.what, str) else (None, "")


def _unsubscribe_token(decision: Decision, settings: Settings) -> str:
    return sign_unsubscribe(decision.person, decision.category or MARKETING, decision.send_id, settings.secret)
