"""What stands between a trigger that fired and a mail that goes out: audience, holdout, quiet hours, frequency cap.

Asked again at every step of a run, and when a held send is released.
"""

from typing import NamedTuple

from tidings.conditions import TypeMismatchError
from tidings.decisions import Outcome, Reason
from tidings.rulebook import CompiledRule
from tidings.runs import Run
from tidings.state import PersonState


class Verdict(NamedTuple):
    """What the gates say.

    Attributes:
        outcome / reason: as in `Decision`; outcome None means that there is nothing to record.
        hold_until: ask again then; nothing else is said.
        ends: whether the run is over, whatever steps are left.
    """

    outcome: Outcome | None = None
    reason: Reason | None = None
    hold_until: int | None = None
    ends: bool = False


def judge(compiled: CompiledRule, state: PersonState, run: Run) -> Verdict:
    """May the next send of this run go out, at `run.next_at`?"""
    rule = compiled.rule
    if not _is_in_audience(compiled, state):
        if run.step == 0 and not run.held:
            return Verdict(ends=True)  # the rule is not about this person: nothing was decided
        return Verdict("suppressed", "exited", ends=True)
    if rule.status == "paused":
        return Verdict("suppressed", "rule_paused", ends=True)
    if compiled.holds_out(state.person):
        return Verdict("suppressed", "holdout", ends=True)
    if rule.quiet_hours is not None:
        zone = state.time_zone[1] if state.time_zone else None
        morning = rule.quiet_hours.end_of_night(run.next_at, zone)
        if morning is not None and rule.quiet_hours.on_miss == "drop":
            return Verdict("suppressed", "quiet_hours_missed")
        if morning is not None:
            return Verdict(hold_until=morning)
    if rule.cap is not None and _recent(compiled, state, run.next_at) >= rule.cap.max:
        return Verdict("suppressed", "frequency_capped")
    return Verdict(compiled.outcome)


def _is_in_audience(compiled: CompiledRule, state: PersonState) -> bool:
    """A trait of a type that cannot be compared is not what the audience asks for."""
    try:
        return compiled.audience is None or compiled.audience(state)
    except TypeMismatchError:
        return False


def _recent(compiled: CompiledRule, state: PersonState, at: int) -> int:
    """How much marketing mail went out in the stretch of time that the cap looks at: (at - per, at]."""
    cap = compiled.rule.cap
    same = cap is not None and cap.across == "category"
    category = compiled.rule.category
    since = at - compiled.cap_per
    return sum(when > since and (not same or what == category) for when, what in state.sent)
