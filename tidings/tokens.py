"""The signed words in an unsubscribe link: who leaves what, and which mail they had in hand.

A token never expires: CAN-SPAM wants the link to work for thirty days and people open old mail. It is signed and not
encrypted, so its reader can see the id that the sender's own site gave them. base64url is malleable (a changed last
character can decode to the same bytes), so nothing may compare tokens: compare what they decode to.
"""

import hashlib

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from tidings.settings import SettingsError

_SALT = "tidings.unsubscribe.v1"
"""A signature for one purpose is worthless for any other. A new payload shape takes a new salt."""


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


def sign_unsubscribe(person: str, category: str, send_id: str, secret: str) -> str:
    """The token for one mail's unsubscribe link: letters, digits, `-`, `_` and `.`; about 130 characters."""
    token = _serializer(secret).dumps([person, category, send_id])
    return token if isinstance(token, str) else token.decode()


def read_unsubscribe(token: str, secret: str) -> Unsubscribe | None:
    """What the token says, or None when we never signed it."""
    try:
        return msgspec.convert(_serializer(secret).loads(token), Unsubscribe)
    except (BadData, msgspec.ValidationError):
        return None


def _serializer(secret: str) -> URLSafeSerializer:
    if not secret:
        raise SettingsError("TIDINGS_SECRET is empty, and anybody could forge an unsubscribe link")
    return URLSafeSerializer(secret, _SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256})
