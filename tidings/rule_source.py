"""Rules that change while the system runs: read from the store, reported on, the last good version kept live."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from tidings.errors import InvalidRuleError
from tidings.rulebook import RuleBook
from tidings.rules import Rule, load
from tidings.store import RuleRecord, Store

_REMEMBERED = timedelta(days=90)
_MOST_VERSIONS = 20


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
        self._superseded: list[Rule] = []
        self._book = RuleBook([])

    def refresh(self, now: datetime) -> RuleBook:
        """The book as of now: the very same object while no document has changed.

        Raises:
            StoreError: the store cannot be read; the caller goes on with the book that it has.
        """
        records = self._store.rules()
        self._superseded = []
        fingerprint = json.dumps([[one.rule_id, one.document] for one in records], sort_keys=True, default=str)
        if fingerprint != self._fingerprint:
            rules = [rule for record in records if (rule := self._check(record, now)) is not None]
            self._book = RuleBook(rules, self._time_scale, self._superseded)
            self._fingerprint = fingerprint
        return self._book

    def _check(self, record: RuleRecord, now: datetime) -> Rule | None:
        """The rule to run: the document as it is, or the last good version of it, or none."""
        try:
            rule = load(record.document, record.rule_id, self._templates)
        except InvalidRuleError as error:
            last_good = _once_good(record.rule_id, record.last_good)
            live = last_good.version if last_good else None
            report = {"valid": False, "faults": error.faults, "version": live}
            self._report(record, {**report, "history": self._history(record, live, now)}, record.last_good, now)
            return last_good
        report = {"valid": True, "faults": [], "version": rule.version}
        self._report(record, {**report, "history": self._history(record, rule.version, now)}, record.document, now)
        return rule

    def _history(self, record: RuleRecord, live: str | None, now: datetime) -> list[dict[str, Any]]:
        """Earlier versions, newest first: what began under them is finished under them."""
        said = record.report or {}
        history = list(said.get("history", ()))
        if said.get("version") not in (None, live) and record.last_good is not None:
            superseded = {"version": said["version"], "document": record.last_good, "superseded_at": now.isoformat()}
            history.insert(0, superseded)
        since = (now - _REMEMBERED).isoformat()
        history = [one for one in history if one["version"] != live and one["superseded_at"] >= since][:_MOST_VERSIONS]
        rules = [_once_good(record.rule_id, one["document"]) for one in history]
        self._superseded += [rule for rule in rules if rule is not None]
        return history

    def _report(
        self, record: RuleRecord, report: dict[str, Any], last_good: dict[str, Any] | None, now: datetime
    ) -> None:
        """Say it on the document, unless it says so already."""
        said = {key: value for key, value in (record.report or {}).items() if key != "checked_at"}
        if said != report or record.last_good != last_good:
            self._store.report_rule(record.rule_id, {**report, "checked_at": now.isoformat()}, last_good)


def _once_good(rule_id: str, document: dict[str, Any] | None) -> Rule | None:
    """The rule, unless there is none, or it was good only for an older version of this software."""
    try:
        return load(document, rule_id) if document is not None else None
    except InvalidRuleError:
        return None
