"""What a template may know: plain data, gathered in one place, so that every message speaks the same language."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import msgspec

from tidings.errors import InvalidEventError
from tidings.mailing.links import confirmation_url, preferences_url, unsubscribe_url
from tidings.mailing.message import sender
from tidings.records.store import Activity, Profile
from tidings.settings import Settings
from tidings.wire.decisions import Decision, Trigger


def mail_facts(
    decision: Decision, profile: Profile, settings: Settings, activity: Sequence[Activity] = ()
) -> dict[str, Any]:
    """The facts for one mail; `templates/<message>/example.json` has the same shape.

    Returns `person` (`id`, `traits`), `event` and `events` (each `name`, `timestamp` in ISO 8601, `properties`), `rule`
    (`id`, `category`, `kind`), `sender` (`name`, `postal_address`), `links` (`unsubscribe`, which transactional mail
    does not have; `preferences`, which mail to a role does not have; `confirm`, which only transactional mail has that
    answers one of `links.CONFIRMED_EVENTS`), and `activity` (each `at` in ISO 8601, UTC, `kind`, `label`), which only
    mail to a role has.

    Raises:
        InvalidEventError: `unreadable`, the properties of an event cannot be read; the detail says of which, and why.
        SettingsError: as `tidings.mailing.message.build` does.
    """
    return {
        "person": {"id": profile.person, "traits": _without_nulls(profile.traits)},
        "event": _trigger(decision.event, "event"),
        "events": [_trigger(event, f"events[{index}]") for index, event in enumerate(decision.events)],
        "rule": {"id": decision.rule_id, "category": decision.category, "kind": decision.kind},
        "sender": {"name": sender(settings)[0], "postal_address": settings.postal_address},
        "links": _links(decision, settings),
        "activity": [
            {"at": line.at.astimezone(UTC).isoformat(), "kind": line.kind, "label": line.label} for line in activity
        ],
    }


def _links(decision: Decision, settings: Settings) -> dict[str, str]:
    links = {}
    if decision.kind == "marketing":
        links["unsubscribe"] = unsubscribe_url(decision, settings)
    if decision.to == "person":
        links["preferences"] = preferences_url(decision, settings)
        if confirm := confirmation_url(decision, settings):
            links["confirm"] = confirm
    return links


def _trigger(trigger: Trigger, path: str) -> dict[str, Any]:
    """One event. Nobody on its way here had to read all of its properties, and `1e999` is a number to the grammar."""
    try:
        properties = msgspec.json.decode(trigger.properties, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("unreadable", f"{path}.properties: {error}") from None
    return {"name": trigger.name, "timestamp": trigger.timestamp.isoformat(), "properties": _without_nulls(properties)}


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """Null counts as nothing, as it does in conditions: a mail that says "None" to somebody is worse than a gap."""
    return {name: value for name, value in values.items() if value is not None}
