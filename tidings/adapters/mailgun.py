"""Mailgun's door: messages.mime, which takes our bytes.

https://documentation.mailgun.com/docs/mailgun/api-reference
"""

import re
from collections.abc import Callable

import httpx

from tidings.adapters import mail_api, mail_url
from tidings.adapters.mail_api import MailApi, Verdicts
from tidings.adapters.mail_url import MailUrl
from tidings.errors import AddressError, TemporaryError
from tidings.mailing.mail import SEND_ID, Mail
from tidings.settings import SettingsError

VERDICTS: Verdicts = (
    (r"400 to", AddressError),  # "to parameter is not a valid address"
    (r"400 sandbox", TemporaryError),  # a domain for trying things out writes to nobody else
)
"""The code is ours, for two messages that tell whose fault a 400 is.

402 is an unpaid bill, 404 an unknown domain, 429 a limit. A 5xx of theirs has been seen by customers for mail that was
sent all the same, and they document none that could be relied on.
"""

NO_TRACKING = {"o:tracking": "no", "o:tracking-clicks": "no", "o:tracking-opens": "no"}


class MailgunSender:
    """Sends mails by Mailgun, as they are.

    Args:
        url: `mailgun://:API-KEY@[host]/DOMAIN`; the host is `api.mailgun.net`, or `api.eu.mailgun.net`.

    Raises:
        SettingsError: the URL cannot be used.
    """

    provider = "mailgun"

    def __init__(self, url: MailUrl) -> None:
        mail_url.refuse_unknown_options(url, ())
        if url.user or not url.password or len(url.path) != 1 or not re.fullmatch(r"[\w.-]+", url.path[0]):
            raise SettingsError("TIDINGS_MAIL_URL must look like mailgun://:API-KEY@api.eu.mailgun.net/DOMAIN")
        self._path = f"/v3/{url.path[0]}/messages.mime"
        self._api = MailApi(self.provider, url.base("api.mailgun.net"), VERDICTS, auth=("api", url.password))

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`."""
        form = {
            "to": mail.recipient,
            "o:tag": sorted({tag[:128] for tag in mail.tags.values()}),
            f"v:{SEND_ID}": mail.send_id,
            **NO_TRACKING,
        }
        message = ("message.eml", mail.data, "message/rfc822")
        answer = self._api.post(self._api.request(self._path, data=form, files={"message": message}), leave)
        if answer.status_code != 200 or not mail_api.fields(answer).get("id"):
            raise self._api.fault(answer, _code(answer))

    def close(self) -> None:
        """See `Sender.close`."""
        self._api.close()


def _code(answer: httpx.Response) -> str:
    message = str(mail_api.fields(answer).get("message"))
    if re.match("'?to'? parameter is not a valid address", message):
        return "to"
    return "sandbox" if message.startswith("Sandbox subdomains") else ""
