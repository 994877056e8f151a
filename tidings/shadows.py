"""What a shadow decides differently from the live rule that it is the shadow of, by the ledger: who, when, how.

What is compared is what was decided, not what became of it: a shadow's mail never meets consent or a mail server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tidings.decisions import Decision
from tidings.difference import Difference, Pair, compare
from tidings.rules import Rule
from tidings.store import LedgerEntry, RuleRecord, Store

EVERY = timedelta(hours=1)
"""How often a comparison lands on the shadow's document."""
SPAN = timedelta(days=1)
"""What it is about."""
AT_MOST = 10_000
"""So many entries of each rule are looked at, the newest."""
MARGIN = timedelta(days=1)
"""How far beyond the span the other half of a pair is looked for: what is moved across its edge is moved, not added."""


@dataclass(frozen=True)
class Comparison:
    """A shadow and a live rule, over some time.

    Attributes:
        shadow / live: the ids.
        since / until: which decisions it is about, by when they fell due.
        difference: all pairs of which at least one half fell due in that time.
        all_of_it: False when there was more than was looked at; then `since` is later than what was asked for.
    """

    shadow: str
    live: str
    since: datetime
    until: datetime
    difference: Difference
    all_of_it: bool

    def report(self) -> dict[str, Any]:
        """As it stands on the shadow's document, in `_tidings.report.shadow`."""
        counts = self.difference.counts
        return {
            "compared_with": self.live,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            **{name: getattr(counts, name) for name in ("same", "moved", "changed", "added", "removed")},
            "at_most": None if self.all_of_it else AT_MOST,
        }


def compare_in(
    store: Store, shadow: str, live: str, since: datetime, until: datetime, at_most: int = AT_MOST
) -> Comparison:
    """Compare what both have decided.

    Args:
        store: where the ledger is.
        shadow: the id of the shadow.
        live: the id of the rule that it is compared with.
        since: what fell due earlier does not count.
        until: what fell due later does not count; the other half of what fell due just before may still come.
        at_most: so many entries of each are looked at.

    Raises:
        StoreError: the store cannot be read now.
    """
    old, new = (store.ledger_of_rule(name, since - MARGIN, at_most) for name in (live, shadow))
    # An entry is written after its decision fell due: what fell due since the oldest entry that was read is all there.
    reach = max((one[-1].updated_at for one in (old, new) if len(one) == at_most), default=since)
    start = max(since, reach)
    found = compare(_decisions(old), _decisions(new))
    pairs = tuple(pair for pair in found.pairs if any(start <= one.due_at <= until for one in _halves(pair)))
    return Comparison(shadow, live, start, until, Difference(pairs), all_of_it=start == since)


def _decisions(entries: Iterable[LedgerEntry]) -> list[Decision]:
    """As they were decided; to send and to send in the shadow is the same decision."""
    return [
        msgspec.structs.replace(one.decision, outcome="send") if one.decision.outcome == "shadow" else one.decision
        for one in entries
    ]


def _halves(pair: Pair) -> list[Decision]:
    return [one for one in (pair.old, pair.new) if one is not None]


def due(rules: Iterable[Rule], records: Sequence[RuleRecord], now: datetime) -> list[Rule]:
    """The shadows whose last comparison is an hour old, by their reports: other workers write them too.

    Args:
        rules: those in force.
        records: the documents, as they are now.
        now: the time.
    """
    reports = {one.rule_id: one.report for one in records if one.report is not None}
    return [
        rule
        for rule in rules
        if rule.status == "shadow"
        and rule.shadow_of
        and rule.id in reports
        and not _is_fresh(reports[rule.id].get("shadow"), rule.shadow_of, now)
    ]


def latest(store: Store, rule: Rule, now: datetime) -> Comparison:
    """A shadow that is due, compared over the last `SPAN`. This may take seconds.

    Raises:
        StoreError: the store cannot be read now.
    """
    assert rule.shadow_of is not None
    return compare_in(store, rule.id, rule.shadow_of, now - SPAN, now)


def _is_fresh(said: Any, live: str, now: datetime) -> bool:
    if not isinstance(said, dict) or said.get("compared_with") != live:
        return False
    try:
        until = datetime.fromisoformat(said["until"])
        return now - EVERY < until <= now
    except (KeyError, TypeError, ValueError):  # people can edit this field too
        return False


def write(store: Store, comparison: Comparison) -> None:
    """Say it on the shadow's document, beside what is said there already.

    It reads before it writes. Whoever else reports on rules in this process must wait meanwhile; what another process
    says in that instant is said again at this one's next refresh.

    Raises:
        StoreError: the store cannot be reached now.
    """
    for record in store.rules():
        if record.rule_id == comparison.shadow and record.report is not None:
            report = {**record.report, "shadow": comparison.report()}
            store.report_rule(record.rule_id, report, record.last_good)
