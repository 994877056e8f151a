"""The people of one part of the past, each through the rules as they are and as they would be."""

import hashlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from tidings.backtest import difference
from tidings.backtest.difference import Difference
from tidings.backtest.findings import DELAYS, Example, Findings
from tidings.backtest.question import Question
from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.history.decided import order, write_sorted
from tidings.permission import consent
from tidings.records import profiles
from tidings.records.store import ConsentRecord, Profile
from tidings.rollout.rule_set import RuleSet
from tidings.rules.conditions import paths_of
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, instant, millis, receipt

_Firing = tuple[str, str, datetime]
"""What the decisions of one firing share, whoever they are under: entry key, episode (`once` names several), due."""


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One decision of the rule in question, for whoever wants to know who and when.

    Attributes:
        goal_at: when the person reached the goal by themselves, inside the window.
        change: to the current version: `same`, `moved`, `changed`, `added`, `removed`; empty when there is none.
        moved_seconds: by how much, for `moved`; negative for earlier.
    """

    person: str
    entry_key: str
    step: int
    template: str
    due_at: datetime
    decided_at: datetime
    outcome: str
    reason: str | None = None
    goal_at: datetime | None = None
    change: str = ""
    moved_seconds: float | None = None


@dataclass(frozen=True)
class Backtest:
    """Makes the task of a part; goes to other processes.

    Attributes:
        question: what is asked.
        until: how far the past reaches, in milliseconds.
        folder: where the rows go.
    """

    question: Question
    until: int
    folder: Path

    def __call__(self, number: int) -> "BacktestPart":
        """The task of this part."""
        return BacktestPart(self, number)


class BacktestPart:
    """One part: a `tidings.history.run.Task`."""

    def __init__(self, plan: Backtest, number: int) -> None:
        self._plan = plan
        self._question = plan.question
        self._number = number
        self._found = Findings()
        self._rows: list[tuple[str, bytes]] = []
        self._counts: dict[str, Counter[Any]] = defaultdict(Counter)
        rule = plan.question.as_live
        # A rule fires or not whatever others send: so these two say, at little cost, whom all of the rules concern.
        self._alone = Engine(RuleSet({rule.id: rule}, plan.question.rules.segments).book())
        self._current = Engine(plan.question.before.only(rule.id).book()) if plan.question.current else None

    @cached_property
    def _before(self) -> Engine:
        return Engine(self._question.before.book())

    @cached_property
    def _after(self) -> Engine:
        return Engine(self._question.after.book())

    def person(self, person: str, history: list[Event]) -> None:
        """See `Task`."""
        self._found.everybody += 1
        until = self._plan.until
        alone = replay(self._alone, person, history, until)
        self._counts["mismatches"].update(one.detail for one in alone.faults)
        outside = [one for one in alone.outside if self._is_told(one)]
        concerned = bool(alone.decisions)
        if not concerned and self._current is not None:
            concerned = bool(replay(self._current, person, history, until).decisions)
        if not (concerned or outside):
            return
        people = _Person(history, self._question.goal)
        self._found.outside += len(outside)
        self._note_traits(people, outside)
        if concerned:
            before = replay(self._before, person, history, until).decisions
            self._compare(people, before, replay(self._after, person, history, until).decisions)

    def _is_told(self, decision: Decision) -> bool:
        since = self._question.since
        return since is None or decision.decided_at >= since

    def _compare(self, person: "_Person", before: Sequence[Decision], after: Sequence[Decision]) -> None:
        rule_id = self._question.rule.id
        ever = [one for one in after if one.rule_id == rule_id]
        mails = [one for one in after if one.outcome == "send" and one.kind == "marketing"]
        before, after = list(filter(self._is_told, before)), list(filter(self._is_told, after))
        mine = [one for one in after if one.rule_id == rule_id]
        theirs = [one for one in before if one.rule_id == rule_id]
        changes = difference.compare(theirs, mine)
        if self._question.current:
            self._found.difference.add(changes.counts)
        for name, these, those in (("lost", before, after), ("won", after, before)):
            sent = {send.send_id for send in those if send.outcome == "send"}
            alone = (send.rule_id for send in these if send.outcome == "send" and send.send_id not in sent)
            self._counts[name].update(rule for rule in alone if rule != rule_id)
        self._note_traits(person, [one for one in mine if one.step == 0])
        goals = self._note_runs(person, ever)
        for one in mine:
            self._note(one, mails)
        self._keep_rows(changes, goals)

    def _note(self, one: Decision, mails: Sequence[Decision]) -> None:
        """What became of one decision, among all marketing mails of its person."""
        self._counts["endings"][one.step, one.template, one.reason or one.outcome] += 1
        hour = one.decided_at.astimezone(self._question.zone).replace(minute=0, second=0, microsecond=0)
        self._counts["hours" if one.outcome == "send" else "stopped_hours"][hour.isoformat()] += 1
        if one.outcome == "send" and any(gate.detail.endswith("held until now") for gate in one.gates):
            self._found.held += 1
        if one.reason == "frequency_capped":
            self._counts["capped_by"].update(self._cappers(one, mails))

    def _cappers(self, one: Decision, mails: Iterable[Decision]) -> set[str]:
        """Whose mail had used up the cap; nobody's, if too many runs waited at the same time."""
        cap = self._question.rule.cap
        if cap is None:
            return set()
        at = _time_of(one)
        since = at - timedelta(milliseconds=cap.per)
        counted = [
            other.rule_id
            for other in mails
            if since < _time_of(other) <= at
            and (other.person == one.person or other.person.startswith("a:"))  # and has joined them, or is they
            and (cap.across == "all" or other.category == one.category)
        ]
        return set(counted) if len(counted) >= cap.max else set()

    def _note_runs(self, person: "_Person", ever: Sequence[Decision]) -> dict[_Firing, int | None]:
        """Firing by firing: did its person reach the goal by themselves? Returns when.

        `ever` is what the rule decided at any time: of a firing before `since` only later steps are told, so that it
        is not counted; its first mail would be taken for none, or another one for its first.
        """
        runs: dict[_Firing, list[Decision]] = defaultdict(list)
        for one in ever:
            runs[_firing(one)].append(one)
        reached: dict[_Firing, int | None] = {}
        counted = [name for name, run in runs.items() if self._is_told(run[0])]
        self._found.people += bool(counted)
        for name, run in runs.items():
            fired = millis(run[0].due_at)
            reached[name] = person.reached(fired, fired + self._question.within)
        for name in counted:
            run, goal = runs[name], reached[name]
            sends = [one for one in run if one.outcome == "send"]
            goals = self._found.mailed if sends else self._found.stopped
            goals.firings += 1
            if goal is None:
                goals.open += millis(run[0].due_at) + self._question.within > self._plan.until
            elif goal <= millis((sends or run)[0].decided_at):
                goals.before += 1
            else:
                goals.after += 1
            if sends:
                self._note_mailed(person, sends[0], goal)
        return reached

    def _note_mailed(self, person: "_Person", first: Decision, goal: int | None) -> None:
        if goal is not None:
            minutes = (goal - millis(first.due_at)) / 60_000
            self._counts["delays"][next(name for name, last in DELAYS if minutes <= last)] += 1
        profile = person.profile(first.decided_at)
        known = self._found.known
        known.address += bool(profile.traits.get("email"))
        if first.kind == "marketing":
            refusal = consent.permission(first.kind, first.category, person.said(first.decided_at))
            known.consent += refusal is None
            known.refusal += refusal == "opted_out"
        if first.to == "person":
            place = hashlib.blake2b(first.send_id.encode(), digest_size=8).hexdigest()
            examples = [*self._found.examples, Example(place, first, profile.traits)]
            examples.sort(key=lambda one: one.place)
            self._found.examples = examples[: self._question.examples]

    def _note_traits(self, person: "_Person", firings: Iterable[Decision]) -> None:
        audience = self._question.rule.audience
        asked = {path.split(".")[1] for path in paths_of(audience)} if audience else set()
        for one in firings if asked else ():
            self._found.known.untraited += not asked <= person.profile(one.decided_at).traits.keys()

    def _keep_rows(self, changes: Difference, goals: dict[_Firing, int | None]) -> None:
        for pair in changes.pairs:
            one = pair.new or pair.old
            assert one is not None
            goal = goals.get(_firing(one))
            row = Row(
                person=one.person,
                entry_key=one.entry_key,
                step=one.step,
                template=one.template,
                due_at=one.due_at,
                decided_at=one.decided_at,
                outcome=one.outcome,
                reason=one.reason,
                goal_at=None if goal is None else instant(goal),
                change=pair.change if self._question.current else "",
                moved_seconds=pair.moved.total_seconds() if pair.moved else None,
            )
            self._rows.append((order(one), msgspec.json.encode(row)))

    def finish(self) -> Findings:
        """See `Task`."""
        for name, counter in self._counts.items():
            setattr(self._found, name, dict(counter))
        write_sorted(self._plan.folder, self._number, self._rows)
        return self._found


def _firing(one: Decision) -> _Firing:
    return one.entry_key, one.episode, one.due_at


def _time_of(one: Decision) -> datetime:
    """When its cap was asked."""
    return one.scheduled_at or one.due_at


class _Person:
    """What one person did, as far as it says whether a mail could reach them and whether they needed it.

    For a machine, which fires a rule ten thousand times, nothing here goes through its history for each of them.
    """

    def __init__(self, history: Sequence[Event], goal: str) -> None:
        self._history = sorted(history, key=receipt)
        self._goals = sorted(one.at for one in history if one.type == "track" and one.event == goal)

    def reached(self, after: int, until: int) -> int | None:
        """When they first reached the goal in (after, until], in milliseconds."""
        place = bisect_right(self._goals, after)
        return self._goals[place] if place < len(self._goals) and self._goals[place] <= until else None

    def profile(self, at: datetime) -> Profile:
        """Their traits at that time."""
        known = bisect_right(self._profiles, at, key=lambda one: one[0])
        return self._profiles[known - 1][1] if known else Profile(person=self._history[0].person)

    def said(self, at: datetime) -> list[ConsentRecord]:
        """Their consents until that time."""
        known = bisect_right(self._consents, at, key=lambda one: one[0])
        return [one for _, one in self._consents[:known]]

    @cached_property
    def _profiles(self) -> list[tuple[datetime, Profile]]:
        """From when on they were known how."""
        profile: Profile | None = None
        known: list[tuple[datetime, Profile]] = []
        for event in self._history:
            update = profiles.from_event(event)
            if update is not None:
                profile = profiles.merge(profile, update)
                known.append((event.received_at, profile))
        return known

    @cached_property
    def _consents(self) -> list[tuple[datetime, ConsentRecord]]:
        return [(event.received_at, one) for event in self._history for one in consent.from_event(event)]
