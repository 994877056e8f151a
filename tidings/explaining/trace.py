"""Why was nothing decided? A person's past, event by event, and what each event meant to one rule."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec

from tidings.deciding import identity
from tidings.deciding.engine import Engine
from tidings.deciding.identity import Handover
from tidings.deciding.state import PersonState
from tidings.explaining.ledger import NotFoundError
from tidings.explaining.meaning import Said, Watcher, Word, told
from tidings.rollout.rule_set import RuleSet
from tidings.rules.kinds.base import NEVER
from tidings.wire.events import Event, instant, millis, receipt

Ending = Literal["fired", "waits", "ended", "counted", "unreadable", "nothing", "draft"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One step: an event that was received, or time that has passed.

    Attributes:
        at: when it happened; of time that has passed, the watermark.
        of: whose memory is told of: the person's, or that of an anonymous id that had not joined them yet.
        name / message_id / received_at: of the event; none of them where only time has passed.
        said: what it meant; nothing when it left no trace.
    """

    at: datetime
    of: str
    name: str = ""
    message_id: str = ""
    received_at: datetime | None = None
    said: tuple[Said, ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, and what it comes to.

    Attributes:
        rule_id / version: the rule in question.
        lines: in order of receipt.
        ending: `fired` exactly when there was a decision, or would have been one for somebody in the audience.
        verdict: one sentence: when it fired, or the first thing that stood in the way.
    """

    rule_id: str
    version: str
    person: str
    lines: tuple[Line, ...]
    ending: Ending
    verdict: str


def trace(
    rules: RuleSet,
    rule_id: str,
    person: str,
    history: Iterable[Event],
    until: int,
    near: datetime | None = None,
    time_scale: float = 1.0,
) -> Trace:
    """Play a person's past, and watch one rule.

    Args:
        rules: all of them: what others send counts towards frequency caps.
        rule_id: the one in question.
        person: as `Event.person`.
        history: as `archive.history_of` returns it.
        until: how far it reaches, in milliseconds.
        near: the instant that somebody asks about; the verdict is about what is nearest to it, or about the end.
        time_scale: see `RuleBook`.

    Raises:
        NotFoundError: there is no such rule.
        InvalidRuleError: the rules do not fit together.
    """
    rule = rules.rules.get(rule_id)
    if rule is None:
        raise NotFoundError(f"{rule_id}: there is no such rule")
    book = RuleSet(rules.rules, rules.segments).book(time_scale)  # nothing begins under a superseded version
    compiled = book.rules.get(rule_id)
    events = sorted(history, key=receipt)
    past = _Past(Engine(book), person)
    lines: list[Line] = []
    ending: Ending
    if compiled is None:
        ending, verdict = "draft", f"{rule_id} is a draft: it is not run at all"
    else:
        watcher = Watcher(compiled, time_scale)
        lines += past.play(events, watcher, until)
        ending, verdict = _verdict(lines, past.everybody.values(), watcher, near, until)
    return Trace(
        rule_id=rule_id, version=rule.version, person=person, lines=tuple(lines), ending=ending, verdict=verdict
    )


class _Past:
    """As `tidings.deciding.replay.replay`, and somebody looks on."""

    def __init__(self, engine: Engine, person: str) -> None:
        self._engine = engine
        self.everybody = {person: PersonState(person)}

    def play(self, events: Iterable[Event], watcher: Watcher, until: int) -> Iterator[Line]:
        """One line a step, in the order in which the events were received."""
        for event in events:
            now = millis(event.received_at)
            yield from self._wake(watcher, min(now, until))
            arriving = [event]
            for one in arriving:
                for key in identity.addressees(one):
                    state = self.everybody.setdefault(key, PersonState(key))
                    before = watcher.look(state)
                    outcome, onward = identity.take(self._engine, state, one, now)
                    arriving += onward
                    if not onward:  # or else it is told of where it arrives
                        yield Line(
                            at=one.timestamp,
                            of=key,
                            name=f"{one.anonymous} joins them" if isinstance(one, Handover) else one.label,
                            message_id=one.message_id,
                            received_at=one.received_at,
                            said=tuple(watcher.said(before, state, outcome, one)),
                        )
        yield from self._wake(watcher, until)

    def _wake(self, watcher: Watcher, until: int) -> Iterator[Line]:
        for state in self.everybody.values():
            while state.wake_at <= until:
                now = state.wake_at
                before = watcher.look(state)
                outcome = self._engine.wake(state, now)
                if said := tuple(watcher.said(before, state, outcome, None)):
                    yield Line(at=instant(now), of=state.person, said=said)


def _verdict(
    lines: Iterable[Line], everybody: Iterable[PersonState], watcher: Watcher, near: datetime | None, until: int
) -> tuple[Ending, str]:
    """How far it got, and what stood in the way of more."""
    steps = [*lines]
    if near is not None:
        steps.sort(key=lambda line: abs(line.at - near), reverse=True)
    latest: dict[Word, tuple[Line, Said]] = {one.word: (line, one) for line in steps for one in line.said}
    fired = [latest[word] for word in ("fired", "outside") if word in latest]
    if fired:
        line, one = fired[0] if near is None else min(fired, key=lambda found: abs(found[0].at - near))
        return "fired", f"it {one.text}{_key(one)}, at {told(millis(line.at))}"
    looks = [watcher.look(state) for state in everybody]
    reach = f"the archive reaches until {told(until)}"
    if runs := [run.next_at for look in looks for run in look.runs.values()]:
        return "waits", f"the trigger fired, and the mail is due {told(min(runs))}; {reach}"
    if "run ended" in latest:
        line, one = latest["run ended"]
        return "ended", f"the trigger fired{_key(one)}, and {_what(line)} ended it before a mail was decided"
    clocks = [one.due for look in looks for one in look.keys.values() if one.due < NEVER and not one.stopped]
    if clocks:
        return "waits", f"the clock still runs: due {told(min(clocks))}; {reach}"
    if "ended" in latest:
        line, one = latest["ended"]
        return "ended", f"{_what(line)}: {one.text}{_key(one)}"
    if "counted" in latest:
        line, one = latest["counted"]
        return "counted", f"it did not come to a mail: {_what(line)} {one.text}{_key(one)}, and no more came in time"
    if "unreadable" in latest:
        line, one = latest["unreadable"]
        return "unreadable", f"{_what(line)} {one.text}"
    events = sum(bool(line.message_id) for line in steps)
    if not events:
        return "nothing", "the archive holds no event of theirs"
    return "nothing", f"nothing of theirs meant anything to this rule, in {events:,} event{'s' if events > 1 else ''}"


def _what(line: Line) -> str:
    return f"{line.name or 'time'} at {told(millis(line.at))}"


def _key(one: Said) -> str:
    return f" for {one.key}" if one.key else ""
