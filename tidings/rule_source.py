"""Rules that change while the system runs: read from the store, reported on, the last good version kept live."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from tidings.errors import InvalidRuleError
from tidings.rulebook import RuleBook
from tidings.rules import Rule, load
from tidings.store import RuleRecord, Store


class RuleSource:
    """Turns the rules in a store into a rule book, again and again.

    Every worker does this on its own and writes the same report, so it does not matter how many there are.

    Args:
        store: where the documents are.
        templates: the templates that exist, or None not to check.
        time_scale: see `RuleBook`.
    """

    def __init__(self, store: Store, templates: Collection[str] | None = None, time_scale: float = 1.0) -> None:
        self._store = store
        self._templates = templates
        self._time_scale = time_scale
        self._fingerprint = ""
        self._book = RuleBook([])

    def refresh(self, now: datetime) -> RuleBook:
        """The book as of now: the very same object while no document has changed.

        Raises:
            StoreError: the store cannot be read; the caller goes on with the book that it has.
        """
        records = self._store.rules()
        fingerprint = json.dumps([[one.rule_id, one.document] for one in records], sort_keys=True, default=str)
        if fingerprint != self._fingerprint:
            rules = [rule for record in records if (rule := self._check(record, now)) is not None]
            self._book = RuleBook(rules, self._time_scale)
            self._fingerprint = fingerprint
        return self._book

    def _check(self, record: RuleRecord, now: datetime) -> Rule | None:
        """The rule to run: the document as it is, or the last good version of it, or none."""
        try:
            rule = load(record.document, record.rule_id, self._templates)
        except InvalidRuleError as error:
            last_good = self._last_good(record)
            live = last_good.version if last_good else None
            self._report(record, {"valid": False, "faults": error.faults, "version": live}, record.last_good, now)
            return last_good
        self._report(record, {"valid": True, "faults": [], "version": rule.version}, record.document, now)
        return rule

    def _last_good(self, record: RuleRecord) -> Rule | None:
        if record.last_good is None:
            return None
        try:
            return load(record.last_good, record.rule_id)
        except InvalidRuleError:  # it was good for an older version of this software
            return None

    def _report(
        self, record: RuleRecord, report: dict[str, Any], last_good: dict[str, Any] | None, now: datetime
    ) -> None:
        """Say it on the document, unless it says so already."""
        said = {key: value for key, value in (record.report or {}).items() if key != "checked_at"}
        if said != report or record.last_good != last_good:
            self._store.report_rule(record.rule_id, {**report, "checked_at": now.isoformat()}, last_good)
