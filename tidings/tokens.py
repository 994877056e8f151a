"""The signed words in the links of a mail: who leaves what, whose preferences these are, what is confirmed or seen.

Tokens of unsubscribe and preference links never expire: CAN-SPAM wants the link to work for thirty days and people open
old mail. A token is signed and not encrypted, so its reader can see the id that the sender's own site gave them.
base64url is malleable (a changed last character can decode to the same bytes), so nothing may compare tokens: compare
what they decode to. A signature for one purpose is worthless for any other.
"""

import base64
import hashlib
import hmac
import re
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from tidings.settings import SettingsError

_UNSUBSCRIBE, _PREFERENCES, _CONFIRM, _HIT = (
    f"tidings.{purpose}.v1" for purpose in ("unsubscribe", "preferences", "confirm", "hit")
)
"""One salt for each purpose. A new payload shape takes a new salt."""
_SUBJECT = "unsubscribe:"

_Payload = TypeVar("_Payload", bound=msgspec.Struct)


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True):
    """What an unsubscribe link says.

    Attributes:
        person: whose consent it is about.
        category: the category of the mail that carried the link, or `marketing`.
        send_id: that mail.
    """

    person: str
    category: str
    send_id: str


class Preferences(msgspec.Struct, frozen=True, array_like=True):
    """What the link to a preference centre says: whose it is, and from which mail they come."""

    person: str
    send_id: str


Purpose = Literal["subscribe", "export", "erase"]


class Confirmation(msgspec.Struct, frozen=True, array_like=True):
    """What the link in a confirmation mail says.

    Attributes:
        purpose: what is confirmed.
        person: by whom.
        category: of `subscribe`, what they agree to; otherwise empty.
        send_id: of the mail that carries the link: the link works once.
        expires_at: in seconds since 1970 UTC.
    """

    purpose: Purpose
    person: str
    category: str
    send_id: str
    expires_at: int


class Hit(NamedTuple):
    """What a tracked link says: which mail, and the how manieth of its links, from 1 on; 0 is the open pixel."""

    send_id: str
    link: int


def sign_unsubscribe(person: str, category: str, send_id: str, secret: str) -> str:
    """The token for one mail's unsubscribe link: letters, digits, `-`, `_` and `.`; about 130 characters."""
    return _sign(Unsubscribe(person, category, send_id), _UNSUBSCRIBE, secret)


def read_unsubscribe(token: str, secret: str) -> Unsubscribe | None:
    """What the token says, or None when we never signed it."""
    return _read(token, Unsubscribe, _UNSUBSCRIBE, secret)


def unsubscribe_subject(token: str) -> str:
    """The subject of a mail that unsubscribes: what the `mailto:` form of List-Unsubscribe asks a mail program for."""
    return f"{_SUBJECT}{token}"


def read_unsubscribe_subject(subject: str) -> str | None:
    """The token in the (decoded) subject of a mail; None when it does not speak of unsubscribing.

    A mail program may put `Re: ` before it, and what a person types may have another case and a space in it. Whether
    the token is ours, `read_unsubscribe` says.
    """
    found = re.search(rf"(?i:{_SUBJECT})\s*([A-Za-z0-9._-]+)", subject)
    return found[1] if found else None


def sign_preferences(preferences: Preferences, secret: str) -> str:
    """The token for the link to a person's preference centre."""
    return _sign(preferences, _PREFERENCES, secret)


def read_preferences(token: str, secret: str) -> Preferences | None:
    """What the token says, or None when we never signed it."""
    return _read(token, Preferences, _PREFERENCES, secret)


def sign_confirmation(confirmation: Confirmation, secret: str) -> str:
    """The token for the link in a confirmation mail."""
    return _sign(confirmation, _CONFIRM, secret)


def read_confirmation(token: str, secret: str) -> Confirmation | None:
    """What the token says, expired or not; None when we never signed it."""
    return _read(token, Confirmation, _CONFIRM, secret)


_HIT_BYTES, _MAC_BYTES = 18, 12


def sign_hit(hit: Hit, secret: str) -> str:
    """The token for a tracked link, in 40 characters: there are many in a mail, and Gmail clips long mails.

    16 bytes of send id, 2 of number and 12 of HMAC-SHA256, as base64url. Forging one takes 2^96 tries on average.
    """
    _need(secret)
    said = bytes.fromhex(hit.send_id) + hit.link.to_bytes(2, "big")
    return base64.urlsafe_b64encode(said + _mac(said, secret)).decode()


def read_hit(token: str, secret: str) -> Hit | None:
    """What the token says, or None when we never signed it."""
    _need(secret)
    try:
        given = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return None
    said, mac = given[:_HIT_BYTES], given[_HIT_BYTES:]
    if len(given) != _HIT_BYTES + _MAC_BYTES or not hmac.compare_digest(mac, _mac(said, secret)):
        return None
    return Hit(said[:16].hex(), int.from_bytes(said[16:], "big"))


def _mac(said: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), _HIT.encode() + said, "sha256")[:_MAC_BYTES]


def _sign(payload: msgspec.Struct, salt: str, secret: str) -> str:
    token = _serializer(salt, secret).dumps(msgspec.structs.astuple(payload))
    return token if isinstance(token, str) else token.decode()


def _read(token: str, kind: type[_Payload], salt: str, secret: str) -> _Payload | None:
    try:
        return msgspec.convert(_serializer(salt, secret).loads(token), kind)
    except (BadData, msgspec.ValidationError):
        return None


@lru_cache(maxsize=16)
def _serializer(salt: str, secret: str) -> URLSafeSerializer:
    _need(secret)
    return URLSafeSerializer(secret, salt, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256})


def _need(secret: str) -> None:
    if not secret:
        raise SettingsError("TIDINGS_SECRET is empty, and anybody could forge the links of a mail")
