"""Opens the door that the settings name: TIDINGS_MAIL_URL, whose scheme is the provider.

| provider | the URL |
| --- | --- |
| SMTP | `smtp://[user:password@]host[:port][?tls=optional]`, `smtps://...` |
| SendGrid | `sendgrid://:API-KEY@[host]` |
| Mailgun | `mailgun://:API-KEY@[host]/DOMAIN` |
| Postmark | `postmark://:SERVER-TOKEN@[host][/stream]` |
| Amazon SES | `ses://[KEY:SECRET@]REGION[/CONFIGURATION-SET]` |

What is not a letter or digit of a key or password is percent-quoted, as in every URL. With `+http` after the scheme the
API is spoken to without TLS, which is for a stand-in on this machine.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

import msgspec

from tidings.adapters import mail_url
from tidings.adapters.mail_url import MailUrl
from tidings.adapters.smtp import SmtpSender
from tidings.mailing.dkim import Signer
from tidings.mailing.mail import Mail, Sender
from tidings.settings import Settings, SettingsError

APIS = {"sendgrid": "SendGridSender", "mailgun": "MailgunSender", "postmark": "PostmarkSender", "ses": "SesSender"}
"""Module here and class in it. Only the one that is used is loaded: what they need takes its time to load."""


class SigningSender:
    """Signs each mail before another sender gets it."""

    def __init__(self, signer: Signer, sender: Sender) -> None:
        self._signer = signer
        self._sender = sender

    @property
    def provider(self) -> str:
        """See `Sender`."""
        return self._sender.provider

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`."""
        signed = self._signer.sign(mail.data, mail.from_address.rpartition("@")[2])
        self._sender.send(msgspec.structs.replace(mail, data=signed), leave)

    def close(self) -> None:
        """See `Sender.close`."""
        self._sender.close()


def open_sender(settings: Settings) -> Sender:
    """The sender of these settings.

    Raises:
        SettingsError: no such provider, its URL cannot be used (it is not quoted, because it may hold a password), or
            mail cannot be signed with these settings.
    """
    url = mail_url.read(settings.mail_url)
    signing = settings.dkim_key or settings.dkim_selector
    if url.scheme in APIS:
        if signing:
            raise SettingsError("TIDINGS_DKIM_KEY is for smtp://: the other providers sign by themselves")
        return _open_api(url)
    sender = SmtpSender(settings.mail_url)
    return SigningSender(Signer(settings.dkim_key, settings.dkim_selector), sender) if signing else sender


def _open_api(url: MailUrl) -> Sender:
    try:
        module = import_module(f"tidings.adapters.{url.scheme}")
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"TIDINGS_MAIL_URL names {url.scheme}, which needs {missing.name}: see docs/providers.md"
        ) from None
    opener = cast("Callable[[MailUrl], Sender]", getattr(module, APIS[url.scheme]))
    return opener(url)
