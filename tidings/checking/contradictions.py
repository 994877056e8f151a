"""Conditions that nothing can satisfy.

A condition is spread out into the ways in which it can be true: one way for each choice among its `any`. A way is a
list of simple statements, all of which must hold. It is impossible when the statements about one path leave no value
over, or when it says of one segment (or of one `performed`) that it does and does not hold.

What is called impossible is so; what is not may be impossible all the same. The values that are tried are given to the
engine's own closures, so that there is no second opinion on what `equals` means. A value that a closure cannot read
does not satisfy it: the engine leaves such an event out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from tidings.durations import LONGEST
from tidings.rules.conditions import (
    MISSING,
    Condition,
    Predicate,
    Subject,
    TypeMismatchError,
    compile_condition,
)
from tidings.rules.kinds.activity import Activity
from tidings.rules.segments import Performed, Segment, Where
from tidings.rules.selectors import Selector
from tidings.wire.events import ObjectName

_MOST_WAYS = 256
"""A condition that can be true in more ways than this is taken to be possible."""

_COMPARISONS = {"gt", "gte", "lt", "lte"}
_OPERATORS = ("equals", "not_equals", "in", "exists", "contains", "gt", "gte", "lt", "lte")


class Statement(NamedTuple):
    """Something simple about an event or a person, which must hold, or must not.

    Attributes:
        about: a path, `segment x`, or the name of a `performed`.
        operator: as in the document; empty where `about` says everything.
        value: the operator's.
        holds: False inside a `not`.
        stands_at: where in the document.
        performed: the `performed` that it is.
    """

    about: str
    operator: str
    value: Any
    holds: bool
    stands_at: str
    performed: Performed | None = None

    def __str__(self) -> str:
        is_whole = isinstance(self.value, float) and self.value.is_integer()
        value = json.dumps(int(self.value) if is_whole else self.value, ensure_ascii=False)
        text = f"{self.about} {self.operator} {value}" if self.operator else self.about
        return text if self.holds else f"not {text}"


Way = tuple[Statement, ...]


class Clash(NamedTuple):
    """Why a condition is impossible: statements that cannot hold together. With an `any`, more ways than one fail."""

    statements: Way
    ways: int = 1

    def __str__(self) -> str:
        said = " and ".join(map(str, self.statements))
        never = "is never true" if len(self.statements) == 1 else "are never true together"
        return f"{said} {never}" + ("" if self.ways == 1 else f", and neither is any other of its {self.ways} branches")


def clash(condition: Condition, segments: Mapping[str, Segment] | None = None, stands_at: str = "") -> Clash | None:
    """Why nothing satisfies a condition, or None when something may.

    Args:
        condition: on an event, on a person, or of a segment.
        segments: by id; what is known of those that it names is taken into account.
        stands_at: where in the document it stands.
    """
    ways = _ways(condition, True, stands_at, segments or {}, ())
    if ways is None:
        return None
    clashes = []
    for way in ways:
        found = _clash_of(way)
        if found is None:
            return None
        clashes.append(found)
    return Clash(clashes[0] if clashes else (), max(1, len(clashes)))


def is_implied(wanted: Condition | None, given: Condition | None) -> bool:
    """Whether whatever satisfies `given` satisfies `wanted` too, or cannot be read by it. None is no condition."""
    if wanted is None:
        return True
    unwanted = Condition.model_construct(_fields_set={"not_"}, not_=wanted)
    both = [unwanted] if given is None else [given, unwanted]
    return clash(Condition.model_construct(_fields_set={"all_"}, all_=both)) is not None


def parts_that_clash(
    condition: Condition, segments: Mapping[str, Segment] | None = None, stands_at: str = ""
) -> Iterator[tuple[str, Clash]]:
    """The condition, if it is impossible; otherwise every part of it that is. Each with where it stands."""
    found = clash(condition, segments, stands_at)
    if found is not None:
        yield stands_at, found
        return
    for place, part in condition.parts:
        yield from parts_that_clash(part, segments, f"{stands_at}.{place}".lstrip("."))
    performed = condition.performed if isinstance(condition, Where) else None
    if performed is not None and performed.where is not None:
        yield from parts_that_clash(performed.where, None, f"{stands_at}.performed.where".lstrip("."))


def covers(wide: Selector, narrow: Selector) -> bool:
    """Whether every event that `narrow` means is meant by `wide` as well."""
    if isinstance(wide, Activity) and wide.type == "track" and not isinstance(narrow, Activity):
        return False  # some tracks are no activity
    (wide_type, wide_name), (narrow_type, narrow_name) = wide.subject, narrow.subject
    if wide_type != narrow_type or wide_name not in ("*", narrow_name):
        return False
    return is_implied(wide.where, narrow.where)


def _ways(
    condition: Condition, holds: bool, at: str, segments: Mapping[str, Segment], inside: tuple[str, ...]
) -> list[Way] | None:
    """Every way in which a condition holds, or does not. None: too many to tell."""
    if condition.not_ is not None:
        return _ways(condition.not_, not holds, f"{at}.not".lstrip("."), segments, inside)
    if condition.all_ is not None or condition.any_ is not None:
        parts = [_ways(part, holds, f"{at}.{place}".lstrip("."), segments, inside) for place, part in condition.parts]
        if (condition.all_ is not None) == holds:
            return _product(parts)
        return _sum(parts)
    performed = condition.performed if isinstance(condition, Where) else None
    if performed is not None:
        return [(Statement(_told(performed), "", None, holds, f"{at}.performed".lstrip("."), performed),)]
    if condition.segment is not None:
        return _ways_of_segment(condition.segment, holds, f"{at}.segment".lstrip("."), segments, inside)
    assert condition.path is not None
    given = {name.rstrip("_") for name in condition.model_fields_set}
    simple: list[list[Way] | None] = [
        [(Statement(condition.path, name, _operand(condition, name), holds, f"{at}.{name}".lstrip(".")),)]
        for name in _OPERATORS
        if name in given
    ]
    return _product(simple) if holds else _sum(simple)


def _ways_of_segment(
    name: str, holds: bool, at: str, segments: Mapping[str, Segment], inside: tuple[str, ...]
) -> list[Way] | None:
    """A segment is a statement by itself, and what it asks for must hold besides.

    Not the other way round: whose traits cannot be read is in no segment, and does not fit its opposite either.
    """
    said: list[Way] = [(Statement(f"segment {name}", "", None, holds, at),)]
    if not holds or name not in segments or name in inside:
        return said
    known = _ways(segments[name].where, True, at, segments, (*inside, name))
    if known is None:
        return said
    # All that a segment asks for stands at the place where it is named.
    return _product([said, [tuple(one._replace(stands_at=at) for one in way) for way in known]])


def _product(parts: Sequence[list[Way] | None]) -> list[Way] | None:
    """All of them hold. A part that cannot be told is left out: without it more is possible, never less."""
    together: list[Way] = [()]
    for ways in parts:
        if ways is None or len(together) * len(ways) > _MOST_WAYS:
            continue
        together = [(*one, *other) for one in together for other in ways]
    return together


def _sum(parts: Sequence[list[Way] | None]) -> list[Way] | None:
    """One of them holds."""
    together: list[Way] = []
    for ways in parts:
        if ways is None:
            return None
        together += ways
    return together if len(together) <= _MOST_WAYS else None


def _operand(condition: Condition, name: str) -> Any:
    return condition.in_ if name == "in" else getattr(condition, name)


def _told(performed: Performed) -> str:
    _, name = performed.subject
    return f"performed {name}" + (f" {performed.times} times" if performed.times > 1 else "")


def _clash_of(way: Way) -> Way | None:
    """The fewest statements of a way that cannot hold together."""
    about: dict[str, list[Statement]] = {}
    for one in way:
        about.setdefault(one.about if one.performed is None else "performed", []).append(one)
    for name, statements in about.items():
        for size in (1, 2):
            for some in combinations(statements, size):
                if not _may_hold(name, some):
                    return some
        if not _may_hold(name, statements):
            return tuple(statements)
    return None


def _may_hold(about: str, statements: Sequence[Statement]) -> bool:
    if about == "performed":
        return not any(_excludes(one, other) for one in statements for other in statements)
    if about.startswith("segment "):
        return len({one.holds for one in statements}) == 1
    return any(_satisfies(value, statements) for value in _candidates(statements))


def _excludes(one: Statement, other: Statement) -> bool:
    """Whether one `performed` holds, and so does another that is said not to; or whether its events cannot be."""
    done, not_done = one.performed, other.performed
    assert done is not None
    assert not_done is not None
    if one.holds and done.where is not None and clash(done.where) is not None:
        return True
    if not one.holds or other.holds:
        return False
    longer = (not_done.within or LONGEST) >= (done.within or LONGEST)
    same = done.subject == not_done.subject and not_done.where in (None, done.where)
    return same and longer and not_done.times <= done.times


class _Anything:
    """Stands for values that no finite list could name: whatever else is said of them, one will do."""


_SOMETHING = _Anything()


class _One(Subject):
    """A subject that holds one value at one path, or nothing."""

    def __init__(self, path: str, value: Any) -> None:
        self._root, *self._way = path.split(".")
        self._value = value

    def read(self, root: ObjectName) -> dict[str, Any]:
        """See `Subject`."""
        if root != self._root or self._value is MISSING:
            return {}
        value = self._value
        for part in reversed(self._way):
            value = {part: value}
        return value  # type: ignore[no-any-return]

    def is_in(self, segment: str) -> bool:
        """See `Subject`."""
        return False


def _satisfies(value: Any, statements: Iterable[Statement]) -> bool:
    """Whether a value fits all of the statements about its path, in the eyes of the engine."""
    if isinstance(value, _Anything):
        return True
    composite = isinstance(value, list | dict)
    for one in statements:
        if composite and one.operator in ("equals", "not_equals", "in", "contains"):
            continue  # [1] equals [true]: what lies inside is not told apart well enough to be certain
        if _asks(one)(_One(one.about, value)) != one.holds:
            return False
    return True


def _asks(statement: Statement) -> Predicate:
    """The engine's closure for a statement; what it cannot read counts as the wrong answer, either way."""
    test = compile_condition(Condition.model_validate({"path": statement.about, statement.operator: statement.value}))

    def answer(subject: Subject) -> bool:
        try:
            return test(subject)
        except TypeMismatchError:
            return not statement.holds

    return answer


def _candidates(statements: Sequence[Statement]) -> Iterator[Any]:
    """Values of which one fits, if any does."""
    for one in statements:
        if one.holds and one.operator == "in":
            yield from one.value
            return
        if one.operator == ("equals" if one.holds else "not_equals"):
            yield MISSING if one.value is None else one.value
            return
    yield MISSING
    said = {one.operator for one in statements}
    if any(one.operator == "exists" and one.holds != one.value for one in statements):
        return
    if said & _COMPARISONS and "contains" not in said:
        yield from _numbers(statements)
    if not said & _COMPARISONS:
        yield from _texts_and_lists(statements)


def _numbers(statements: Iterable[Statement]) -> Iterator[Any]:
    """Numbers in the span that the comparisons leave: any at all when it has room, its one point when it has none."""
    lowest, highest = float("-inf"), float("inf")
    for one in statements:
        if one.operator in _COMPARISONS:
            if one.operator.startswith("g") == one.holds:
                lowest = max(lowest, one.value)
            else:
                highest = min(highest, one.value)
    if lowest < highest:
        yield _SOMETHING
    elif lowest == highest:
        yield lowest


def _texts_and_lists(statements: Iterable[Statement]) -> Iterator[Any]:
    """A list can contain whatever is asked for, unless the same is both asked for and not wanted."""
    contained = [one for one in statements if one.operator == "contains"]
    wanted = [one.value for one in contained if one.holds]
    if all(_satisfies_contains(wanted, one) for one in contained if not one.holds):
        yield _SOMETHING


def _satisfies_contains(wanted: list[Any], unwanted: Statement) -> bool:
    return not any(type(one) is type(unwanted.value) and one == unwanted.value for one in wanted)
