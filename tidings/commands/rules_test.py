"""Play the stories that stand beside the rules, and say which of them end otherwise than they expect.

Nothing is sent, and no service is needed: rules and stories are files. What only the mailer finds out (an address,
consent, a template that fails) is not decided here; `tidings simulate` plays a story with the mailer.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tidings import documents
from tidings.commands import story_files
from tidings.commands.exits import Exit
from tidings.errors import InvalidRuleError
from tidings.rollout import rule_set
from tidings.rollout.rule_set import RuleSet
from tidings.simulating import playing
from tidings.simulating.playing import Difference
from tidings.simulating.stories import Story

EXAMPLE = """example:
  tidings rules test
  tidings rules test rules/stories/cart-abandoned.yaml -k order"""

Told = tuple[Story, Sequence[Difference]]


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules test",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = "files or folders of stories (default: the folder stories of the rules)"
    options.add_argument("stories", nargs="*", type=Path, metavar="FILE", help=where)
    options.add_argument("--rules", type=Path, default=Path("rules"), metavar="DIR", help="the rules (default: rules)")
    story_files.add_choice(options)
    options.add_argument("--verbose", "-v", action="store_true", help="name the stories that end as they must, too")
    options.add_argument("--json", action="store_true", help="the answer as one JSON document")
    return options


def run(options: argparse.Namespace) -> int:
    """Play them; returns the exit code."""
    rules = rule_set.from_folder(options.rules)
    stories = story_files.read(options.stories or [options.rules / "stories"], options.only)
    told = [(story, differences(story, rules)) for story in stories]
    covered = {name for story in stories for name in story.rules}
    untold = [] if options.only or options.stories else sorted(rules.rules.keys() - covered)
    if options.json:
        _print_json(told, untold)
    else:
        _print(told, untold, verbose=options.verbose)
    return Exit.REFUSED if any(differing for _, differing in told) else Exit.GOOD


def differences(story: Story, known: RuleSet) -> list[Difference]:
    """Play one story; what is otherwise than it expects.

    Raises:
        InvalidRuleError: it expects nothing, or something of a rule or template that there is not.
    """
    rules = story.chosen(known)
    expected = story.expected(rules.rules)
    if expected is None:
        reason = "is missing; [] says that nothing must come of it"
        raise InvalidRuleError(story.file, [documents.fault(f"{story.place}expect", None, reason)], "story")
    return playing.compare(expected, playing.play(story, rules))


def _print(told: Sequence[Told], untold: Sequence[str], *, verbose: bool) -> None:
    for story, differing in told:
        if differing or verbose:
            print(f"{'FAIL' if differing else 'ok'}  {story.file}: {story.title}")
        for line in story_files.lines(story, differing):
            print(line)
    failing = sum(bool(differing) for _, differing in told)
    summary = f"{failing} of them otherwise than expected" if failing else "all as expected"
    print(f"{len(told)} stor{'y' if len(told) == 1 else 'ies'}, {summary}")
    if untold:
        print(f"rules without a story: {', '.join(untold)}")


def _print_json(told: Sequence[Told], untold: Sequence[str]) -> None:
    stories = [
        {
            "file": story.file,
            "story": story.title,
            "good": not differing,
            "differences": story_files.as_json(story, differing),
        }
        for story, differing in told
    ]
    print(json.dumps({"stories": stories, "rules_without_a_story": untold}, indent=2, ensure_ascii=False))
