"""The people of one part of the past, each through the rules as they are and as they would be."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from tidings import consent, difference, profiles
from tidings.backtest.findings import DELAYS, Example, Findings
from tidings.backtest.question import Question
from tidings.conditions import paths_of
from tidings.decisions import Decision
from tidings.difference import Difference
from tidings.engine import Engine
from tidings.events import Event, instant, millis
from tidings.history.decided import order, write_sorted
from tidings.replay import replay
from tidings.rule_set import RuleSet
from tidings.store import ConsentRecord, Profile


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
        people = _Person(history)
        self._found.outside += len(outside)
        self._note_traits(people, outside)
        if concerned:
            before = [one for one in replay(self._before, person, history, until).decisions if self._is_told(one)]
            after = [one for one in replay(self._after, person, history, until).decisions if self._is_told(one)]
            self._compare(people, before, after)

    def _is_told(self, decision: Decision) -> bool:
        since = self._question.since
        return since is None or decision.decided_at >= since

    def _compare(self, person: "_Person", before: list[Decision], after: list[Decision]) -> None:
        rule_id = self._question.rule.id
        mine = [one for one in after if one.rule_id == rule_id]
        theirs = [one for one in before if one.rule_id == rule_id]
        changes = difference.compare(theirs, mine)
        if self._question.current:
            self._found.difference.add(changes.counts)
        for name, these, those in (("lost", before, after), ("won", after, before)):
            sent = {send.send_id for send in those if send.outcome == "send"}
            alone = (send.rule_id for send in these if send.outcome == "send" and send.send_id not in sent)
            self._counts[name].update(rule for rule in alone if rule != rule_id)
        if mine:
            self._found.people += 1
            self._note_traits(person, [one for one in mine if one.step == 0])
        goals = self._note_runs(person, mine)
        for one in mine:
            self._note(one, after)
        self._keep_rows(changes, goals)

    def _note(self, one: Decision, after: Sequence[Decision]) -> None:
        """What became of one decision."""
        self._counts["endings"][one.step, one.template, one.reason or one.outcome] += 1
        hour = one.decided_at.astimezone(self._question.zone).replace(minute=0, second=0, microsecond=0)
        self._counts["hours" if one.outcome == "send" else "stopped_hours"][hour.isoformat()] += 1
        if one.outcome == "send" and any(gate.detail.endswith("held until now") for gate in one.gates):
            self._found.held += 1
        if one.reason == "frequency_capped":
            self._counts["capped_by"].update(self._cappers(one, after))

    def _cappers(self, one: Decision, after: Sequence[Decision]) -> set[str]:
        """Whose mail had used up the cap."""
        cap = self._question.rule.cap
        if cap is None:  # too many runs at the same time
            return set()
        at = one.scheduled_at or one.due_at
        since = at - timedelta(milliseconds=cap.per)
        return {
            other.rule_id
            for other in after
            if other.outcome == "send"
            and other.kind == "marketing"
            and since < (other.scheduled_at or other.due_at) <= at
            and other.send_id != one.send_id
            and (cap.across == "all" or other.category == one.category)
        }

    def _note_runs(self, person: "_Person", mine: Sequence[Decision]) -> dict[tuple[str, str], int | None]:
        """Firing by firing: did its person reach the goal by themselves? Returns when, by entry key and episode."""
        runs: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for one in mine:
            runs[one.entry_key, one.episode].append(one)
        reached: dict[tuple[str, str], int | None] = {}
        for name, run in runs.items():
            fired = millis(run[0].due_at)
            goal = reached[name] = person.first(self._question.goal, fired, fired + self._question.within)
            sends = [one for one in run if one.outcome == "send"]
            goals = self._found.mailed if sends else self._found.stopped
            goals.firings += 1
            if goal is None:
                goals.open += fired + self._question.within > self._plan.until
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

    def _keep_rows(self, changes: Difference, goals: dict[tuple[str, str], int | None]) -> None:
        for pair in changes.pairs:
            one = pair.new or pair.old
            assert one is not None
            goal = goals.get((one.entry_key, one.episode))
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


class _Person:
    """What one person did, as far as it says whether a mail could reach them and whether they needed it."""

    def __init__(self, history: Sequence[Event]) -> None:
        self._history = history

    def first(self, goal: str, after: int, until: int) -> int | None:
        """When they first did this in (after, until], in milliseconds."""
        times = (one.at for one in self._history if one.type == "track" and one.event == goal)
        return min((at for at in times if after < at <= until), default=None)

    def profile(self, at: datetime) -> Profile:
        """Their traits at that time."""
        profile: Profile | None = None
        for event in self._history:
            if event.type == "identify" and event.received_at <= at:
                update = profiles.from_event(event)
                assert update is not None
                profile = profiles.merge(profile, update)
        return profile or Profile(person=self._history[0].person)

    def said(self, at: datetime) -> list[ConsentRecord]:
        """Their consents until that time."""
        return [one for event in self._history if event.received_at <= at for one in consent.from_event(event)]
