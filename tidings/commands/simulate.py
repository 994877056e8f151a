"""Play a story against the whole local stack, in seconds, and print what each person's inbox would hold.

The front door, Pub/Sub, the store, the mailer and a mail catcher run as in `make run`. The engine runs in the place of
the pipeline, by the story's clock. No mail leaves this machine.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from tidings.commands import story_files
from tidings.commands.exits import Exit, RefusedError, UsageError
from tidings.deciding import identity
from tidings.local import simulate
from tidings.local.inboxes import Line
from tidings.local.simulate import Told
from tidings.local.terminal import Terminal
from tidings.rollout import rule_set
from tidings.simulating import stories
from tidings.simulating.stories import Story

EXAMPLE = """example:
  tidings simulate rules/stories/cart-abandoned.yaml -k "left alone" --show

exit codes: 0 played, and what the story expects came; 1 something else came"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings simulate",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("story", type=Path, metavar="STORY", help="a file of one or several stories")
    story_files.add_choice(options)
    options.add_argument("--rules", type=Path, metavar="DIR", help="default: rules, or else the rules that ship")
    options.add_argument("--templates", type=Path, metavar="DIR", help="default: templates, or else those that ship")
    options.add_argument("--all-rules", action="store_true", help="all rules run, so that caps and priorities show")
    options.add_argument("--show", action="store_true", help="print the text of each mail")
    options.add_argument("--json", action="store_true", help="the answer as one JSON document")
    options.add_argument("--keep", action="store_true", help="keep the inbox page open until Ctrl-C; for one story")
    options.add_argument("--verbose", action="store_true", help="show what every part writes to its log")
    return options


def run(options: argparse.Namespace) -> int:
    """Play; returns the exit code."""
    known = rule_set.from_folder(_folder(options.rules, "rules"))
    templates = options.templates or (Path("templates") if Path("templates").is_dir() else None)
    if options.templates and not options.templates.is_dir():
        raise RefusedError(f"--templates {options.templates}: there is no such folder")
    chosen = story_files.read([options.story], options.only)
    if options.keep and len(chosen) > 1:
        raise UsageError(f"--keep is for one story, and {options.story} holds {len(chosen)}: choose one with -k")
    terminal = Terminal(sys.stderr)
    good, answers = True, []
    for story in chosen:
        rules = story.chosen(known)
        if options.all_rules:
            rules = stories.as_if_live(known)
        with simulate.told(story, rules, templates, terminal, verbose=options.verbose) as running:
            told = running.told
            good &= told.is_good
            answers.append(_as_json(told))
            if not options.json:
                print("\n".join(_lines(told, show=options.show)))
            if options.keep:
                terminal.say(f"\n  The inbox is at {told.inbox}. Ctrl-C ends it.")
                running.keep()
    if options.json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    return Exit.GOOD if good else Exit.REFUSED


def _folder(asked: Path | None, name: str) -> Traversable:
    usual = Path(name)
    return asked or (usual if usual.is_dir() else files(name))


def _lines(told: Told, *, show: bool) -> Iterator[str]:
    """One story's inboxes, for a person to read."""
    yield f"\n{told.story.title}"
    for inbox in _inboxes(told):
        mine = [line for line in told.lines if line.inbox == inbox]
        address = next((f" <{line.recipient}>" for line in mine if line.recipient), "")
        yield f"\n  {_name(inbox)}{address}" + ("" if mine else ": nothing")
        rows = [_row(told.story, line) for line in mine]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for line, row in zip(mine, rows, strict=True):
            yield "    " + "  ".join(map(str.ljust, row, widths)).rstrip()
            if show and line.text:
                yield from (f"      | {text}".rstrip() for text in line.text.rstrip().splitlines())
    for fault in told.faults:
        yield f"\n  {fault.rule_id} could not read {fault.event.label} of {_name(fault.event.person)}: {fault.detail}"
    if told.differences is not None:
        yield "\n  otherwise than expected:" if told.differences else "\n  as expected"
        yield from (f"  {text}" for text in story_files.lines(told.story, told.differences))


def _row(story: Story, line: Line) -> tuple[str, ...]:
    """When by the story, when by the calendar, what, and because of what."""
    why = f"no mail: {line.ends}" + (f" ({line.detail})" if line.detail else "")
    step = f", {line.step + 1} of {line.of_steps}" if line.of_steps > 1 else ""
    about = f", about {_name(line.person)}" if line.inbox != line.person else ""
    return story.when(line.at), f"{line.at:%a %-d %b %Y}", line.subject or why, f"{line.rule}{step}{about}"


def _inboxes(told: Told) -> list[str]:
    """Everybody who appears, known people first; an anonymous id that joined a person only if it got something."""
    joined = {identity.joins(event) for event in told.story.events}
    alone = [event.person for event in told.story.events if not event.user_id and event.person not in joined]
    known = [f"u:{who}" for who in told.story.people]
    return [*dict.fromkeys([*known, *alone, *(line.inbox for line in told.lines)])]


def _name(inbox: str) -> str:
    """A person as a story calls them; a role by its name."""
    return story_files.person(inbox) if ":" in inbox else inbox


def _as_json(told: Told) -> dict[str, Any]:
    story = told.story
    return {
        "file": story.file,
        "story": story.title,
        "good": told.is_good,
        "decisions": [{**msgspec.to_builtins(line), "story_time": story.when(line.at)} for line in told.lines],
        "faults": [
            {"rule": one.rule_id, "person": one.event.person, "event": one.event.label, "detail": one.detail}
            for one in told.faults
        ],
        "differences": None if told.differences is None else story_files.as_json(story, told.differences),
    }
