"""SendGrid's door: Mail Send, v3.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

from collections.abc import Callable

import httpx
from msgspec import json

from tidings.adapters import mail_api, mail_url
from tidings.adapters.mail_api import MailApi, Verdicts
from tidings.adapters.mail_url import MailUrl
from tidings.errors import AddressError, TemporaryError
from tidings.mailing.mail import SEND_ID, Mail
from tidings.settings import SettingsError

VERDICTS: Verdicts = (
    (r"400 personalizations\.\d+\.to\..*", AddressError),  # "Does not contain a valid address."
    (r"503 .*", TemporaryError),  # documented: the API is not available
)
"""The code is the field at fault. https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors

401 is also what is said when the credits are used up, and 403 when the From address is not verified.
"""

NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},  # it would put its own List-Unsubscribe in the place of ours
    "ganalytics": {"enable": False},
}


class SendGridSender:
    """Sends mails by SendGrid, which puts them together itself.

    Args:
        url: `sendgrid://:API-KEY@[host]`; the host is `api.sendgrid.com`, or `api.eu.sendgrid.com`.

    Raises:
        SettingsError: the URL cannot be used.
    """

    provider = "sendgrid"

    def __init__(self, url: MailUrl) -> None:
        mail_url.refuse_unknown_options(url, ())
        if url.user or not url.password or url.path:
            raise SettingsError("TIDINGS_MAIL_URL must look like sendgrid://:API-KEY@ or ...@api.eu.sendgrid.com")
        headers = {"Authorization": f"Bearer {url.password}", "Content-Type": "application/json"}
        self._api = MailApi(self.provider, url.base("api.sendgrid.com"), VERDICTS, headers=headers)

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`."""
        answer = self._api.post(self._api.request("/v3/mail/send", content=json.encode(_body(mail))), leave)
        if answer.status_code != 202:  # 200 is the sandbox's: valid, and not sent
            raise self._api.fault(answer, _field(answer))

    def close(self) -> None:
        """See `Sender.close`."""
        self._api.close()


def _body(mail: Mail) -> dict[str, object]:
    sender = {"email": mail.from_address, "name": mail.from_name}
    bodies = (("text/plain", mail.text), ("text/html", mail.html))  # the plain one has to come first
    return {
        "personalizations": [{"to": [{"email": mail.recipient}]}],
        "from": {name: value for name, value in sender.items() if value},
        "subject": mail.subject,
        "content": [{"type": kind, "value": body} for kind, body in bodies if body],
        "headers": dict(mail.headers),
        "categories": sorted({tag[:255] for tag in mail.tags.values()}),
        "custom_args": {SEND_ID: mail.send_id},
        "tracking_settings": NO_TRACKING,
    }


def _field(answer: httpx.Response) -> object:
    """The first field at fault: `{"errors": [{"field": "from.email", "message": "..."}]}`."""
    errors = mail_api.fields(answer).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first.get("field") if isinstance(first, dict) else ""
