"""Conditions on what an event carries: the document that a marketer writes, and the closure that the engine runs.

A missing value satisfies nothing but `exists: false` and `not_equals`. A value of the wrong type (a string where
`gt` expects a number) satisfies nothing either, and is reported as a `TypeMismatchError`, so that somebody hears
of it; it is never guessed at.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Protocol, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator, model_validator

from tidings.errors import TidingsError
from tidings.wire.events import ObjectName


class Subject(Protocol):
    """What conditions are about: an event, or a person."""

    def read(self, root: ObjectName) -> dict[str, Any]:
        """The object under this name."""

    def is_in(self, segment: str) -> bool:
        """Whether the person is in a segment."""


Predicate = Callable[[Subject], bool]
Getter = Callable[[Subject], Any]
Path = Annotated[
    str,
    Field(
        pattern=r"^(properties|traits|context)(\.[^.\s]+)+$",
        description="Where to look: properties.price, traits.plan, context.page.path, ...",
        examples=["properties.product_id"],
    ),
]
Scalar = str | int | float | bool

MISSING = object()
"""What a getter returns when there is nothing at the path (null counts as nothing)."""


class TypeMismatchError(TidingsError):
    """The event carries a value of another type than the rule needs. Holds the path and types, never the value."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        super().__init__(f"{path}: expected {expected}, found {type(found).__name__}")
        self.path = path


UNREADABLE = (TypeMismatchError, msgspec.ValidationError)
"""What reading an event for a rule may raise; see `Event.read` for the second."""


class Condition(BaseModel):
    """One condition: either `path` with operators (all of which must hold), or `all`, `any`, `not`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    alone: ClassVar[tuple[str, ...]] = ("segment", "all", "any", "not")
    """The fields that say everything by themselves."""
    may_be_null: ClassVar[tuple[str, ...]] = ("equals", "not_equals")
    """The fields to which null is a value."""

    path: Path | None = None
    equals: JsonValue = None
    not_equals: JsonValue = None
    in_: list[Scalar] | None = Field(default=None, alias="in")
    exists: bool | None = None
    contains: Scalar | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    segment: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Is in this segment.")
    all_: "list[Condition] | None" = Field(default=None, alias="all", min_length=1)
    any_: "list[Condition] | None" = Field(default=None, alias="any", min_length=1)
    not_: "Condition | None" = Field(default=None, alias="not")

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_left_empty(cls, value: Any, info: ValidationInfo) -> Any:
        """A name with nothing behind it is null in YAML, and would say nothing where its author meant something."""
        if value is None and info.field_name not in cls.may_be_null:
            raise ValueError("is left empty")
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Condition":
        given = self.model_fields_set
        joins = {name for name in given if name.rstrip("_") in self.alone}
        if len(joins) + ("path" in given) != 1:
            raise ValueError("needs exactly one of " + ", ".join(("path", *self.alone)))
        if "path" in given and len(given) == 1:
            raise ValueError(f"says nothing about {self.path}; add an operator such as equals or exists")
        if joins and len(given) > 1:
            raise ValueError(f"operators belong beside a path, not beside {' or '.join(self.alone)}")
        return self

    @property
    def parts(self) -> "list[tuple[str, Condition]]":
        """The conditions that this one joins, each with where it stands: `all[0]`, `not`, ..."""
        joined = (("all", self.all_), ("any", self.any_))
        parts = [(f"{name}[{place}]", one) for name, many in joined for place, one in enumerate(many or ())]
        return [*parts, ("not", self.not_)] if self.not_ else parts

    def own_test(self) -> Predicate | None:
        """The test of what a wider language than this one adds (see `tidings.rules.segments`)."""
        return None


def paths_of(condition: Condition) -> Iterator[str]:
    """Every path that a condition looks at."""
    if condition.path is not None:
        yield condition.path
    for _, part in condition.parts:
        yield from paths_of(part)


def segments_of(condition: Condition, stands_at: str = "") -> Iterator[tuple[str, str]]:
    """Every segment that a condition asks about: where in the document, and which one."""
    if condition.segment is not None:
        yield f"{stands_at}.segment", condition.segment
    for place, part in condition.parts:
        yield from segments_of(part, f"{stands_at}.{place}")


def getter(path: str) -> Getter:
    """A function from an event to the value at `path`, or MISSING."""
    name, first, *rest = path.split(".")
    root = cast("ObjectName", name)

    def shallow(event: Subject) -> Any:
        value = event.read(root).get(first)
        return MISSING if value is None else value

    def deep(event: Subject) -> Any:
        value = event.read(root).get(first)
        for part in rest:
            if not isinstance(value, dict):
                return MISSING
            value = value.get(part)
        return MISSING if value is None else value

    return deep if rest else shallow


def compile_condition(condition: Condition) -> Predicate:
    """Turn a document into a closure. The closure may raise `TypeMismatchError`."""
    own = condition.own_test()
    if own is not None:
        return own
    if condition.all_ is not None:
        return _all([compile_condition(part) for part in condition.all_])
    if condition.any_ is not None:
        return _any([compile_condition(part) for part in condition.any_])
    if condition.not_ is not None:
        inner = compile_condition(condition.not_)
        return lambda event: not inner(event)
    if condition.segment is not None:
        segment = condition.segment
        return lambda person: person.is_in(segment)
    assert condition.path is not None
    tests = [
        _OPERATORS[name](condition.path, getattr(condition, name))
        for name in condition.model_fields_set
        if name in _OPERATORS
    ]
    return tests[0] if len(tests) == 1 else _all(tests)


def _all(tests: list[Predicate]) -> Predicate:
    return lambda event: all(test(event) for test in tests)


def _any(tests: list[Predicate]) -> Predicate:
    return lambda event: any(test(event) for test in tests)


def _same(left: Any, right: Any) -> bool:
    """JSON equality: 1 equals 1.0, but true does not equal 1 as it does in Python."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _equals(path: str, wanted: Any) -> Predicate:
    get = getter(path)
    if wanted is None:
        return lambda event: get(event) is MISSING
    return lambda event: _same(get(event), wanted)


def _not_equals(path: str, wanted: Any) -> Predicate:
    equal = _equals(path, wanted)
    return lambda event: not equal(event)


def _in(path: str, wanted: list[Any]) -> Predicate:
    get = getter(path)
    return lambda event: any(_same(get(event), one) for one in wanted)


def _exists(path: str, wanted: bool) -> Predicate:
    get = getter(path)
    return lambda event: (get(event) is not MISSING) == wanted


def _contains(path: str, wanted: Any) -> Predicate:
    get = getter(path)

    def test(event: Subject) -> bool:
        value = get(event)
        if value is MISSING:
            return False
        if isinstance(value, list):
            return any(_same(one, wanted) for one in value)
        if isinstance(value, str) and isinstance(wanted, str):
            return wanted in value
        raise TypeMismatchError(path, "a string or a list", value)

    return test


def _compare(compare: Callable[[float, float], bool]) -> Callable[[str, Any], Predicate]:
    def build(path: str, wanted: float) -> Predicate:
        get = getter(path)

        def test(event: Subject) -> bool:
            value = get(event)
            if value is MISSING:
                return False
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeMismatchError(path, "a number", value)
            return compare(value, wanted)

        return test

    return build


_OPERATORS: dict[str, Callable[[str, Any], Predicate]] = {
    "equals": _equals,
    "not_equals": _not_equals,
    "in_": _in,
    "exists": _exists,
    "contains": _contains,
    "gt": _compare(operator.gt),
    "gte": _compare(operator.ge),
    "lt": _compare(operator.lt),
    "lte": _compare(operator.le),
}
