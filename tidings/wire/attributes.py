"""The Pub/Sub attributes of events and decisions, inside Pub/Sub's limits.

Source of the limits: https://cloud.google.com/pubsub/quotas#resource_limits
"""

from tidings.wire import decisions
from tidings.wire.decisions import Decision
from tidings.wire.events import SCHEMA, Event

VALUE_BYTES = 1024
"""How long the value of an attribute may be."""


def clip(text: str, size: int = VALUE_BYTES) -> str:
    """The longest beginning of `text` that takes at most `size` bytes of UTF-8; no character is cut in two."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def of_event(event: Event) -> dict[str, str]:
    """What a subscriber can filter on without reading the event: `schema`, `messageId`, `type`, `event` (its label)."""
    return {"schema": SCHEMA, "messageId": event.message_id, "type": event.type, "event": clip(event.label)}


def of_decision(decision: Decision) -> dict[str, str]:
    """What a subscriber can filter on without reading the decision: `schema`, `sendId`, `ruleId`."""
    return {"sendId": decision.send_id, "ruleId": decision.rule_id, "schema": decisions.SCHEMA}
