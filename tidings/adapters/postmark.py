"""Postmark's door: the email API.

https://postmarkapp.com/developer/api/email-api
"""

import re
from collections.abc import Callable
from email.utils import quote

from msgspec import json

from tidings.adapters import mail_api, mail_url
from tidings.adapters.mail_api import MailApi, Verdicts
from tidings.adapters.mail_url import MailUrl
from tidings.errors import AddressError, TemporaryError
from tidings.mailing.mail import SEND_ID, Mail
from tidings.settings import SettingsError

VERDICTS: Verdicts = (
    (r"422 300\.To", AddressError),  # not an address
    (r"422 406", AddressError),  # inactive: it bounced or complained before, or somebody has suppressed it there
    # A server or account that may not send (yet), a sender or a stream that is not set up there.
    (r"422 (10|400|401|405|412|413|422|1226|1235|1236|1480)", TemporaryError),
    (r"503 100", TemporaryError),  # documented: maintenance
)
"""The code is Postmark's ErrorCode. https://postmarkapp.com/developer/api/overview#error-codes

Of 500 they write that the message is lost in most cases, which is not all.
"""


class PostmarkSender:
    """Sends mails by Postmark, which puts them together itself.

    Args:
        url: `postmark://:SERVER-TOKEN@[host][/stream]`. With two streams, `/outbound/broadcast`, transactional mail
            goes by the first and marketing mail by the second, as Postmark wants it. The host is `api.postmarkapp.com`.

    Raises:
        SettingsError: the URL cannot be used.
    """

    provider = "postmark"

    def __init__(self, url: MailUrl) -> None:
        mail_url.refuse_unknown_options(url, ())
        if url.user or not url.password or len(url.path) > 2:
            raise SettingsError("TIDINGS_MAIL_URL must look like postmark://:SERVER-TOKEN@/outbound/broadcast")
        headers = {
            "X-Postmark-Server-Token": url.password,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        self._streams = url.path or ("outbound",)
        self._api = MailApi(self.provider, url.base("api.postmarkapp.com"), VERDICTS, headers=headers)

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`."""
        stream = self._streams[0] if mail.tags.get("kind") == "transactional" else self._streams[-1]
        answer = self._api.post(self._api.request("/email", content=json.encode(_body(mail, stream))), leave)
        said = mail_api.fields(answer)
        if answer.status_code != 200 or said.get("ErrorCode") != 0:
            raise self._api.fault(answer, _code(said))

    def close(self) -> None:
        """See `Sender.close`."""
        self._api.close()


def _body(mail: Mail, stream: str) -> dict[str, object]:
    sender = f'"{quote(mail.from_name)}" <{mail.from_address}>' if mail.from_name else mail.from_address
    return {
        "From": sender,
        "To": mail.recipient,
        "Subject": mail.subject,
        "TextBody": mail.text,
        "HtmlBody": mail.html,
        "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
        "Tag": mail.tags.get("rule", "")[:1000],
        "Metadata": {SEND_ID: mail.send_id},
        "MessageStream": stream,
        "TrackOpens": False,
        "TrackLinks": "None",
    }


def _code(said: dict[str, object]) -> object:
    """Their code; 300 is about any field, and only its words say whether the recipient is meant."""
    code = said.get("ErrorCode", "")
    return f"{code}.To" if code == 300 and re.match("Invalid 'To'", str(said.get("Message"))) else code
