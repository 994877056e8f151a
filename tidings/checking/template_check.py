"""Everything that can be said of a folder of templates before they meet a single person."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from tidings import rendering
from tidings.checking import example_mail, mail_lint
from tidings.checking.catalogue import catalogue
from tidings.checking.example_mail import Example, Render
from tidings.checking.findings import Finding, Severity
from tidings.checking.template_data import Message, never_there
from tidings.errors import TemplateError
from tidings.rendering.files import BODIES
from tidings.rules.rule import Rule
from tidings.wire.decisions import MailKind

_PLACE = re.compile(r"(?P<file>\S+), line (?P<line>\d+): (?P<reason>.*)", re.DOTALL)


class Use(NamedTuple):
    """How a message is sent: as what kind of mail, and to the person or to which role."""

    kind: MailKind
    to: str


Find = Callable[[str], str | None]
"""From the name of a template's file, as a fault names it, to its path for people; None when there is no such file."""


def uses(rules: Iterable[Rule]) -> dict[str, set[Use]]:
    """What rules do with each message."""
    found: dict[str, set[Use]] = {}
    for rule in rules:
        for send in rule.sends:
            found.setdefault(send.template, set()).add(Use(rule.kind, send.to))
    return found


def check(
    folder: str, render: Render, find: Find, used: Mapping[str, Collection[Use]], only: Collection[str] = ()
) -> Iterator[Finding]:
    """Every finding, message by message.

    Args:
        folder: where the templates are; empty means those that ship with the package.
        render: renders a message of that folder; templates may be hostile.
        find: see `Find`.
        used: what rules do with each message; one that none names is taken for what its example says.
        only: these messages; all when it is empty.
    """
    known = catalogue(folder)
    for name in only or sorted({*known.messages, *known.broken}):
        if name in known.broken:
            yield _finding(known.broken[name], name, find)
            continue
        yield from _Check(name, folder, render, find).run(known.messages[name], used.get(name, ()))


class _Check:
    """The check of one message."""

    def __init__(self, name: str, folder: str, render: Render, find: Find) -> None:
        self._name, self._folder, self._render, self._find = name, folder, render, find

    def run(self, message: Message, used: Collection[Use]) -> Iterator[Finding]:
        found: dict[Finding, None] = {}
        for path, place in message.needs.needed.items():
            if reason := never_there(path):
                yield Finding(self._find(place.file) or place.file, place.line, "error", "", path, reason)
        tags = rendering.variants(self._name, self._folder)
        if tags and any(use.to != "person" for use in used):
            reason = (
                "goes to a role, and its language would be the one of the person that it is about: leave variants out"
            )
            yield self._at(f"{self._name}/{tags[0]}", "warning", None, reason)
        examples = list(self._examples())
        for file, example in examples:
            if isinstance(example, str):
                yield Finding(self._find(file) or file, None, "error", "", None, example)
                continue
            for use in sorted(used) or [Use(example.rule.kind, example_mail.reader(example))]:
                for tag in ("", *tags):
                    found.update(dict.fromkeys(self._one(example, use, tag)))
        yield from found
        if not examples:
            yield self._at(self._name, "error", None, f"there is no {self._name}/example.json to try it on")

    def _examples(self) -> Iterator[tuple[str, Example | str]]:
        """Each example with its file, or what is wrong with it."""
        for file in rendering.examples(self._name, self._folder):
            try:
                yield file, example_mail.read(rendering.source(file, self._folder) or "", file)
            except TemplateError as error:
                yield file, str(error).removeprefix(f"{file}: ")

    def _one(self, example: Example, use: Use, tag: str) -> Iterator[Finding]:
        name = f"{self._name}/{tag}" if tag else self._name
        decision = example_mail.decision(self._name, example, *use)
        settings = example_mail.settings_for(example)
        try:
            facts, mail = example_mail.rendered(decision, example, settings, self._render, tag)
        except TemplateError as error:
            yield _finding(str(error), name, self._find)
            return
        for one in mail_lint.lint(
            mail,
            is_marketing=decision.kind == "marketing",
            unsubscribe=facts["links"].get("unsubscribe", ""),
            postal_address=settings.postal_address,
        ):
            yield self._at(name, one.severity, one.value, one.reason, one.clue)

    def _at(self, name: str, severity: Severity, value: str | None, reason: str, clue: str = "") -> Finding:
        """A finding on the file that has the clue: the body, or one that it may have drawn in."""
        body = next((f"{name}/{file}" for file in BODIES if self._source(f"{name}/{file}") is not None), name)
        for file in (body, *rendering.shared(self._folder)) if clue else ():
            text = self._source(file) or ""
            if hit := re.search(clue, text):
                return Finding(
                    self._find(file) or file, text.count("\n", 0, hit.start()) + 1, severity, "", value, reason
                )
        return Finding(self._find(body) or body, None, severity, "", value, reason)

    def _source(self, file: str) -> str | None:
        try:
            return rendering.source(file, self._folder)
        except TemplateError:
            return None


def _finding(fault: str, name: str, find: Find) -> Finding:
    """A fault of rendering, which names file and line in its words when it knows them."""
    placed = _PLACE.fullmatch(fault.removeprefix("cannot be read: "))
    if placed:
        message = name.partition("/")[0]
        shared = "" if placed["file"].startswith(f"{message}/") else f", when {name} draws it in"
        path = find(placed["file"]) or placed["file"]
        return Finding(path, int(placed["line"]), "error", "", None, placed["reason"] + shared)
    file, _, reason = fault.partition(": ")
    path = find(file) if reason else None
    return Finding(path or find(name) or name, None, "error", "", None, reason if path else fault)
