"""What an expression of a template is, in terms of the facts, and what it needs of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from jinja2 import nodes

Load = Callable[[str], nodes.Template | None]
"""The syntax tree of a file, by its name; None when there is no such file."""


class Place(NamedTuple):
    """Where something stands in a template."""

    file: str
    line: int


@dataclass
class Needs:
    """What a message asks of its facts.

    Attributes:
        needed: path -> where it is shown first without a guard: `event.properties.price`, `person.traits.plan`.
        used: the same of everything that it looks at, guarded or not.
        missing: files that it includes or extends and that do not exist.
    """

    needed: dict[str, Place] = field(default_factory=dict)
    used: dict[str, Place] = field(default_factory=dict)
    missing: dict[str, Place] = field(default_factory=dict)


Path = tuple[str, ...]


@dataclass(frozen=True)
class _Events:
    """A list of events, such as `events` or `events or [event]`."""


@dataclass(frozen=True)
class _Groups:
    """Events in groups, as `groupby` makes them."""


@dataclass(frozen=True)
class _Group:
    """One of them."""


@dataclass(frozen=True)
class Macro:
    """A macro, and the names that it sees."""

    node: nodes.Macro
    file: str
    seen: Mapping[str, Any]


@dataclass(frozen=True)
class Module:
    """What `import x as y` makes of `y`."""

    names: Mapping[str, Any]


Value = Path | _Events | _Groups | _Group | Macro | Module | None
"""What is known of a value. A path may have nothing at its end; None stands for any other value."""

FACTS = ("person", "event", "events", "rule", "sender", "links", "activity", "language")
_EVENT: Path = ("event",)
_PROVING_TESTS = {"defined", "number", "integer", "float", "string", "mapping", "boolean", "true", "false", "web_url"}
"""Tests that hold only of what is there."""
_SAFE_TESTS = {*_PROVING_TESTS, "undefined", "none", "sequence", "sameas", "callable", "escaped"}
"""Tests that can be asked of what is not there."""
_ORDERING = {"list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr"}
"""Filters that leave a list of events one."""
_BY_ATTRIBUTE = {"groupby": 0, "sort": 2, "unique": 1, "sum": 0, "min": 1, "max": 1, "map": 99}
"""Filters that look at an attribute of each event, and the place of its name among their arguments."""
DEEPEST = 20


@dataclass
class Scope:
    """Names that are bound, and paths that are known to be there."""

    names: dict[str, Value] = field(default_factory=lambda: {"self": None, **{name: (name,) for name in FACTS}})
    sure: frozenset[Path] = frozenset()

    def inner(self, sure: Iterable[Path] = (), **names: Value) -> "Scope":
        """The same for what stands inside: what is bound there does not get out."""
        return Scope({**self.names, **names}, self.sure | frozenset(sure))


class Expressions:
    """Reads the expressions of one file: `_value` says what one is, and `_shown` that it is needed as well.

    Args:
        needs: where to note what is needed.
        load: finds other files.
    """

    def __init__(self, needs: Needs, load: Load) -> None:
        self._needs = needs
        self._load = load
        self._file = ""
        self._depth = 0

    def _body(self, body: Iterable[nodes.Node], scope: Scope) -> None:
        """Read statements; the one thing that an expression, calling a macro, needs of them."""
        raise NotImplementedError

    def _block(self, name: str, level: int, scope: Scope) -> None:
        """Read a block, as `super()` does."""
        raise NotImplementedError

    def _shown(self, node: nodes.Node, scope: Scope) -> Value:
        value = self._value(node, scope)
        if isinstance(value, tuple):
            self._note(value, node.lineno, scope)
        return value

    def _note(self, path: Path, line: int, scope: Scope) -> None:
        place = Place(self._file, line)
        self._needs.used.setdefault(".".join(path), place)
        if not any(path == one[: len(path)] for one in scope.sure):
            self._needs.needed.setdefault(".".join(path), place)

    def _quietly(self, node: nodes.Node, scope: Scope) -> Value:
        """What an expression is, with nobody hearing of what it needs."""
        return type(self)(Needs(), self._load)._value(node, scope)

    def _value(self, node: nodes.Node, scope: Scope) -> Value:  # noqa: PLR0912 - one branch a kind of expression
        """What an expression is. All that it takes to know it is needed; what stands at the end of a path is not."""
        if isinstance(node, nodes.Name):
            return scope.names.get(node.name, (node.name,))
        if isinstance(node, nodes.Getattr):
            return self._inside(self._shown(node.node, scope), node.attr)
        if isinstance(node, nodes.Getitem):
            key = _constant(node.arg)
            if key is None:
                self._shown(node.arg, scope)
                base = self._shown(node.node, scope)
                return base if isinstance(node.arg, nodes.Slice) and not _is_path(base) else None
            return self._inside(self._shown(node.node, scope), key)
        if isinstance(node, nodes.Filter):
            return self._filter(node, scope)
        if isinstance(node, nodes.Test):
            value = (self._value if node.name in _SAFE_TESTS else self._shown)(node.node, scope)
            if _is_path(value):
                self._needs.used.setdefault(".".join(value), Place(self._file, node.lineno))
            for argument in node.args:
                self._shown(argument, scope)
            return None
        if isinstance(node, nodes.And | nodes.Or):
            left = self._shown(node.left, scope)
            sure = proven(node.left, isinstance(node, nodes.And), scope, self._quietly)
            right = self._value(node.right, scope.inner(sure))
            if isinstance(node, nodes.Or) and _is_events(left):
                return _Events()
            self._shown(node.right, scope.inner(sure))
            return right if left == right else None
        if isinstance(node, nodes.CondExpr):
            self._shown(node.test, scope)
            yes = self._shown(node.expr1, scope.inner(proven(node.test, True, scope, self._quietly)))
            if node.expr2 is None:
                return None
            no = self._shown(node.expr2, scope.inner(proven(node.test, False, scope, self._quietly)))
            return yes if yes == no else None
        if isinstance(node, nodes.Call):
            return self._call(node, scope)
        if isinstance(node, nodes.List | nodes.Tuple):
            values = [self._value(one, scope) for one in node.items]
            return _Events() if values and all(one == _EVENT for one in values) else None
        for child in node.iter_child_nodes():
            self._shown(child, scope)
        return None

    def _inside(self, base: Value, name: str | int) -> Value:
        if isinstance(base, _Group) and name in ("list", 1):
            return _Events()
        if isinstance(base, Module):
            return base.names.get(str(name))
        if isinstance(name, int):
            return one_of(base)
        return (*base, str(name)) if _is_path(base) else None

    def _filter(self, node: nodes.Filter, scope: Scope) -> Value:
        soft = node.name in ("default", "d")
        base = None if node.node is None else (self._value if soft else self._shown)(node.node, scope)
        if soft and _is_path(base):
            self._needs.used.setdefault(".".join(base), Place(self._file, node.lineno))
        arguments: dict[str, nodes.Expr] = {str(pair.key): pair.value for pair in node.kwargs}
        for argument in (*node.args, *arguments.values()):
            # The stand-in of a default is only looked at when it is needed, but then it must be there.
            self._shown(argument, scope)
        if soft or not _is_events(base):
            return None
        place = _BY_ATTRIBUTE.get(node.name)
        attribute = arguments.get("attribute")
        if attribute is None and place is not None and place < len(node.args):
            attribute = node.args[place]
        if isinstance(attribute, nodes.Const) and isinstance(attribute.value, str) and "default" not in arguments:
            self._note((*_EVENT, *attribute.value.split(".")), node.lineno, scope)
        if node.name == "groupby":
            return _Groups()
        if node.name in ("first", "last"):
            return _EVENT
        return _Events() if node.name in _ORDERING else None

    def _call(self, node: nodes.Call, scope: Scope) -> Value:
        called = node.node
        if isinstance(called, nodes.Getattr) and called.attr in ("get", "items", "keys", "values"):
            base = self._shown(called.node, scope)
            if _is_path(base):
                if called.attr == "get" and node.args and isinstance(node.args[0], nodes.Const):
                    base = (*base, str(node.args[0].value))
                self._needs.used.setdefault(".".join(base), Place(self._file, node.lineno))
            for argument in node.args[1:]:
                self._shown(argument, scope)
            return None
        macro = self._value(called, scope)
        given = [self._value(one, scope) for one in node.args]
        named: dict[str, Value] = {pair.key: self._value(pair.value, scope) for pair in node.kwargs}
        if not isinstance(macro, Macro) or self._depth >= DEEPEST:
            return None
        if isinstance(called, nodes.Name) and called.name == "super":
            name, level = macro.node.name.rsplit(" ", 1)
            self._block(name, int(level), scope)
            return None
        names: dict[str, Value] = {**macro.seen, "caller": None, "varargs": None, "kwargs": None}
        names.update({argument.name: None for argument in macro.node.args})
        names.update(zip((one.name for one in macro.node.args), given, strict=False))
        here, self._file = self._file, macro.file
        self._depth += 1
        self._body(macro.node.body, Scope({**names, **named}, scope.sure))
        self._file, self._depth = here, self._depth - 1
        return None


def _constant(node: nodes.Node) -> str | int | None:
    """The key of `x["name"]`, `x[0]` or `x[-1]`."""
    if isinstance(node, nodes.Neg):
        inner = _constant(node.node)
        return -inner if isinstance(inner, int) else None
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str | int) else None


def _is_path(value: Value) -> TypeGuard[Path]:
    return isinstance(value, tuple)


def _is_events(value: Value) -> bool:
    return isinstance(value, _Events) or value == ("events",)


def one_of(many: Value) -> Value:
    """What each part of a list is."""
    if _is_events(many):
        return _EVENT
    return _Group() if isinstance(many, _Groups) else None


def proven(test: nodes.Node, truth: bool, scope: Scope, value_of: Callable[[nodes.Node, Scope], Value]) -> set[Path]:
    """The paths that are there for certain when a condition has come out like this."""

    def told(node: nodes.Node, truth: bool) -> set[Path]:
        if isinstance(node, nodes.Not):
            return told(node.node, not truth)
        if isinstance(node, nodes.And | nodes.Or):
            left, right = told(node.left, truth), told(node.right, truth)
            return left | right if isinstance(node, nodes.And) == truth else left & right
        if isinstance(node, nodes.Test):
            proves = node.name in _PROVING_TESTS if truth else node.name == "undefined"
            path = value_of(node.node, scope) if proves else None
            return {path} if _is_path(path) else set()
        if isinstance(node, nodes.Call) and truth and isinstance(node.node, nodes.Getattr) and node.node.attr == "get":
            base = value_of(node.node.node, scope)
            if len(node.args) == 1 and isinstance(node.args[0], nodes.Const) and _is_path(base):
                return {(*base, str(node.args[0].value))}
        if isinstance(node, nodes.Compare) and truth and [one.op for one in node.ops] == ["in"]:
            base = value_of(node.ops[0].expr, scope)
            if isinstance(node.expr, nodes.Const) and _is_path(base):
                return {(*base, str(node.expr.value))}
        return set()

    return told(test, truth)
