"""Ask of a rule that is not live: who would have got it, when, and would they have bought anyway?"""

import argparse
from contextlib import ExitStack
from datetime import UTC
from itertools import islice
from pathlib import Path

import msgspec

from tidings import documents, durations, rendering
from tidings.backtest import page, report, summary
from tidings.backtest.findings import Findings
from tidings.backtest.part import Backtest, Row
from tidings.backtest.question import Question, goal_of
from tidings.backtest.report import Report
from tidings.commands import arguments
from tidings.commands.exits import Exit, RefusedError, UsageError
from tidings.commands.replay import refuse_broken, write_lines
from tidings.history import run as histories
from tidings.history.decided import merged
from tidings.rollout.rule_set import RuleSet, read
from tidings.rules.rule import Rule
from tidings.wire.events import instant

EXAMPLE = """example:
  tidings backtest rules/cart-abandoned.yaml 'events/*.jsonl.gz' --rules live-rules --html report.html

RULE is a file, or the id of a rule in --rules or --store (a draft or shadow, say). What runs beside it comes from there
too; a rule of the same id there is its current version, and the difference to it is told."""

DEFAULT_WINDOW = "7d"
_ROWS = 200
"""So many decisions are part of a report; all of them go to --people."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings backtest",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("rule", metavar="RULE", help="a file, or an id")
    arguments.add_events(options)
    arguments.add_rules(options)
    options.add_argument("--goal", metavar="EVENT", help="what the mail is for (default: the first event that ends it)")
    options.add_argument("--within", default=DEFAULT_WINDOW, metavar="LENGTH", help="how long it counts (default 7d)")
    options.add_argument("--templates", default="", metavar="DIR", help="where messages are (default: those that ship)")
    options.add_argument("--examples", type=int, default=3, metavar="N", help="how many mails to show (default 3)")
    options.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page that needs no network")
    options.add_argument("--people", type=Path, metavar="FILE", help="write every decision, one a line, as JSON")
    options.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Backtest; returns the exit code: REFUSED when nothing fired because no such events exist."""
    told = answer(options)
    if options.html:
        write_lines([page.render(told).encode()], options.html)
    if options.json:
        write_lines([report.as_json(told)], None)
    else:
        summary.show(told)
    return Exit.REFUSED if told.unheard and not (told.firings or told.mails) else Exit.GOOD


def answer(options: argparse.Namespace) -> Report:
    """The report.

    Raises:
        TidingsError: see its message.
    """
    rules = arguments.rules(options, arguments.now())
    return ask(find_rule(options.rule, rules, options.templates), rules, options)


def ask(rule: Rule, rules: RuleSet, options: argparse.Namespace) -> Report:
    """The report on this rule, beside these.

    Raises:
        TidingsError: see its message.
    """
    times = arguments.Times(options)
    question = Question(
        rule=rule,
        rules=rules,
        goal=options.goal or goal_of(rule),
        within=_length(options.within),
        since=times.since,
        zone=times.zone,
        examples=max(0, options.examples),
    )
    units = arguments.units(options.events, times.window)
    found = Findings()
    with ExitStack() as stack:
        progress = stack.enter_context(arguments.progress())
        processes = arguments.processes(options)
        past = stack.enter_context(histories.gathered(units, times.window, processes, progress))
        refuse_broken(past.found, strict=options.strict)
        for part in past.each_part(Backtest(question, past.until, past.folder)):
            found.add(part, question.examples)
        if options.people:
            write_lines(merged(past.folder), options.people)
        rows = [msgspec.json.decode(one, type=Row) for one in islice(merged(past.folder), _ROWS)]
        all_rows = found.difference.removed + sum(found.endings.values())
        until = instant(past.until).astimezone(UTC)
        return report.make(question, found, past.found, until, rows, all_rows, options.templates)


def find_rule(name: str, rules: RuleSet, templates: str) -> Rule:
    """The rule in a file, or of an id.

    Raises:
        InvalidRuleError: the file is refused.
        RefusedError: there is neither.
    """
    path = Path(name)
    if path.suffix == ".yaml" or path.is_file():
        document = documents.parse_file(path)
        named = isinstance(document, dict) and isinstance(document.get("id"), str)
        rule_id = document["id"] if named else path.stem
        return read(document, rule_id, rendering.template_names(templates), rules.segments)
    if name in rules.rules:
        return rules.rules[name]
    question = documents.nearest(name, rules.rules)
    raise RefusedError(f"{name}: there is no such file, and no rule of this id{question and f'; {question}'}")


def _length(text: str) -> int:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise UsageError(f"--within {text}: {error}") from None
