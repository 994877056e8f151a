"""One turn of the engine for one person: runs begin, hear of what ends them, and are taken through the gates.

Whatever waits is released by a watermark alone, never by the receipt of another event: what could still stop it may be
on its way. What happens after a send was due has no say in it, whenever it arrives; so a backlog, in which events and
watermark are far apart, ends like a quiet hour.
"""

import hashlib
from collections.abc import Iterable
from sys import intern
from typing import cast

import msgspec

from tidings.deciding.gates import judge
from tidings.deciding.rulebook import CompiledRule, RuleBook
from tidings.deciding.runs import MOST_HEARD, MOST_RUNS, SKIPS, Heard, Run, begin
from tidings.deciding.state import PersonState
from tidings.rules.kinds.base import NEVER, STOP, Firing, tidy_at
from tidings.wire.decisions import Decision, Gate, MailKind, Outcome, Reason, Trigger, send_id
from tidings.wire.events import Event, instant
from tidings.wire.message_ids import unpack


class Turn:
    """What happens in one call of the engine.

    Attributes:
        state: of the person; changed in place.
        now: the receipt of an event, or a watermark, in milliseconds.
        begun: what has begun.
        decisions: what was decided so far.
        outside: what would have been, if the person were in the audience; nobody hears of it but who asks why.
        crowded_out: so many entry keys were forgotten to make room for new ones.
    """

    __slots__ = ("_book", "begun", "crowded_out", "decisions", "now", "outside", "state")

    def __init__(self, book: RuleBook, state: PersonState, now: int) -> None:
        self._book = book
        self.begun: list[tuple[CompiledRule, Run]] = []
        self.state = state
        self.now = now
        self.decisions: list[Decision] = []
        self.outside: list[Decision] = []
        self.crowded_out = 0

    def begin(
        self,
        compiled: CompiledRule,
        key: str,
        firing: Firing,
        event: Event | None,
        starts_at: int,
        ended_at: int = NEVER,
    ) -> None:
        """A trigger has fired: a run begins, unless what ends it is known already.

        A template is shown `event` when the marks have not kept anything. The first step counts from `starts_at`.
        `ended_at` is when the person did something that ends the run, as far as the trigger knows.
        """
        first = firing.name or firing.marks[0]
        episode = "once" if compiled.re_entry.once else f"{first.at}.{_short(first.message_id)}"
        shown = None if compiled.kind.keeps else event
        run = begin(compiled.version, key, episode, firing, shown, starts_at + compiled.sends[0].after)
        run.ended_at = ended_at
        for heard in self.state.heard.get(compiled.id, ()):
            if heard.version == compiled.version:
                run.hear(heard)
        if run.is_ended:
            return
        runs = self.state.runs.setdefault(compiled.id, [])
        if len(runs) >= MOST_RUNS:
            too_many = Gate(name="frequency_cap", passed=False, detail=f"{MOST_RUNS} runs of this rule wait already")
            self._decide(compiled, run, "suppressed", "frequency_capped", (too_many,))
            return
        runs.append(run)
        self.begun.append((compiled, run))

    def tell(self, compiled: CompiledRule, at: int, key: str, flags: int) -> None:
        """An event may end runs of a rule, or skip sends: those that there are, and those that begin later."""
        state = self.state
        heard = Heard(at, tidy_at(max(at, self.now)), key, flags, compiled.version)
        if flags & (STOP | SKIPS):
            known = state.heard.setdefault(compiled.id, [])
            known.append(heard)
            del known[:-MOST_HEARD]
            state.wake_at = min(state.wake_at, heard.until)
        runs = state.runs.get(compiled.id)
        if runs is None:
            return
        for run in [*runs]:
            if self._book.find(compiled.id, run.version) is compiled:
                run.hear(heard)
                if run.is_ended:
                    runs.remove(run)
                    self.end(compiled, run, "exited")
        if not runs:
            del state.runs[compiled.id]

    def end(self, compiled: CompiledRule, run: Run, reason: Reason) -> None:
        """A run is over. If its send was held back, it had been decided already, and is now decided otherwise."""
        held = run.held and run.step < len(compiled.sends)  # an edit may have left fewer steps
        if held or reason == "frequency_capped":
            since = instant(run.ended_at).isoformat() if run.is_ended else ""
            self._decide(compiled, run, "suppressed", reason, (Gate(name="exit", passed=False, detail=since),))

    def release_begun(self) -> None:
        """Decide what has begun in this turn, and waits for nothing."""
        self._release([one for one in self.begun if one[1].next_at <= self.now], self.now)

    def release_due(self) -> None:
        """The watermark is `now`: decide everything that was due before it."""
        until = self.now - 1
        due = []
        for rule_id, runs in self.state.runs.items():
            for run in runs:
                compiled = self._book.find(rule_id, run.version)
                if compiled is None:  # the rule was deleted, or is a draft again
                    run.next_at = NEVER
                elif run.next_at <= until:
                    due.append((compiled, run))
        self._release(due, until)

    def _release(self, due: Iterable[tuple[CompiledRule, Run]], until: int) -> None:
        """Take runs through the gates, the most urgent first."""
        state = self.state
        self._book.segments.refresh(state, self.now)
        for compiled, run in sorted(due, key=_urgency):
            while run.next_at <= until:
                self._advance(compiled, run)
        for rule_id, runs in [*state.runs.items()]:
            left = [run for run in runs if run.next_at < NEVER]
            if left:
                state.runs[rule_id] = left
                state.wake_at = min(state.wake_at, *(run.next_at + 1 for run in left))
            else:
                del state.runs[rule_id]

    def _advance(self, compiled: CompiledRule, run: Run) -> None:
        """The next send of a run. Sets when the one after it is due; NEVER when the run is over."""
        if run.step >= len(compiled.sends):  # an edit has left fewer steps
            run.next_at = NEVER
            return
        if run.is_ended:
            self.end(compiled, run, "exited")
            run.next_at = NEVER
            return
        planned = compiled.sends[run.step]
        if run.skips.get(planned.flag, NEVER) > run.next_at:
            verdict = judge(compiled, self.state, run)
            if verdict.hold_until is not None:
                run.held, run.next_at = True, verdict.hold_until
                if run.is_ended:  # what ended it in the night has arrived already
                    self._advance(compiled, run)
                return
            if verdict.outcome is None:
                self.outside.append(self._decision(compiled, run, "suppressed", None, verdict.gates))
            else:
                self._decide(compiled, run, verdict.outcome, verdict.reason, verdict.gates)
                if verdict.outcome == "send" and compiled.rule.kind == "marketing":
                    self.state.sent.append((run.next_at, compiled.rule.category))
            if verdict.ends:
                run.next_at = NEVER
                return
        run.step, run.held = run.step + 1, False
        run.next_at = run.next_at + compiled.sends[run.step].after if run.step < len(compiled.sends) else NEVER

    def _decide(
        self, compiled: CompiledRule, run: Run, outcome: Outcome, reason: Reason | None, gates: tuple[Gate, ...]
    ) -> None:
        self.decisions.append(self._decision(compiled, run, outcome, reason, gates))

    def _decision(
        self, compiled: CompiledRule, run: Run, outcome: Outcome, reason: Reason | None, gates: tuple[Gate, ...]
    ) -> Decision:
        """The decision, with its evidence."""
        rule, send = compiled.rule, compiled.sends[run.step].send
        person = self.state.person
        shown = tuple(
            Trigger(name=name, timestamp=instant(at), properties=msgspec.Raw(properties))
            for name, at, properties in run.shown
        )
        return Decision(
            send_id=send_id(rule.id, run.version, person, run.key, run.episode, run.step),
            rule_id=rule.id,
            rule_version=run.version,
            person=person,
            entry_key=run.key,
            episode=run.episode,
            step=run.step,
            template=send.template,
            to=intern(send.to),  # defaults are left out on the wire, and known by their identity: the same bytes
            kind=cast("MailKind", intern(rule.kind)),  # whichever way the rule came into this process
            category=rule.category,
            outcome=outcome,
            reason=reason,
            due_at=instant(run.due_at),
            scheduled_at=instant(run.next_at) if run.next_at != run.due_at else None,
            decided_at=instant(self.now),
            evidence=run.evidence,
            event=shown[-1],
            events=shown,
            gates=gates,
        )


def _urgency(due: tuple[CompiledRule, Run]) -> tuple[int, int, str, str, str]:
    compiled, run = due
    return run.next_at, -compiled.rule.priority, compiled.id, run.key, run.episode


def _short(packed: bytes) -> str:
    return hashlib.blake2b(unpack(packed).encode(), digest_size=4).hexdigest()
