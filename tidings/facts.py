"""What a template may know: plain data, gathered in one place, so that every message speaks the same language."""

from typing import Any

import msgspec

from tidings.decisions import Decision, Trigger
from tidings.message import sender, unsubscribe_url
from tidings.settings import Settings
from tidings.store import Profile


def mail_facts(decision: Decision, profile: Profile, settings: Settings) -> dict[str, Any]:
    """The facts for one mail; `templates/<message>/example.json` has the same shape.

    Returns `person.traits`, `event` and `events` (each `name`, `timestamp` in ISO 8601, `properties`), `rule`
    (`id`, `category`, `kind`), `sender` (`name`, `postal_address`) and `links.unsubscribe`, which transactional mail
    does not have.

    Raises:
        SettingsError: as `tidings.message.build` does.
    """
    marketing = decision.kind == "marketing"
    return {
        "person": {"traits": profile.traits},
        "event": _trigger(decision.event),
        "events": [_trigger(event) for event in decision.events],
        "rule": {"id": decision.rule_id, "category": decision.category, "kind": decision.kind},
        "sender": {"name": sender(settings)[0], "postal_address": settings.postal_address},
        "links": {"unsubscribe": unsubscribe_url(decision, settings)} if marketing else {},
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    properties = msgspec.json.decode(trigger.properties)
    return {"name": trigger.name, "timestamp": trigger.timestamp.isoformat(), "properties": properties}
