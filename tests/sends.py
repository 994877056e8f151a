"""Shared builders for what the mailer works on: decisions, and settings to send them with."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tidings.mailing.mail import Mail
from tidings.settings import Settings
from tidings.wire.decisions import Decision, Trigger, send_id

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SETTINGS = Settings(
    secret="a secret of the right length",
    public_url="https://mail.shop.example",
    mail_from="Northwind Living <hello@shop.example>",
    postal_address="12 Quay Street, Galway",
)


def a_decision(person: str = "u:ada", **fields: Any) -> Decision:
    """A decision to remind `person` of a lamp; `properties` (a dict) are those of its event."""
    properties = fields.pop("properties", {"name": "Harbour desk lamp"})
    event = Trigger(name="Product Viewed", timestamp=NOW, properties=msgspec.Raw(msgspec.json.encode(properties)))
    filled = {
        "send_id": send_id("viewed-three-times", "v1", person, "", fields.get("episode", "e1"), 0),
        "rule_id": "viewed-three-times",
        "rule_version": "v1",
        "episode": "e1",
        "template": "product-reminder",
        "due_at": NOW,
        "decided_at": NOW,
        "evidence": ("m1", "m2", "m3"),
        "event": event,
        "category": "reminders",
        **fields,
    }
    return Decision(person=person, **filled)


def a_mail(data: bytes = b"Subject: a test\r\n\r\nHello\r\n", **fields: Any) -> Mail:
    """A mail from a shop to Ada that is ready to leave."""
    filled: dict[str, Any] = {
        "send_id": "0" * 32,
        "sender": "shop@example.com",
        "recipient": "ada@example.com",
        "data": data,
        "from_name": "A shop",
        "from_address": "shop@example.com",
        "subject": "A test",
        "html": "<p>Hello</p>",
        "text": "Hello",
        "headers": {"Message-ID": f"<{'0' * 32}@example.com>"},
        "tags": {"rule": "a-rule", "category": "reminders", "kind": "marketing"},
        **fields,
    }
    return Mail(**filled)
