"""What a message needs of its facts: every name that it shows without saying what to do when that is missing.

A name that is not there is a fault when the mail is made, so a template says `default(...)`, `is defined` or
`.get(...)` where something may be missing. Here a template is read the way Jinja runs it, with paths in the place of
values: `set`, `for`, `with`, macros, and what is included, extended or imported. What cannot be followed is taken to
need nothing.
"""

from collections.abc import Callable, Iterable

from jinja2 import nodes

from tidings.checking.expressions import (
    DEEPEST,
    FACTS,
    Expressions,
    Load,
    Macro,
    Module,
    Needs,
    Place,
    Scope,
    Value,
    one_of,
    proven,
)
from tidings.rendering.files import PARTS


def of_message(message: str, load: Load, variants: Iterable[str] = ()) -> Needs:
    """What the files of a message and of its variants need. What `load` raises goes through."""
    needs = Needs()
    for folder in (message, *(f"{message}/{variant}" for variant in variants)):
        for part in PARTS:
            name = f"{folder}/{part}"
            tree = load(name)
            if tree is not None:
                _Reader(needs, load).template(name, tree, Scope())
    return needs


class _Reader(Expressions):
    """Reads one file of a message, and whatever it draws in."""

    def __init__(self, needs: Needs, load: Load) -> None:
        super().__init__(needs, load)
        self._is_silent = False
        self._blocks: dict[str, list[tuple[nodes.Block, str]]] = {}

    def template(self, file: str, tree: nodes.Template, scope: Scope) -> None:
        """A file, and the one that it extends, whose blocks it fills."""
        self._file = file
        for block in tree.find_all(nodes.Block):
            self._blocks.setdefault(block.name, []).append((block, self._file))
        parents = [one for one in tree.body if isinstance(one, nodes.Extends)]
        if not parents:
            self._body(tree.body, scope)
            return
        self._is_silent = True  # what stands outside of blocks is not shown; names that are set there are known
        self._body((one for one in tree.body if not isinstance(one, nodes.Extends)), scope)
        self._is_silent = False

        def read(parent: str, its: nodes.Template) -> None:
            self.template(parent, its, scope)

        self._drawn_in(parents[0].template, parents[0].lineno, read)

    def _drawn_in(
        self, name: nodes.Expr, line: int, read: Callable[[str, nodes.Template], None], *, optional: bool = False
    ) -> None:
        """Read another file in the place of this one; a name that is not written out cannot be followed."""
        if not isinstance(name, nodes.Const) or self._depth >= DEEPEST:
            return
        tree = self._load(str(name.value))
        here = self._file
        if tree is None:
            if not optional:
                self._needs.missing.setdefault(str(name.value), Place(here, line))
            return
        self._depth += 1
        read(str(name.value), tree)
        self._file, self._depth = here, self._depth - 1

    def _body(self, body: Iterable[nodes.Node], scope: Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: nodes.Node, scope: Scope) -> None:  # noqa: PLR0912 - one branch a kind of statement
        if self._is_silent and isinstance(node, nodes.Output | nodes.Block):
            return
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                self._shown(part, scope)
        elif isinstance(node, nodes.Assign):
            self._bind(node.target, self._value(node.node, scope), scope)
        elif isinstance(node, nodes.AssignBlock):
            self._body(node.body, scope.inner())
            self._bind(node.target, None, scope)
        elif isinstance(node, nodes.If):
            self._if(node, scope)
        elif isinstance(node, nodes.For):
            self._for(node, scope)
        elif isinstance(node, nodes.Block):
            self._block(node.name, 0, scope)
        elif isinstance(node, nodes.With):
            inner = scope.inner()
            for target, value in zip(node.targets, node.values, strict=True):
                self._bind(target, self._value(value, scope), inner)
            self._body(node.body, inner)
        elif isinstance(node, nodes.Include):
            read = self._included(scope if node.with_context else Scope({}))
            self._drawn_in(node.template, node.lineno, read, optional=node.ignore_missing)
        elif isinstance(node, nodes.Import | nodes.FromImport):
            self._import(node, scope)
        elif isinstance(node, nodes.Macro):
            scope.names[node.name] = Macro(node, self._file, scope.names)
        elif isinstance(node, nodes.CallBlock):
            self._shown(node.call, scope.inner(caller=None))
            self._body(node.body, scope.inner())
        else:
            for child in node.iter_child_nodes():
                (self._shown if isinstance(child, nodes.Expr) else self._statement)(child, scope.inner())

    def _included(self, scope: Scope) -> Callable[[str, nodes.Template], None]:
        def read(file: str, tree: nodes.Template) -> None:
            reader = _Reader(self._needs, self._load)
            reader._depth = self._depth
            reader.template(file, tree, scope.inner())

        return read

    def _if(self, node: nodes.If, scope: Scope) -> None:
        """The branches, each with what its condition makes certain; a name that they set differently is unknown."""
        self._shown(node.test, scope)
        yes = scope.inner(proven(node.test, True, scope, self._quietly))
        no = scope.inner(proven(node.test, False, scope, self._quietly))
        if not any(path[0] not in FACTS for path in yes.sure):  # nobody sets that name: it is never defined
            self._body(node.body, yes)
        if node.elif_:
            first, *others = node.elif_
            self._if(nodes.If(first.test, first.body, others, node.else_), no)
        else:
            self._body(node.else_, no)
        for name in {*yes.names, *no.names}:
            one, other = yes.names.get(name), no.names.get(name)
            scope.names[name] = one if one == other else None

    def _for(self, node: nodes.For, scope: Scope) -> None:
        many = self._shown(node.iter, scope)
        inner = scope.inner(loop=None)
        self._bind(node.target, one_of(many), inner)
        if node.test is not None:
            self._shown(node.test, inner)
            inner = inner.inner(proven(node.test, True, inner, self._quietly))
        self._body(node.body, inner)
        self._body(node.else_, scope.inner())

    def _block(self, name: str, level: int, scope: Scope) -> None:
        chain = self._blocks.get(name, [])
        if level >= len(chain) or self._depth >= DEEPEST:
            return
        block, file = chain[level]
        here, self._file = self._file, file
        self._depth += 1
        inner = scope.inner()
        inner.names["super"] = Macro(nodes.Macro(f"{name} {level + 1}", [], [], []), file, {})
        self._body(block.body, inner)
        self._file, self._depth = here, self._depth - 1

    def _import(self, node: nodes.Import | nodes.FromImport, scope: Scope) -> None:
        names: dict[str, Value] = dict(scope.names) if node.with_context else {}

        def read(file: str, tree: nodes.Template) -> None:
            inner = _Reader(self._needs, self._load)
            inner._file, inner._depth = file, self._depth
            for one in tree.body:
                if isinstance(one, nodes.Assign | nodes.Macro | nodes.Import | nodes.FromImport):
                    inner._statement(one, Scope(names))

        self._drawn_in(node.template, node.lineno, read)
        if isinstance(node, nodes.Import):
            scope.names[node.target] = Module(names)
            return
        for one in node.names:
            name, alias = one if isinstance(one, tuple) else (one, one)
            scope.names[alias] = names.get(name)

    def _bind(self, target: nodes.Node, value: Value, scope: Scope) -> None:
        if isinstance(target, nodes.Name):
            scope.names[target.name] = value
        elif isinstance(target, nodes.Tuple):
            for one in target.items:
                self._bind(one, None, scope)
