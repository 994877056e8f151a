"""The environment, read once, turned into one frozen object. Nothing else reads `os.environ` for configuration."""

import os
import re
from collections.abc import Mapping

import msgspec

from tidings.errors import TidingsError


class SettingsError(TidingsError):
    """The operator's fault: a variable is missing or cannot be read. The message names it, never its value."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between a laptop and production.

    Attributes (environment variable):
        project (GOOGLE_CLOUD_PROJECT): where the topics live.
        events_topic / sends_topic / dead_letters_topic (TIDINGS_EVENTS_TOPIC, ...): short topic names.
        store (TIDINGS_STORE): `sqlite:/path/to/file.db`, or `firestore` / `firestore:<database>`.
        write_keys (TIDINGS_WRITE_KEYS): comma-separated keys that the front door accepts.
        secret (TIDINGS_SECRET): signs unsubscribe links and digests addresses; at least 16 characters.
        public_url (TIDINGS_PUBLIC_URL): how recipients reach the `engage` function; no slash at the end.
        smtp_url (TIDINGS_SMTP_URL): `smtp://[user:password@]host[:port]` or `smtps://...`.
        mail_from (TIDINGS_MAIL_FROM): the From header, `Name <address>`.
        postal_address (TIDINGS_POSTAL_ADDRESS): the sender's street address, which CAN-SPAM wants in every mail.
        templates (TIDINGS_TEMPLATES): a folder of templates; empty means those that ship with the package.
        roles (TIDINGS_ROLES): who else a rule may write to, `support=help@example.com,sales=...`.
        delivery_attempts (TIDINGS_DELIVERY_ATTEMPTS): after how many Pub/Sub gives up on a decision, 10 to 100. The
            subscription is made with this number, and the mailer ends the decision a few deliveries earlier.
        lease_seconds (TIDINGS_LEASE_SECONDS): how long one worker of the mailer may work on a send, 10 to 600. The
            function's timeout and Pub/Sub's ack deadline are as long, so that nobody is asked again while a mail server
            still thinks about it; and so long waits a decision whose worker has died.
    """

    project: str = "tidings-local"
    events_topic: str = "tidings-events"
    sends_topic: str = "tidings-sends"
    dead_letters_topic: str = "tidings-dead-letters"
    store: str = "firestore"
    write_keys: tuple[str, ...] = ()
    secret: str = ""
    public_url: str = "http://localhost:8080"
    smtp_url: str = "smtp://localhost:25"
    mail_from: str = "Tidings <tidings@localhost.localdomain>"
    postal_address: str = ""
    templates: str = ""
    roles: dict[str, str] = {}
    delivery_attempts: int = 20
    lease_seconds: int = 120


_WHOLE_NUMBERS = {"delivery_attempts": (10, 100), "lease_seconds": (10, 600)}
"""What Pub/Sub takes; of its 5 to 100 deliveries, giving up in good order needs some."""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a value cannot be used; the message names the variable.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for field in Settings.__struct_fields__:
        name = "GOOGLE_CLOUD_PROJECT" if field == "project" else f"TIDINGS_{field.upper()}"
        if name in environ:
            values[field] = environ[name]
    if isinstance(keys := values.get("write_keys"), str):
        values["write_keys"] = tuple(key.strip() for key in keys.split(",") if key.strip())
    if isinstance(roles := values.get("roles"), str):
        values["roles"] = _read_roles(roles)
    for name, (least, most) in _WHOLE_NUMBERS.items():
        if isinstance(number := values.get(name), str):
            values[name] = _read_number(name, number, least, most)
    settings = msgspec.convert(values, Settings)
    if settings.secret and len(settings.secret) < 16:
        raise SettingsError("TIDINGS_SECRET must have at least 16 characters")
    return settings


def _read_number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text) or not least <= int(text) <= most:
        raise SettingsError(f"TIDINGS_{name.upper()} must be a whole number from {least} to {most}")
    return int(text)


def _read_roles(text: str) -> dict[str, str]:
    roles: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        role, _, address = (word.strip() for word in pair.partition("="))
        if not (role and address):
            raise SettingsError("TIDINGS_ROLES must look like: support=help@example.com,sales=sales@example.com")
        roles[role] = address
    return roles
