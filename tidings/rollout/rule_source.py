"""Rules and segments that change while the system runs: read, reported on, the last good version kept live."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from tidings.deciding.rulebook import RuleBook, compile_rule
from tidings.errors import InvalidRuleError
from tidings.records.store import DocumentKind, RuleRecord, Store
from tidings.rollout import versions
from tidings.rollout.rule_set import RuleSet
from tidings.rules import segments
from tidings.rules.rule import Rule, load
from tidings.rules.segments import Segment

_REMEMBERED = timedelta(days=90)
_MOST_VERSIONS = 20
_T = TypeVar("_T")
_Key = tuple[DocumentKind, str]


class RuleSource:
    """Turns the rules and segments in a store into a rule book, again and again.

    Every worker does this on its own and writes the same report, so it does not matter how many there are. A valid
    document that is not in the history yet (somebody has edited it in the store) is kept there, once.

    Args:
        store: where the documents are.
        templates: the templates that exist, or None not to check.
        time_scale: see `RuleBook`.
        reports: whether to say on the documents what became of them; a command that only looks does not.

    Attributes:
        rule_set: what the book is made of.
    """

    def __init__(
        self,
        store: Store,
        templates: Collection[str] | None = None,
        time_scale: float = 1.0,
        *,
        reports: bool = True,
    ) -> None:
        self._store = store
        self._templates = templates
        self._time_scale = time_scale
        self._reports = reports
        self._fingerprint = ""
        self._valid: dict[_Key, tuple[RuleRecord, str]] = {}
        self._kept: dict[_Key, str] = {}
        self._reports_due: list[Callable[[], None]] = []
        self._superseded: list[Rule] = []
        self._segments: dict[str, Segment] = {}
        self._rule_ids: frozenset[str] = frozenset()
        self.rule_set = RuleSet({}, {})
        self._book = RuleBook([])

    def refresh(self, now: datetime) -> RuleBook:
        """The book as of now: the very same object while no document has changed.

        Raises:
            StoreError: the store cannot be read; the caller goes on with the book that it has.
        """
        rules, groups = self._store.rules(), self._store.segments()
        documents = [[[one.rule_id, one.document] for one in records] for records in (rules, groups)]
        fingerprint = json.dumps(documents, sort_keys=True, default=str)
        if fingerprint != self._fingerprint:
            self._superseded, self._valid, self._reports_due = [], {}, []
            self._segments = self._check_segments(groups, now)
            self._rule_ids = frozenset(one.rule_id for one in rules)
            checked = {one.rule_id: rule for one in rules if (rule := self._check(one, now)) is not None}
            if self._reports:
                self._keep(now)
                for report in self._reports_due:
                    report()
            self.rule_set = RuleSet(checked, self._segments, self._superseded)
            self._book = self.rule_set.book(self._time_scale)
            self._fingerprint = fingerprint
        return self._book

    def _keep(self, now: datetime) -> None:
        """Take what is valid into the history, unless it is there.

        What was read before the history may be older than it, when somebody pushed in between. So whatever seems to be
        missing is read once more; what has changed meanwhile is left to the next refresh.
        """
        missing = []
        for (kind, name), (record, version) in self._valid.items():
            text = versions.canonical(record.document)
            if self._kept.get((kind, name)) == text:
                continue
            newest = next(iter(self._store.versions(kind, name, limit=1)), None)
            if newest is None or not versions.same(newest.document, record.document):
                note = versions.EDITED if newest else versions.FIRST_SEEN
                missing.append(versions.follow(newest, kind, name, version, record.document, now, note))
            else:
                self._kept[kind, name] = text
        if missing:
            there = {("rule", one.rule_id): one.document for one in self._store.rules()}
            there |= {("segment", one.rule_id): one.document for one in self._store.segments()}
            for one in missing:
                if versions.same(there.get((one.kind, one.document_id)), one.document):
                    self._store.keep_version(one)
                    self._kept[one.kind, one.document_id] = versions.canonical(one.document)

    def _check_segments(self, records: Sequence[RuleRecord], now: datetime) -> dict[str, Segment]:
        """The segments in force: each as it is, or the last good version of it, or none."""
        newest: dict[str, Segment] = {}
        earlier: dict[str, Segment] = {}
        faults: dict[str, list[dict[str, object]]] = {}
        for record in records:
            try:
                newest[record.rule_id] = segments.load(record.document, record.rule_id)
            except InvalidRuleError as error:
                faults[record.rule_id] = error.faults
            last_good = _once_good(segments.load, record.last_good, record.rule_id)
            if last_good is not None:
                earlier[record.rule_id] = last_good
        in_force, unsettled = segments.settle(newest, earlier)
        for record in records:
            name = record.rule_id
            found = faults.get(name) or unsettled.get(name) or []
            live = in_force[name].version if name in in_force else None
            report = {"valid": not found, "faults": found, "version": live}
            last = record.last_good if found else record.document
            if not found:
                self._valid["segment", name] = (record, newest[name].version)
            self._say(self._store.report_segment, record, report, last, now)
        return in_force

    def _check(self, record: RuleRecord, now: datetime) -> Rule | None:
        """The rule to run: the document as it is, or the last good version of it, or none."""
        try:
            rule = self._read(record.document, record.rule_id, self._templates)
        except InvalidRuleError as error:
            last_good = self._once_good(record.rule_id, record.last_good)
            live = last_good.version if last_good else None
            report = {"valid": False, "faults": error.faults, "version": live}
            report |= self._carried_over(record, last_good) | {"history": self._history(record, live, now)}
            self._say(self._store.report_rule, record, report, record.last_good, now)
            return last_good
        self._valid["rule", record.rule_id] = (record, rule.version)
        report = {"valid": True, "faults": [], "version": rule.version}
        report |= self._carried_over(record, rule) | {"history": self._history(record, rule.version, now)}
        self._say(self._store.report_rule, record, report, record.document, now)
        return rule

    @staticmethod
    def _carried_over(record: RuleRecord, rule: Rule | None) -> dict[str, Any]:
        """What others have written into the report, as long as it is about this: see `tidings.backtest.shadows`."""
        compared = (record.report or {}).get("shadow")
        compared_with = compared.get("compared_with") if isinstance(compared, dict) else None
        return {"shadow": compared} if rule and rule.shadow_of and rule.shadow_of == compared_with else {}

    def _history(self, record: RuleRecord, live: str | None, now: datetime) -> list[dict[str, Any]]:
        """Earlier versions, newest first: what began under them is finished under them."""
        said = record.report or {}
        history = list(said.get("history", ()))
        if said.get("version") not in (None, live) and record.last_good is not None:
            superseded = {"version": said["version"], "document": record.last_good, "superseded_at": now.isoformat()}
            history.insert(0, superseded)
        since = (now - _REMEMBERED).isoformat()
        history = [one for one in history if one["version"] != live and one["superseded_at"] >= since][:_MOST_VERSIONS]
        rules = [self._once_good(record.rule_id, one["document"]) for one in history]
        self._superseded += [rule for rule in rules if rule is not None]
        return history

    def _read(self, document: dict[str, Any], rule_id: str, templates: Collection[str] | None = None) -> Rule:
        """The rule, once it is certain that a book can be made of it. A draft too: it is to go live some day."""
        rule = load(document, rule_id, templates, self._segments, self._rule_ids)
        compile_rule(rule, self._time_scale)
        return rule

    def _once_good(self, rule_id: str, document: dict[str, Any] | None) -> Rule | None:
        return _once_good(self._read, document, rule_id)

    def _say(
        self,
        report_on: Callable[[str, dict[str, Any], dict[str, Any] | None], None],
        record: RuleRecord,
        report: dict[str, Any],
        last_good: dict[str, Any] | None,
        now: datetime,
    ) -> None:
        """Say it on the document, once the history is up to date, unless it says so already."""
        said = {key: value for key, value in (record.report or {}).items() if key != "checked_at"}
        if said != report or record.last_good != last_good:
            full = {**report, "checked_at": now.isoformat()}
            self._reports_due.append(partial(report_on, record.rule_id, full, last_good))


def in_force(store: Store, now: datetime, time_scale: float = 1.0) -> RuleSet:
    """What runs by the documents of a store, for whoever only looks: nothing is said on them.

    Raises:
        StoreError: the store cannot be read.
    """
    source = RuleSource(store, time_scale=time_scale, reports=False)
    source.refresh(now)
    return source.rule_set


def _once_good(read: Callable[[dict[str, Any], str], _T], document: dict[str, Any] | None, name: str) -> _T | None:
    """The rule or segment, unless there is none, or it was good only for what there was at the time."""
    try:
        return read(document, name) if document is not None else None
    except InvalidRuleError:
        return None
