"""Documents on their way into a store: checked together, compared with what is there, and kept in the history."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidings.errors import InvalidRuleError
from tidings.records.store import DocumentKind, RuleRecord, Store, VersionRecord
from tidings.rollout import rule_set, versions
from tidings.rules import segments
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment

Key = tuple[DocumentKind, str]
Documents = Mapping[Key, Any]


@dataclass(frozen=True)
class Checked:
    """What became of documents that were checked together.

    Attributes:
        rules: the good ones, by id.
        segments: all that are in force then: the good ones, and those of the store.
        refused: the faults of the others, one error a document.
    """

    rules: Mapping[str, Rule]
    segments: Mapping[str, Segment]
    refused: tuple[InvalidRuleError, ...]

    def version(self, key: Key) -> str:
        """The version of a good one."""
        kind, name = key
        return self.rules[name].version if kind == "rule" else self.segments[name].version


def stored(store: Store) -> dict[Key, RuleRecord]:
    """Everything that is in the store.

    Raises:
        StoreError: it cannot be read now.
    """
    rules: dict[Key, RuleRecord] = {("rule", one.rule_id): one for one in store.rules()}
    return rules | {("segment", one.rule_id): one for one in store.segments()}


def check(documents: Documents, there: Mapping[Key, RuleRecord], templates: Collection[str] | None) -> Checked:
    """Check documents as they would stand in the store, together with what is there.

    Args:
        documents: as parsed.
        there: what is in the store.
        templates: the messages that exist; None means not to check.
    """
    refused: list[InvalidRuleError] = []
    newest: dict[str, Segment] = {}
    for (kind, name), document in documents.items():
        if kind == "segment":
            try:
                newest[name] = segments.load(document, name)
            except InvalidRuleError as error:
                refused.append(error)
    in_force, unsettled = segments.settle(newest, _good_segments(there))
    refused += [InvalidRuleError(name, faults, "segment") for name, faults in unsettled.items()]
    ids = {name for kind, name in [*documents, *there] if kind == "rule"}
    rules: dict[str, Rule] = {}
    for (kind, name), document in documents.items():
        if kind == "rule":
            try:
                rules[name] = rule_set.read(document, name, templates, in_force, ids)
            except InvalidRuleError as error:
                refused.append(error)
    return Checked(rules, in_force, tuple(refused))


def _good_segments(there: Mapping[Key, RuleRecord]) -> dict[str, Segment]:
    """The segments that the store has already, as far as they are good."""
    good: dict[str, Segment] = {}
    for (kind, name), record in there.items():
        for document in (record.last_good, record.document) if kind == "segment" else ():
            try:
                good[name] = segments.load(document, name)
            except InvalidRuleError:  # said on the document already
                continue
    return good


def changed(documents: Documents, there: Mapping[Key, RuleRecord]) -> list[Key]:
    """Those that say something else than the store.

    In an order in which each finds there what it names: segments, then rules, then shadows of rules.
    """

    def place(key: Key) -> tuple[bool, bool, str]:
        kind, name = key
        return kind == "rule", "shadow_of" in documents[key], name

    different = (key for key in documents if key not in there or not versions.same(there[key].document, documents[key]))
    return sorted(different, key=place)


def put(store: Store, key: Key, document: dict[str, Any], version: str, now: datetime, note: str) -> VersionRecord:
    """Put a checked document into the store, and into the history.

    What stood there until now is kept too, if it is good and nobody has done so yet.

    Raises:
        StoreError: it cannot be reached now.
        InvalidRuleError: it cannot hold such a document.
    """
    kind, name = key
    there = stored(store)
    newest = next(iter(store.versions(kind, name, limit=1)), None)
    before = there.get(key)
    if before is not None and (newest is None or not versions.same(newest.document, before.document)):
        known = check({key: before.document}, there, None)
        if not known.refused:
            how = versions.EDITED if newest else versions.FIRST_SEEN
            newest = versions.follow(newest, kind, name, known.version(key), before.document, now, how)
            store.keep_version(newest)
    record = versions.follow(newest, kind, name, version, document, now, note)
    (store.put_rule if kind == "rule" else store.put_segment)(name, record.document, record)
    return record
