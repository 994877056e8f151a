"""Looks at files of rules, segments and policy: names every fault, and warns of what is valid and yet wrong."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tidings.checking.catalogue import catalogue
from tidings.checking.check import Checked, Source, What, read
from tidings.checking.findings import Finding
from tidings.checking.observed import Observed, observe
from tidings.checking.policy import FOLDER, look_at
from tidings.commands import arguments
from tidings.commands.exits import Exit, RefusedError
from tidings.history.gather import BrokenLine, Window
from tidings.history.stream import stream

EXAMPLE = """examples:
  tidings rules check
  tidings rules check rules/cart-abandoned.yaml --strict
  tidings rules check rules --events 'events/*.jsonl.gz'

exit codes: 0 no fault; 1 a fault, or with --strict a warning"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules check",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "paths", nargs="*", type=Path, metavar="FILE|DIR", help="YAML files, or folders (default: rules)"
    )
    options.add_argument("--templates", default="", metavar="DIR", help="default: the messages that ship with it")
    options.add_argument("--events", nargs="+", metavar="EVENTS", help=f"compare with past events; {arguments.EVENTS}")
    options.add_argument("--strict", action="store_true", help="a warning ends it with exit code 1 as well")
    options.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return options


def run(options: argparse.Namespace) -> int:
    """Look at the files; returns the exit code."""
    if options.templates and not Path(options.templates).is_dir():
        raise RefusedError(f"--templates {options.templates}: there is no such folder")
    paths = options.paths or [Path("rules")]
    policy = [file for path in paths for file in _policy_in(path)]
    sources, unreadable = _sources([path for path in paths if path not in policy and path.name != FOLDER])
    if not any(not one.is_context for one in sources) and not unreadable and not policy:
        raise RefusedError(f"there is no .yaml file in {', '.join(map(str, paths))}")
    checked = read(sources, catalogue(options.templates))
    observed = _observed(options.events, checked) if options.events else None
    found = [*unreadable, *(one for file in policy for one in look_at(file)), *checked.findings(observed)]
    notes = checked.unused if sources and any(path.is_dir() for path in paths) else []
    count = Counter(one.severity for one in found)
    files = len({one.label for one in sources if not one.is_context} | {one.file for one in unreadable}) + len(policy)
    if options.json:
        told = [one._asdict() for one in found]
        answer = {"files": files, "errors": count["error"], "warnings": count["warning"], "findings": told}
        print(json.dumps({**answer, "unused_templates": notes}, ensure_ascii=False, indent=2))
    else:
        for one in found:
            print(one)
        if notes:
            print(f"note: no rule uses {'this template' if len(notes) == 1 else 'these templates'}: {', '.join(notes)}")
        print(f"{_many(files, 'file')}: {_many(count['error'], 'error')}, {_many(count['warning'], 'warning')}")
    return Exit.REFUSED if count["error"] or (options.strict and count["warning"]) else Exit.GOOD


def _sources(paths: Sequence[Path]) -> tuple[list[Source], list[Finding]]:
    """The files, those beside them that they may name, and what cannot be read."""
    sources: dict[Path, Source] = {}
    unreadable: list[Finding] = []
    context: set[Path] = set()

    def take(file: Path, *, is_context: bool = False) -> None:
        what: What | None = "segment" if file.parent.name == "segments" else None
        try:
            source = Source(str(file), file.stem, file.read_bytes(), what, is_context)
        except OSError as error:
            unreadable.append(Finding(str(file), None, "error", "", None, error.strerror or "cannot be read"))
        else:
            sources.setdefault(file, source)

    for path in paths:
        for file in _yaml_in(path) if path.is_dir() else [path]:
            take(file)
        for file in sorted(path.rglob("*.yml")) if path.is_dir() else []:
            unreadable.append(Finding(str(file), None, "warning", "", None, f"is not read; call it {file.stem}.yaml"))
        context.update({path, path / "segments"} if path.is_dir() else {path.parent, path.parent / "segments"})
    for folder in sorted(context):
        if folder.is_dir():
            for file in sorted(folder.glob("*.yaml")):
                take(file, is_context=file not in sources)
    return list(sources.values()), unreadable


def _yaml_in(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.yaml"))
    yield from sorted((folder / "segments").glob("*.yaml"))


def _policy_in(path: Path) -> list[Path]:
    """The files of policy that a path names, or has beside its rules."""
    if path.is_dir():
        return sorted((path if path.name == FOLDER else path / FOLDER).glob("*.yaml"))
    return [path] if path.parent.name == FOLDER and path.is_file() else []


def _observed(patterns: Sequence[str], checked: Checked) -> Observed:
    broken: list[BrokenLine] = []
    observed = observe(stream(arguments.units(patterns, Window()), broken.append), checked.questions())
    if not observed.names:
        first = f"; {broken[0]}" if broken else ""
        raise RefusedError(f"--events {' '.join(patterns)}: there is no event{first}")
    if broken:
        print(f"{_many(len(broken), 'line')} left out that are no events, the first: {broken[0]}", file=sys.stderr)
    return observed


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
