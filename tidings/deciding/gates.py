"""What stands between a trigger that fired and a mail that goes out: audience, consent, holdout, quiet hours, cap.

Asked again at every step of a run, and when a held send is released. Each answer is noted, so that a decision can say
what it rests on without being asked again.
"""

from typing import NamedTuple

from tidings import durations
from tidings.deciding.rulebook import CompiledRule
from tidings.deciding.runs import Run
from tidings.deciding.state import PersonState
from tidings.permission.consent import objection
from tidings.rules.conditions import TypeMismatchError
from tidings.wire.decisions import Gate, GateName, Outcome, Reason
from tidings.wire.events import instant

NO_OBJECTION = "no objection is known; asked again when it is sent"


class Verdict(NamedTuple):
    """What the gates say.

    Attributes:
        outcome / reason: as in `Decision`; outcome None means that there is nothing to record.
        gates: what was asked, in order; of those that stop a send, the last one did.
        hold_until: ask again then; nothing else is said.
        ends: whether the run is over, whatever steps are left.
    """

    outcome: Outcome | None = None
    reason: Reason | None = None
    gates: tuple[Gate, ...] = ()
    hold_until: int | None = None
    ends: bool = False


def judge(compiled: CompiledRule, state: PersonState, run: Run) -> Verdict:
    """May the next send of this run go out, at `run.next_at`?"""
    rule = compiled.rule
    passed = [Gate(name="exit")]

    def stopped(by: GateName, outcome: Outcome | None, reason: Reason | None, detail: str, *, ends: bool) -> Verdict:
        return Verdict(outcome, reason, (*passed, Gate(name=by, passed=False, detail=detail)), ends=ends)

    if compiled.audience is not None:
        if not _is_in_audience(compiled, state):
            began = run.step > 0 or run.held  # otherwise the rule is not about this person: nothing was decided
            ending: tuple[Outcome, Reason, str] | tuple[None, None, str] = ("suppressed", "exited", "no longer in it")
            return stopped("audience", *(ending if began else (None, None, "")), ends=True)
        passed.append(Gate(name="audience"))
    if rule.status == "paused":
        return stopped("status", "suppressed", "rule_paused", rule.status, ends=True)
    passed.append(Gate(name="status", detail=rule.status))
    if rule.kind == "marketing":  # and so to the person: mail to a role is no marketing
        # Before the holdout, so that those are compared who could have got it; before the cap, which counts mail.
        if refusal := _refusal(rule.category, state):
            return stopped("consent", "suppressed", "opted_out", refusal, ends=False)  # a later step asks again
        passed.append(Gate(name="consent", detail=NO_OBJECTION))
    if rule.holdout:
        share = f"{rule.holdout:g} % of all people"
        if compiled.holds_out(state.person):
            return stopped("holdout", "suppressed", "holdout", share, ends=True)
        passed.append(Gate(name="holdout", detail=share))
    if rule.quiet_hours is not None:
        zone = state.time_zone[1] if state.time_zone else None
        night = rule.quiet_hours.told(zone)
        morning = rule.quiet_hours.end_of_night(run.next_at, zone)
        if morning is not None and rule.quiet_hours.on_miss == "drop":
            return stopped("quiet_hours", "suppressed", "quiet_hours_missed", night, ends=False)
        if morning is not None:
            return Verdict(hold_until=morning)
        passed.append(Gate(name="quiet_hours", detail=f"{night}, held until now" if run.held else night))
    if rule.cap is not None:
        recent = _recent(compiled, state, run.next_at)
        count = f"{recent} of {rule.cap.max} in {durations.text(rule.cap.per)}"
        if recent >= rule.cap.max:
            return stopped("frequency_cap", "suppressed", "frequency_capped", count, ends=False)
        passed.append(Gate(name="frequency_cap", detail=count))
    return Verdict(compiled.outcome, gates=tuple(passed))


def _refusal(category: str, state: PersonState) -> str:
    """Which no stands against it, and since when; empty while none is known.

    What is not remembered here is no objection: an import, or a word of long ago, is known to the mailer alone, which
    asks again.
    """
    found = objection(state.consent, category)
    return f"{found[0]}, since {instant(found[1]).isoformat()}" if found else ""


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
