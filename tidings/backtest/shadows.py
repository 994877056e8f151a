"""What a shadow decides differently from the live rule that it is the shadow of, by the ledger: who, when, how.

What is compared is what was decided, not what became of it: a shadow's mail never meets consent or a mail server. Both
are compared in their present versions, and for as long as both have run in them. What has no other half, and may have
one beyond that time, is left open: a mail of five minutes ago whose shadow waits for a quarter of an hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tidings.backtest.difference import Difference, Pair, compare
from tidings.records.store import LedgerEntry, RuleRecord, Store
from tidings.rollout.versions import FIRST_SEEN
from tidings.rules.rule import Rule
from tidings.wire.decisions import Decision

EVERY = timedelta(hours=1)
"""How often a comparison lands on the shadow's document."""
SPAN = timedelta(days=1)
"""What it is about."""
AT_MOST = 10_000
"""So many entries of each rule are looked at, the newest."""
MARGIN = timedelta(days=1)
"""How far beyond the span the other half of a pair is looked for: what is moved across its edge is moved, not added."""
_SLACK = timedelta(minutes=1)
"""How much later one of two decisions that are due together may reach the ledger."""


@dataclass(frozen=True)
class Comparison:
    """A shadow and a live rule, over some time.

    Attributes:
        shadow / live: the ids.
        since / until: which decisions it is about, by when they fell due; it may begin later than was asked for.
        difference: all pairs of which at least one half fell due in that time, but for what is open.
        open: so many decisions of either may have another half that is not to be seen yet, or any more.
        all_of_it: False when a rule had more entries than are looked at; `since` is later then.
    """

    shadow: str
    live: str
    since: datetime
    until: datetime
    difference: Difference
    open: int
    all_of_it: bool

    def report(self) -> dict[str, Any]:
        """As it stands on the shadow's document, in `_tidings.report.shadow`."""
        counts = self.difference.counts
        return {
            "compared_with": self.live,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            **{name: getattr(counts, name) for name in ("same", "moved", "changed", "added", "removed")},
            "open": self.open,
            "at_most": None if self.all_of_it else AT_MOST,
        }


def compare_in(
    store: Store, shadow: Rule, live: Rule, since: datetime, until: datetime, at_most: int = AT_MOST
) -> Comparison:
    """Compare what both have decided.

    Args:
        store: where ledger and history are.
        shadow: the shadow, in its present version.
        live: the rule that it is compared with, in its own.
        since: what fell due earlier does not count.
        until: what fell due later does not count.
        at_most: so many entries of each are looked at.

    Raises:
        StoreError: the store cannot be read now.
    """
    begun = max(_begun(store, rule, since, until) for rule in (shadow, live))
    entries = [store.ledger_of_rule(rule.id, since - MARGIN, at_most) for rule in (live, shadow)]
    # An entry is written after its decision fell due: what fell due since the oldest entry that was read is all there.
    reach = max((one[-1].updated_at for one in entries if len(one) == at_most), default=since)
    start = max(since, reach, begun)
    old, new = (_decisions(one, rule) for one, rule in zip(entries, (live, shadow), strict=True))
    found = compare(old, _uncapped(new, old, shadow))
    wait = _SLACK + max((abs(pair.moved) for pair in found.pairs), default=timedelta(0))

    def is_open(pair: Pair) -> bool:
        alone = pair.old or pair.new if pair.old is None or pair.new is None else None
        return alone is not None and (alone.due_at > until - wait or since < begun > _began(alone))

    pairs = [pair for pair in found.pairs if any(start <= one.due_at <= until for one in _halves(pair))]
    closed = tuple(pair for pair in pairs if not is_open(pair))
    return Comparison(
        shadow=shadow.id,
        live=live.id,
        since=start,
        until=until,
        difference=Difference(closed),
        open=len(pairs) - len(closed),
        all_of_it=reach <= since,
    )


def _begun(store: Store, rule: Rule, since: datetime, until: datetime) -> datetime:
    """When a rule began to run in its present version; `since` if its history does not tell."""
    begun = since
    for number, one in enumerate(store.versions("rule", rule.id)):
        if one.version != rule.version or one.document.get("status", "draft") == "draft":
            return begun if number else until
        begun = one.at if one.note != FIRST_SEEN else since
    return begun


def _began(decision: Decision) -> datetime:
    """When the person did the first thing that is known to have led to it."""
    return min(one.timestamp for one in (decision.event, *decision.events))


def _decisions(entries: Iterable[LedgerEntry], rule: Rule) -> list[Decision]:
    """As they were decided by this version; to send and to send in the shadow is the same decision."""
    return [
        replace(one.decision, outcome="send") if one.decision.outcome == "shadow" else one.decision
        for one in entries
        if one.decision.rule_version == rule.version
    ]


def _uncapped(new: Iterable[Decision], old: Iterable[Decision], shadow: Rule) -> list[Decision]:
    """Without the caps that only the live rule's own mail has used up: in its place that mail would not have been.

    It went out, so at its time the cap had room for one, and the shadow would have taken that room; from then on it is
    the shadow's own mail that uses up the cap.
    """
    theirs: dict[str, list[Decision]] = defaultdict(list)
    own: dict[str, list[Decision]] = defaultdict(list)
    for one in old:
        if one.outcome == "send" and one.kind == "marketing":
            theirs[one.person].append(one)
    told = []
    for one in sorted(new, key=_goes_at):
        capped = one.reason == "frequency_capped"
        if capped and _is_used_up(shadow, one, theirs[one.person]) and not _is_used_up(shadow, one, own[one.person]):
            one = replace(one, outcome="send", reason=None)  # noqa: PLW2901 - the same one, told otherwise
        if one.outcome == "send":
            own[one.person].append(one)
        told.append(one)
    return told


def _is_used_up(shadow: Rule, one: Decision, mails: Iterable[Decision]) -> bool:
    """Whether one of these mails lies in the stretch of time that the shadow's cap looks at."""
    cap = shadow.cap
    if cap is None:
        return False
    since = _goes_at(one) - timedelta(milliseconds=cap.per)
    counted = (mail for mail in mails if cap.across == "all" or mail.category == one.category)
    return any(since < _goes_at(mail) <= _goes_at(one) for mail in counted)


def _goes_at(decision: Decision) -> datetime:
    return decision.scheduled_at or decision.due_at


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


def latest(store: Store, rule: Rule, live: Rule, now: datetime) -> Comparison:
    """A shadow that is due, compared over the last `SPAN`. This may take seconds.

    Raises:
        StoreError: the store cannot be read now.
    """
    return compare_in(store, rule, live, now - SPAN, now)


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
