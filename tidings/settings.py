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
        mail_url (TIDINGS_MAIL_URL): the provider that mail leaves by, and how to log in there; the scheme names it. See
            `tidings.adapters.senders`: `smtp://[user:password@]host[:port]` (with TLS, unless it says otherwise), `smtps://...`,
            `sendgrid://...`, `ses://...`, `mailgun://...`, `postmark://...`.
        mail_from (TIDINGS_MAIL_FROM): the From header, `Name <address>`.
        return_path (TIDINGS_RETURN_PATH): where direct SMTP's bounces go, `bounces@mail.example.com`; each mail adds
            its send id, `bounces+<send id>@mail.example.com`. Empty for the From address.
        unsubscribe_mailto (TIDINGS_UNSUBSCRIBE_MAILTO): an address whose mail reaches `/hooks/inbound`; with it,
            List-Unsubscribe names a mailto form as well.
        dkim_key (TIDINGS_DKIM_KEY): a private RSA key in PEM, to sign mail that leaves by SMTP; empty when the provider
            signs.
        dkim_selector (TIDINGS_DKIM_SELECTOR): where its public half is, `<selector>._domainkey.<domain of From>`.
        policy (TIDINGS_POLICY): a folder with `categories.yaml` and `sending.yaml`; empty means those that ship with
            the package. See `tidings.permission.categories` and `tidings.mailing.sending`.
        hooks (TIDINGS_HOOKS): which webhooks are let in, and by what they are known, `sendgrid=<public key>,
            mailgun=<signing key>,postmark=<user:password>,ses=<topic ARN>,inbound=<user:password>`.
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
    mail_url: str = "smtp://localhost:25?tls=none"
    mail_from: str = "Tidings <tidings@localhost.localdomain>"
    return_path: str = ""
    unsubscribe_mailto: str = ""
    dkim_key: str = ""
    dkim_selector: str = ""
    policy: str = ""
    hooks: dict[str, str] = {}
    postal_address: str = ""
    templates: str = ""
    roles: dict[str, str] = {}
    delivery_attempts: int = 20
    lease_seconds: int = 120

    @property
    def dead_letters_subscription(self) -> str:
        """What keeps dead letters until somebody has looked."""
        return f"{self.dead_letters_topic}-inspect"


_PAIRS = {"roles": "support=help@example.com,sales=sales@example.com", "hooks": "mailgun=key,postmark=user:password"}
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
    for name, example in _PAIRS.items():
        if isinstance(pairs := values.get(name), str):
            values[name] = _read_pairs(name, pairs, example)
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


def _read_pairs(setting: str, text: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in pair.partition("="))
        if not (name and value):
            raise SettingsError(f"TIDINGS_{setting.upper()} must look like: {example}")
        pairs[name] = value
    return pairs
