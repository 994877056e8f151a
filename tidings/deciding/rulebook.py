"""The rule book: rules compiled once into an index from the name of an event to the few rules that care.

A rule book never changes; an edit makes a new one. The cost of an event does not grow with the number of rules and
segments that do not name it. Superseded versions stay in the book for as long as somebody may be in the middle of one.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec

from tidings import documents
from tidings.deciding.membership import Change, SegmentBook, Touch
from tidings.deciding.runs import SKIPS, PlannedSend, plan
from tidings.errors import InvalidRuleError
from tidings.rules import own_mail
from tidings.rules.conditions import MISSING, Predicate, TypeMismatchError, compile_condition, getter, paths_of
from tidings.rules.kinds import KINDS
from tidings.rules.kinds.base import STOP, Kind, ReEntry, Watchable
from tidings.rules.rule import Rule, unknown_segments
from tidings.rules.segments import Segment
from tidings.rules.selectors import ANY
from tidings.rules.surroundings import Pause
from tidings.wire.decisions import Outcome
from tidings.wire.events import Event

KeyOf = Callable[[Event], str | None]
Check = tuple[int, Predicate | None]
Interest = tuple[Touch | None, "list[Watch]"]
_OfType = tuple[dict[str, Interest], Interest]


@dataclass(frozen=True, kw_only=True)
class CompiledRule:
    """A rule, ready to run.

    Attributes:
        key_of: the entry key of an event, None when the event carries none; None itself when the rule keeps no keys.
        needs_key: an event without a key starts nothing (`by`: no product id is never "the same product").
        sends: what goes out, in order.
        superseded: a newer version is in force; this one only finishes what it began.
        cap_per: the stretch of time of the frequency cap, in milliseconds.
    """

    rule: Rule
    version: str
    kind: Kind
    key_of: KeyOf | None
    needs_key: bool
    sends: tuple[PlannedSend, ...]
    audience: Predicate | None
    cap_per: int
    re_entry: ReEntry
    superseded: bool = False

    @cached_property
    def id(self) -> str:
        """The rule's."""
        return self.rule.id

    @cached_property
    def heeded(self) -> int:
        """The flags of events that a run must hear of; none when no run outlives the turn in which it begins."""
        holds = self.rule.quiet_hours is not None and self.rule.quiet_hours.on_miss == "hold"
        lingers = holds or len(self.sends) > 1 or self.sends[0].after > 0
        return self.kind.ended_by | SKIPS if lingers else 0

    @property
    def outcome(self) -> Outcome:
        """What a decision of this rule comes to when nothing stands in its way."""
        return "shadow" if self.rule.status == "shadow" else "send"

    def holds_out(self, person: str) -> bool:
        """Whether this person belongs to the holdout: always the same people, others for every rule.

        A shadow holds out the people of the rule that it is compared with.
        """
        if not self.rule.holdout:
            return False
        digest = hashlib.blake2b(f"{self.rule.shadow_of or self.rule.id}\0{person}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") < self.rule.holdout / 100 * 2**32

    @cached_property
    def watched(self) -> list[tuple[Watchable, int]]:
        """Every event that matters, with its flag: those of the kind, and those that skip a send."""
        sending = [step for step in self.rule.all_steps if step.send is not None]
        unless = [(one, send.flag) for step, send in zip(sending, self.sends, strict=True) for one in step.unless]
        return [*self.kind.watches(), *unless]

    @cached_property
    def checks(self) -> list[tuple[tuple[str, str], Check]]:
        """The same, compiled: type and name of the event, its flag, and what it must carry."""
        return [(watchable.subject, (flag, self._predicate(watchable, flag))) for watchable, flag in self.watched]

    def _predicate(self, watchable: Watchable, flag: int) -> Predicate | None:
        if flag & (STOP | SKIPS):
            return watchable.predicate()
        return own_mail.beginning(watchable.subject, watchable.predicate(), self.rule.shadow_of or self.rule.id)


class Watch(NamedTuple):
    """One rule's interest in one event: the flags it has in any case, and those that a satisfied condition adds."""

    compiled: CompiledRule
    always: int = 0
    checks: tuple[tuple[int, Predicate], ...] = ()


class RuleBook:
    """All rules that run, compiled.

    Args:
        rules: drafts are left out.
        time_scale: every duration in every rule is divided by this; 60 turns 15 minutes into 15 seconds.
        superseded: earlier versions, for what began under them.
        segments: settled, see `segments.settle`.

    Raises:
        InvalidRuleError: a rule names a segment that is not among them, or cannot be compiled.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        time_scale: float = 1.0,
        superseded: Iterable[Rule] = (),
        segments: Iterable[Segment] = (),
    ) -> None:
        self.segments = SegmentBook(segments, time_scale)
        self.rules: dict[str, CompiledRule] = {
            rule.id: compile_rule(rule, time_scale) for rule in rules if rule.status != "draft"
        }
        self._earlier: dict[tuple[str, str], CompiledRule] = {}
        for rule in superseded:
            current = self.rules.get(rule.id)
            if current is not None and current.version != rule.version:
                # Whether it is live or paused now, and whose shadow it is, is said by the rule of today.
                today = {name: getattr(current.rule, name) for name in ("status", "shadow_of")}
                as_of_today = rule.model_copy(update=today)
                self._earlier[rule.id, rule.version] = compile_rule(as_of_today, time_scale, superseded=True)
        everything = [*self._earlier.values(), *self.rules.values()]  # what has begun hears of an event first
        for one in everything:
            if faults := unknown_segments(one.rule, self.segments.names):
                raise InvalidRuleError(one.rule.id, faults)
        self.traits = {path.split(".")[1] for one in everything for path in _traits_of(one.rule)} | self.segments.traits
        self.wants_time_zone = any(
            one.rule.quiet_hours is not None and one.rule.quiet_hours.tz == "user" for one in everything
        )
        self.longest_cap = max((one.cap_per for one in everything), default=0)
        self._index = _index(everything, self.segments.touches())
        self._nothing: _OfType = ({}, (None, []))

    def interest(self, event: Event) -> Interest:
        """Who cares about an event of this type and name: segments, and the rules."""
        by_name, any_name = self._index.get(event.type, self._nothing)
        return by_name.get(event.label, any_name)

    def watches(self, event: Event) -> list[Watch]:
        """The rules that care about an event of this type and name."""
        return self.interest(event)[1]

    def watches_of(self, change: Change) -> list[Watch]:
        """The rules that care about a change of membership."""
        by_name, nobody = self._index.get("segment", self._nothing)
        return by_name.get(f"{change.segment} {'enter' if change.entered else 'leave'}", nobody)[1]

    def find(self, rule_id: str, version: str) -> CompiledRule | None:
        """The rule as it was in this version, if it is still known, and otherwise as it is now."""
        if version and self._earlier:
            return self._earlier.get((rule_id, version)) or self.rules.get(rule_id)
        return self.rules.get(rule_id)


def _traits_of(rule: Rule) -> list[str]:
    return list(paths_of(rule.audience)) if rule.audience else []


def compile_rule(rule: Rule, scale: float = 1.0, *, superseded: bool = False) -> CompiledRule:
    """One rule, ready to run, and everything that it watches as well.

    Raises:
        InvalidRuleError: its document is valid, and cannot be compiled all the same.
    """
    with documents.compiling(rule.id, "rule"):
        compiled = _compile(rule, scale, superseded)
        _ = compiled.checks
    return compiled


def _compile(rule: Rule, scale: float, superseded: bool) -> CompiledRule:
    name, document = rule.trigger.chosen  # type: ignore[attr-defined]
    re_entry = ReEntry(once=rule.re_entry == "once")
    if isinstance(rule.re_entry, Pause):
        re_entry = ReEntry(pause=int(rule.re_entry.after / scale))
    by = getattr(document, "by", None)
    paths = [path for path in (rule.entry_key, by) if path is not None]
    return CompiledRule(
        rule=rule,
        version=rule.version,
        kind=KINDS[name].build(document, rule.exit_on, re_entry, scale),
        key_of=_key_of(paths) if paths else None,
        needs_key=by is not None,
        sends=plan(rule.all_steps, scale),
        audience=compile_condition(rule.audience) if rule.audience else None,
        cap_per=int(rule.cap.per / scale) if rule.cap else 0,
        re_entry=re_entry,
        superseded=superseded,
    )


def _key_of(paths: list[str]) -> KeyOf:
    readers = [_reader(path) for path in paths]

    def several(event: Event) -> str | None:
        parts = [read(event) for read in readers]
        return None if None in parts else msgspec.json.encode(parts).decode()

    return readers[0] if len(readers) == 1 else several


def _reader(path: str) -> KeyOf:
    get = getter(path)

    def read(event: Event) -> str | None:
        value = get(event)
        if isinstance(value, str):
            return value
        if value is MISSING:
            return None
        if isinstance(value, dict | list):
            raise TypeMismatchError(path, "a string, number or boolean", value)
        return msgspec.json.encode(value).decode()

    return read


def _index(rules: Iterable[CompiledRule], touches: dict[tuple[str, str], Touch]) -> dict[str, _OfType]:
    """By type: (name -> interest, interest in any other name). Who wants any name is part of every named one."""
    checks: dict[tuple[str, str], list[tuple[CompiledRule, Check]]] = {}
    for one in rules:
        for subject, check in one.checks:
            checks.setdefault(subject, []).append((one, check))
    index: dict[str, _OfType] = {}
    for event_type, name in {*checks, *touches, *((event_type, ANY) for event_type, _ in (*checks, *touches))}:
        by_name, _ = index.setdefault(event_type, ({}, (None, [])))
        anything = checks.get((event_type, ANY), [])
        interest = (
            touches.get((event_type, name), touches.get((event_type, ANY))),
            _watches([*anything, *checks.get((event_type, name), [])] if name != ANY else anything),
        )
        if name == ANY:
            index[event_type] = (by_name, interest)
        else:
            by_name[name] = interest
    return index


def _watches(checks: list[tuple[CompiledRule, Check]]) -> list[Watch]:
    """One watch a rule and version, with all of its checks, so that one event is one mark to a rule."""
    by_rule: dict[tuple[str, str], Watch] = {}
    for compiled, (flag, predicate) in checks:
        name = compiled.rule.id, compiled.version
        known = by_rule.get(name, Watch(compiled))
        if predicate is None:
            by_rule[name] = known._replace(always=known.always | flag)
        else:
            by_rule[name] = known._replace(checks=(*known.checks, (flag, predicate)))
    return list(by_rule.values())
