"""When a mail fell due, was to go and was decided, and why then. Only what follows from rule and decision is said."""

from collections.abc import Sequence
from typing import Any

from tidings import durations
from tidings.deciding.runs import plan
from tidings.explaining.explanation import Counted, Timer
from tidings.rules.rule import Rule
from tidings.wire.decisions import Decision
from tidings.wire.events import millis

_BY_KIND = {
    "not_performed": "{length} after the event that started the clock last, and nothing had ended it",
    "session_ended": "{length} after the last event of the visit",
    "inactive": "{length} after the last thing that they did",
    "score": "the score rose above its threshold by itself, because time had passed",
    "segment": "the membership changed",
}
_UNKNOWN = "this version of the rule is not kept any more, so it cannot be said why then"


def due(decision: Decision, rule: Rule | None, evidence: Sequence[Counted], scale: float) -> Timer:
    """When the condition became true."""
    return Timer(at=decision.due_at, why=_why_due(millis(decision.due_at), rule, evidence, scale))


def _why_due(at: int, rule: Rule | None, evidence: Sequence[Counted], scale: float) -> str:
    times = [millis(one.at) for one in evidence if one.at is not None]
    kind, document = rule.trigger.chosen if rule else ("", None)  # type: ignore[attr-defined]
    length = _length(kind, document)
    if length is not None:
        scaled = max(1, int(length / scale))
        ending = _ending(kind)
        for one, then in zip(reversed([one for one in evidence if one.at]), reversed(times), strict=True):
            if then + scaled == at:
                several = len(evidence) > 1 and one == evidence[-1]
                which = f"the last of them, {one.name}" if several else one.name
                return f"{durations.text(length)} after {which}{ending}"
    elif at in times:
        return "at once, with the last of them" if len(times) > 1 else f"at once, with {evidence[0].name}"
    if rule is None:
        return _UNKNOWN
    told = _BY_KIND.get(kind, "with the event that made the condition true")
    return told.format(length=durations.text(length) if length is not None else "")


def _length(kind: str, document: Any) -> int | None:
    """How long a rule about something not happening waits."""
    name = {"not_performed": "within", "session_ended": "gap", "inactive": "for_"}.get(kind)
    return getattr(document, name) if name else None


def _ending(kind: str) -> str:
    return ", and nothing had ended it" if kind == "not_performed" else ", and nothing more had come"


def scheduled(decision: Decision, rule: Rule | None, scale: float) -> Timer:
    """When the mail was to go."""
    at = decision.scheduled_at or decision.due_at
    left = millis(at) - millis(decision.due_at)
    if not left:
        return Timer(at=at, why="at once")
    why = []
    if rule is not None:
        waits = sum(one.after for one in plan(rule.all_steps, scale)[: decision.step + 1])
        if waits:
            why.append(f"{durations.text(int(waits * scale))} of waits in its steps")
            left -= waits
    if any("held until now" in gate.detail for gate in decision.gates):
        why.append("held until the night was over")
    elif left > 0:
        or_held = ", or an earlier mail had been held" if decision.step else ""
        why.append(f"{durations.text(left)} because it was heard of later{or_held}")
    return Timer(at=at, why="; ".join(why))


def decided(decision: Decision) -> Timer:
    """When it was decided: at the receipt of an event, or by the watermark."""
    behind = millis(decision.decided_at) - millis(decision.scheduled_at or decision.due_at)
    why = "at that very moment"
    if behind == 1:
        why = "as soon as everything received until then had been seen"
    elif behind > 0:
        later = durations.text(behind)
        why = f"{later} after that, when it was heard of, or everything until then had been seen"
    return Timer(at=decision.decided_at, why=why)
