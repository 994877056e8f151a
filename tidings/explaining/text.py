"""An explanation as a support agent reads it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from tidings.explaining.explanation import Explanation, GateTold, RuleTold, Timer
from tidings.explaining.trace import Line, Trace
from tidings.explaining.verify import MAY_DIFFER, Verification

_STATUS = {
    "sent": "sent",
    "suppressed": "not sent",
    "shadow": "not sent: a rehearsal",
    "dead_lettered": "not sent, and somebody should look at it",
    "claimed": "not sent yet",
    "waiting": "not sent yet: its turn has not come",
    "handing_over": "handed to the mail server, no answer yet",
}
_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}
_GATES = {
    "exit": "still wanted",
    "audience": "audience",
    "status": "status of the rule",
    "holdout": "holdout",
    "quiet_hours": "quiet hours",
    "frequency_cap": "frequency cap",
    "address": "address",
    "suppression": "suppression list",
    "consent": "consent",
    "turn": "its turn",
    "render": "message",
    "hand_over": "mail server",
}
"""How the gates are called."""
_WIDTH = 28


def page(told: Explanation, zone: tzinfo) -> str:
    """Everything, with times by the clocks of `zone`."""
    return "\n".join(_page(told, zone)) + "\n"


def _page(told: Explanation, zone: tzinfo) -> Iterator[str]:
    yield f"{headline(told)}"
    if told.stopped_by is not None:
        stop = told.stopped_by
        yield f"  why         {stop.reason}: {stop.sentence}"
        yield f"  what to do  {stop.advice}"
    yield ""
    yield f"RULE  {_rule(told.rule)}"
    yield from (f"  {line}" for line in told.rule.trigger.splitlines())
    yield f"  mail {_which(told)}: {told.template}, {told.kind}, category {told.category}" + (
        f", to the role {told.to}" if told.to != "person" else ""
    )
    yield ""
    yield (
        "EVENTS THAT COUNTED"
        if told.evidence
        else "EVENTS THAT COUNTED  none by itself: it is their sum, or time alone"
    )
    for one in told.evidence:
        if one.at is None:
            yield f"  {'no longer kept':<{_WIDTH}} {one.message_id}"
        else:
            yield f"  {_clock(one.at, zone):<{_WIDTH}} {one.name} ({one.message_id})"
    yield ""
    yield "WHEN"
    yield from (
        f"  {name:<10} {_timer(timer, zone)}"
        for name, timer in (("fell due", told.due), ("was to go", told.scheduled), ("decided", told.decided))
    )
    yield ""
    yield "GATES OF THE ENGINE  (not asked: the rule has no such gate)"
    yield from map(_gate, told.gates)
    yield "GATES OF THE MAILER"
    yield from map(_gate, told.mailer_gates)
    mailing = told.mailing
    tries = f"{mailing.attempts} attempts" if mailing.attempts > 1 else "1 attempt"
    ending = f"{mailing.status} at {_clock(mailing.at, zone)}, {tries}"
    again = f", repeated {mailing.repeats} times because nobody knew whether it went out" if mailing.repeats else ""
    if mailing.reopened_at is not None:
        yield f"  a dead letter, replayed by hand at {_clock(mailing.reopened_at, zone)}: {mailing.reopened_from}"
    yield f"  in the end: {ending}{again}"
    yield f"\nsend id {told.send_id}"


def headline(told: Explanation) -> str:
    """Which rule, for whom, and how it ended."""
    about = f" ({told.entry_key})" if told.entry_key else ""
    return f"{told.rule.id} for {told.person}{about}: {_STATUS[told.mailing.status]}"


def summary(told: Explanation, zone: tzinfo) -> str:
    """One decision in one or two lines."""
    which = f" {_which(told)}" if told.steps > 1 else ""
    about = f" ({told.entry_key})" if told.entry_key else ""
    first = (
        f"{_clock(told.decided.at, zone)}  {told.rule.id}{which}{about}: "
        f"{_STATUS[told.mailing.status]}  [{told.send_id[:12]}]"
    )
    if told.stopped_by is None:
        return first
    stop = told.stopped_by
    return f"{first}\n    {stop.gate}: {stop.reason}. {stop.sentence}"


def summaries(many: Sequence[Explanation], zone: tzinfo) -> str:
    """A person's decisions, as they come."""
    return "".join(summary(one, zone) + "\n" for one in many)


def _rule(rule: RuleTold) -> str:
    name = f": {rule.name}" if rule.name else ""
    if rule.state == "current":
        return f"{rule.id}, version {rule.version}, which is still in force ({rule.status}){name}"
    now = f"version {rule.current_version} is in force now" if rule.current_version else "the rule does not exist now"
    if rule.state == "superseded":
        return f"{rule.id}, version {rule.version}, since replaced; {now}{name}"
    return f"{rule.id}, version {rule.version}, which is not kept any more; {now}"


def _which(told: Explanation) -> str:
    ordinal = _ORDINALS.get(told.step, f"{told.step}th")
    return f"{ordinal} of {told.steps}" if told.steps else f"the {ordinal}"


def _timer(timer: Timer, zone: tzinfo) -> str:
    return f"{_clock(timer.at, zone):<{_WIDTH}} {timer.why}"


def _gate(gate: GateTold) -> str:
    return f"  {gate.state:<12} {_GATES[gate.name]:<20} {gate.detail}".rstrip()


def _clock(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    millis = f".{local.microsecond // 1000:03d}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{millis} {local.tzname()}"


def verification(result: Verification) -> str:
    """What came of deciding it once more."""
    events = f"{result.events:,} event{'s' if result.events != 1 else ''} of theirs in the archive"
    if result.verified:
        return f"VERIFIED: decided again from {events}, with the same explanation, byte for byte\n"
    if result.again is None:
        return f"NOT VERIFIED: decided again from {events}, this mail is not decided at all\n{MAY_DIFFER}\n"
    rows = [
        f"  {one.field}\n    the ledger   {_value(one.ledger)}\n    the archive  {_value(one.archive)}\n"
        for one in result.differences
    ]
    return f"NOT VERIFIED: decided again from {events}, it comes out otherwise\n{''.join(rows)}{MAY_DIFFER}\n"


def trace(told: Trace, zone: tzinfo) -> str:
    """What every event meant to a rule; those that meant nothing are counted."""
    return "\n".join(_trace(told, zone)) + "\n"


def _trace(told: Trace, zone: tzinfo) -> Iterator[str]:
    yield f"{told.rule_id}, version {told.version}, and what {told.person} did"
    silent = 0
    for line in told.lines:
        if not line.said:
            silent += 1
            continue
        yield from _silent(silent)
        silent = 0
        yield from _line(line, told.person, zone)
    yield from _silent(silent)
    yield f"verdict: {told.verdict}"


def _silent(count: int) -> Iterator[str]:
    if count:
        yield f"  {'':<{_WIDTH}} {count:,} event{'s' if count > 1 else ''} that meant nothing to it"


def _line(line: Line, person: str, zone: tzinfo) -> Iterator[str]:
    whose = f" [{line.of}]" if line.of != person else ""
    late = line.received_at is not None and (line.received_at - line.at).total_seconds() >= 1
    received = f" (received {_clock(line.received_at, zone)})" if late and line.received_at else ""
    first = f"  {_clock(line.at, zone):<{_WIDTH}} {line.name or 'time passed'}{whose}{received}"
    for number, one in enumerate(line.said):
        begin = f"{first}: " if number == 0 else " " * (len(first) + 2)
        yield f"{begin}{one.text}{f' [{one.key}]' if one.key else ''}"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
