"""Puts the rules and segments that ship with the project into the store, where marketers edit them."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from tidings.documents import parse_folder
from tidings.records.store import RuleRecord, Store


def seed_rules(store: Store) -> int:
    """Add every rule and segment that the store does not have yet; one that is there may have been edited, and stays.

    Returns how many rules were added.
    """
    for segment_id, document in _new(files("rules") / "segments", store.segments()).items():
        store.put_segment(segment_id, document)
    rules = _new(files("rules"), store.rules())
    for rule_id, document in rules.items():
        store.put_rule(rule_id, document)
    return len(rules)


def _new(folder: Traversable, known: list[RuleRecord]) -> dict[str, Any]:
    names = {record.rule_id for record in known}
    return {name: document for name, document in parse_folder(folder).items() if name not in names}
