"""Rules that can never fire, and parts of them that never do anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from tidings.checking.contradictions import covers, parts_that_clash
from tidings.checking.findings import Remark
from tidings.checking.places import Placed, events_of, starts_of, stops_of
from tidings.deciding.rulebook import compile_rule
from tidings.rules.conditions import Condition, paths_of
from tidings.rules.kinds.session_ended import SessionCount
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment

_Segments = Mapping[str, Segment]


def in_rule(rule: Rule, segments: _Segments) -> Iterator[Remark]:
    """What in a rule can never be true, or never happen."""
    yield from _conditions(events_of(rule))
    if rule.audience is not None:
        for path, found in parts_that_clash(rule.audience, segments, "audience"):
            yield Remark(path, None, f"nobody is ever in this audience: {found}" if path == "audience" else str(found))
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    yield from _BY_KIND[kind](rule, document, segments)
    yield from _unless(rule)
    if rule.steps and rule.steps[-1].send is None:
        yield Remark(f"steps[{len(rule.steps) - 1}].wait", None, "nothing follows this wait; leave it out")


def in_segment(segment: Segment, segments: _Segments) -> Iterator[Remark]:
    """What in a segment can never be true."""
    for path, found in parts_that_clash(segment.where, segments, "where"):
        yield Remark(path, None, f"nobody can ever be in this segment: {found}" if path == "where" else str(found))


def _conditions(placed: Iterable[Placed]) -> Iterator[Remark]:
    for one in placed:
        if one.selector.where is not None:
            for path, found in parts_that_clash(one.selector.where, None, f"{one.path}.where"):
                yield Remark(path, None, f"{found}: no event is ever meant")


def _ended_by(one: Placed, stops: Iterable[Placed]) -> Placed | None:
    """What ends everything whenever this event happens."""
    return next((stop for stop in stops if covers(stop.selector, one.selector)), None)


def _never(one: Placed, stop: Placed) -> Remark:
    _, name = one.selector.subject
    return Remark(one.path, name, f"the rule never fires: {stop.path} ends it with the very event that it waits for")


def _performed(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    for one in starts_of(rule):
        stop = _ended_by(one, stops_of(rule))
        # A rule that fires on every single event does not look at what came before, nor at what ends that.
        if stop is not None and not compile_rule(rule).kind.stateless:
            yield _never(one, stop)
    if document.times == 1 and document.within is not None:
        yield Remark("trigger.performed.within", None, "has no effect on a single event; say times, or leave it out")


def _sequence(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    for one in starts_of(rule):
        stop = _ended_by(one, stops_of(rule))
        if stop is not None:
            yield _never(one, stop)


def _not_performed(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    for one in events_of(rule):
        stop = _ended_by(one, stops_of(rule)) if one.role == "reset" else None
        if stop is not None and not covers(document.after, one.selector):
            _, name = one.selector.subject
            yield Remark(one.path, name, f"never starts the clock again: {stop.path} ends the wait with the same event")


def _session_ended(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    at = "trigger.session_ended.having"
    none = [
        Placed(f"{at}[{number}]", one, "none_of")
        for number, one in enumerate(document.having)
        if one.by is None and one.bounds == (0, 0)
    ]
    stops = [*stops_of(rule), *none]
    yield from _all_ended(rule, stops)
    for number, one in enumerate(document.having):
        least, _ = one.bounds
        mine = Placed(f"{at}[{number}]", one, "start")
        stop = _ended_by(mine, stops) if least else None
        if stop is not None:
            yield _never(mine, stop)
            continue
        for other, bound in enumerate(document.having):
            if least > bound.bounds[1] and _counts_no_less(bound, one):
                reason = f"the rule never fires: at_least {least} is above at_most {bound.at_most} of {at}[{other}]"
                yield Remark(f"{at}[{number}]", None, reason)


def _counts_no_less(one: SessionCount, other: SessionCount) -> bool:
    """Whether the count of `one` is never below that of `other`."""
    if one.by is None:
        return covers(one, other)
    return one.by == other.by and one.subject == other.subject and one.where == other.where


def _inactive(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    yield from _all_ended(rule, stops_of(rule))


def _all_ended(rule: Rule, stops: list[Placed]) -> Iterator[Remark]:
    """A session needs an event that does not end it."""
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    ended = [_ended_by(one, stops) for one in starts_of(rule)]
    if ended and None not in ended:
        field = f"trigger.{kind}.of" if document.of is not None else f"trigger.{kind}"
        paths = ", ".join(sorted({one.path for one in ended if one is not None}))
        yield Remark(field, None, f"the rule never fires: whatever begins it also ends it, by {paths}")


def _score(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    stops = stops_of(rule)
    highest = lowest = Decimal(repr(document.bias))
    for one, feature in zip(starts_of(rule), document.features, strict=True):
        stop = _ended_by(one, stops)
        if stop is not None:
            _, name = one.selector.subject
            yield Remark(one.path, name, f"adds nothing: {stop.path} ends the score with the same event")
            continue
        if feature.where is not None and any(path == "" for path, _ in parts_that_clash(feature.where)):
            continue
        most = Decimal(repr(feature.weight)) * feature.at_most
        highest, lowest = highest + max(most, Decimal()), lowest + min(most, Decimal())
    above = Decimal(repr(document.above))
    if document.model != "linear":
        return
    if highest <= above:
        reason = f"the rule never fires: bias and weights, each times at_most, come to {highest:f} at most"
        yield Remark("trigger.score.above", document.above, reason)
    elif lowest > above:
        reason = f"the rule never fires: the score never sinks below {lowest:f}, so it cannot rise above this"
        yield Remark("trigger.score.above", document.above, reason)


def _segment(rule: Rule, document: Any, segments: _Segments) -> Iterator[Remark]:
    group = segments.get(document.id)
    if group is None:
        return
    clashes = list(parts_that_clash(group.where, segments))
    if any(path == "" for path, _ in clashes):
        yield Remark("trigger.segment.id", document.id, "the rule never fires: nobody can ever be in this segment")
    everybody = Condition.model_construct(_fields_set={"not_"}, not_=group.where)
    if not any(paths_of(group.where)) and any(path == "" for path, _ in parts_that_clash(everybody, segments)):
        reason = "the rule never fires: everybody is in this segment from the beginning, and stays in it"
        yield Remark("trigger.segment.id", document.id, reason)


def _unless(rule: Rule) -> Iterator[Remark]:
    """An `unless` that nothing can happen in time for, or that says what ends the run anyway."""
    waits = compile_rule(rule).heeded
    ends = [*stops_of(rule), *(starts_of(rule) if rule.trigger.chosen[0] == "inactive" else ())]  # type: ignore[attr-defined]
    for one in events_of(rule):
        if one.role != "unless":
            continue
        _, name = one.selector.subject
        stop = _ended_by(one, ends)
        if not waits:
            yield Remark(one.path, name, "never skips this send: it goes out at once; put a wait before it")
        elif stop is not None:
            yield Remark(one.path, name, f"has no effect: {stop.path} ends all that is left with the same event")


_BY_KIND: dict[str, Callable[[Rule, Any, _Segments], Iterator[Remark]]] = {
    "performed": _performed,
    "not_performed": _not_performed,
    "sequence": _sequence,
    "session_ended": _session_ended,
    "inactive": _inactive,
    "score": _score,
    "segment": _segment,
}
