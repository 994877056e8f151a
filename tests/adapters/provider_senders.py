"""Each provider's sender against the stand-in for its API, and a mail with all that a mail can have."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests import provider_apis as apis
from tests.provider_apis import Answer, ProviderApi, Request
from tests.sends import a_mail
from tidings.adapters.senders import open_sender
from tidings.mailing.mail import Mail, Sender
from tidings.settings import Settings

URLS = {
    "sendgrid": f"sendgrid+http://:{quote(apis.SENDGRID_KEY, safe='')}@{{host}}",
    "postmark": f"postmark+http://:{apis.POSTMARK_TOKEN}@{{host}}/outbound/broadcast",
    "mailgun": f"mailgun+http://:{apis.MAILGUN_KEY}@{{host}}/{apis.MAILGUN_DOMAIN}",
    "ses": f"ses+http://{apis.SES_KEY}:{quote(apis.SES_SECRET, safe='')}@{{host}}/events?region={apis.SES_REGION}",
}
APIS: dict[str, Callable[[Request], Answer]] = {
    "sendgrid": apis.sendgrid,
    "postmark": apis.postmark,
    "mailgun": apis.mailgun,
    "ses": apis.ses,
}
SEND_ID = "0123456789abcdef" * 2
HEADERS = {
    "Message-ID": f"<{SEND_ID}@shop.example>",
    "Feedback-ID": "viewed-three-times:reminders:marketing:tidings",
    "List-Id": "<reminders.shop.example>",
    "List-Unsubscribe": f"<https://mail.shop.example/u/{'t' * 120}>, <mailto:leave@shop.example?subject=t>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
DATA = (
    "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    + "From: =?utf-8?q?Caf=C3=A9?= <hello@shop.example>\r\nTo: ada@example.com\r\nSubject: A lamp\r\n"
    + "Content-Type: text/plain\r\n\r\n.a dot\r\n--a line like a boundary--\r\n\r\ntrailing \r\n\r\n"
).encode()


def connect(api: ProviderApi, provider: str) -> Sender:
    """The sender of the URL that leads to this stand-in."""
    return open_sender(Settings(mail_url=URLS[provider].format(host=api.host)))


def marketing_mail(**fields: Any) -> Mail:
    """A mail with every header, a name that needs quoting, and words that are not ASCII."""
    filled = {
        "data": DATA,
        "send_id": SEND_ID,
        "sender": f"bounces+{SEND_ID}@shop.example",
        "from_name": 'Café "Northwind", Ltd',
        "from_address": "hello@shop.example",
        "subject": "Your lamp ✓",
        "text": "Grüße\n",
        "html": "<p>Grüße</p>",
        "headers": HEADERS,
        "tags": {"rule": "viewed-three-times", "category": "reminders", "kind": "marketing"},
        **fields,
    }
    return a_mail(**filled)


def send(sender: Sender, mail: Mail, patience: float = 5.0) -> None:
    """Send it without telling anybody."""
    sender.send(mail, lambda: patience)
