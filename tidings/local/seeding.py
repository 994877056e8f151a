"""Puts the rules that ship with the project into the store, where marketers edit them."""

from importlib.resources import files

import yaml

from tidings.store import Store


def seed_rules(store: Store) -> int:
    """Add every rule that the store does not have yet; one that is there may have been edited, and stays.

    Returns how many were added.
    """
    known = {record.rule_id for record in store.rules()}
    documents = {
        file.name.removesuffix(".yaml"): yaml.safe_load(file.read_text("utf-8"))
        for file in files("rules").iterdir()
        if file.name.endswith(".yaml")
    }
    new = {rule_id: document for rule_id, document in documents.items() if rule_id not in known}
    for rule_id, document in new.items():
        store.put_rule(rule_id, document)
    return len(new)
