"""The rules of these tests. They name events that no shipped rule knows, so that those may change at will."""

from typing import Any

TIME_SCALE = 90
"""The fifteen minutes of the rule `basket` take ten seconds."""

TRANSACTIONAL = {"kind": "transactional", "send": {"template": "welcome"}, "re_entry": "every_time"}
MARKETING = {
    "kind": "marketing",
    "category": "news",
    "send": {"template": "pricing-followup"},
    "re_entry": "every_time",
    "frequency_cap": "off",
}

_DOCUMENTS: dict[str, dict[str, Any]] = {
    "joined": {**TRANSACTIONAL, "trigger": {"performed": {"event": "Joined"}}},
    "letter": {**MARKETING, "trigger": {"performed": {"event": "Letter Asked"}}},
    "regular": {**MARKETING, "trigger": {"performed": {"event": "Shop Entered", "times": 3, "within": "30d"}}},
    "basket": {
        **MARKETING,
        "trigger": {"not_performed": {"after": "Basket Filled", "none_of": ["Basket Paid"], "within": "15m"}},
        "entry_key": "properties.basket",
    },
    "course": {
        **{name: value for name, value in MARKETING.items() if name != "send"},
        "trigger": {"performed": {"event": "Course Begun"}},
        "steps": [{"send": "pricing-followup"}, {"wait": "15m"}, {"send": "pricing-followup"}],
    },
    "large-order": {
        **TRANSACTIONAL,
        "trigger": {"performed": {"event": "Order Sent", "where": [{"path": "properties.total", "gte": 100}]}},
    },
    "edited": {**TRANSACTIONAL, "trigger": {"performed": {"event": "Before The Edit"}}},
}
RULES = {rule_id: {"id": rule_id, "status": "live", **document} for rule_id, document in _DOCUMENTS.items()}
