"""Put files of rules and segments into a store: all of them, or none."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tidings import durations
from tidings.backtest.difference import Counts
from tidings.backtest.report import Report
from tidings.commands import arguments, asking, backtest, rule_files
from tidings.commands.exits import Exit
from tidings.records.store import Store
from tidings.rollout.pushing import Checked, Key, changed, stored
from tidings.rollout.rule_set import RuleSet
from tidings.rollout.rule_source import in_force

EXAMPLE = """example:
  tidings rules push
  tidings rules push rules/cart-abandoned.yaml --events 'events/*.jsonl.gz' --note 'as agreed with Ann'
  tidings rules push --store firestore --project my-project --yes

Every file is checked before the first one is written. A document with `where` is a segment.
exit codes: 0 done, or nothing to do; 1 a file is refused, or nobody wanted it; with --dry-run: there are differences"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules push",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files, or a folder (default: rules)")
    rule_files.add_store(options)
    rule_files.add_templates(options)
    options.add_argument("--events", action="append", metavar="EVENTS", help="backtest every changed rule on these")
    options.add_argument("--note", default="push", help="what to say about it in the history")
    options.add_argument("--dry-run", action="store_true", help="only look; 1 when there is something to push")
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Push; returns the exit code."""
    documents, origins = rule_files.read(options.files or [Path("rules")])
    with arguments.opened(options, make=True) as store:
        there = stored(store)
        known = rule_files.checked(documents, there, options.templates)
        different = changed(documents, there)
        for key in different:
            old = there[key].document if key in there else None
            rule_files.show(key, old, documents[key], f"store/{key[1]}", str(origins[key]))
        if not different:
            print("The store has all of it already.")
            return Exit.GOOD
        if options.events:
            _backtest(different, known, store, options)
        if options.dry_run:
            return Exit.REFUSED
        if not asking.confirmed(_question(different), options):
            print("Nothing was pushed.")
            return Exit.REFUSED
        rule_files.put_all(store, different, documents, there, known, arguments.now(), options.note)
    return Exit.GOOD


def _question(keys: Sequence[Key]) -> str:
    return f"Push {len(keys)} document{'s' * (len(keys) != 1)}?"


def _backtest(keys: Sequence[Key], known: Checked, store: Store, options: argparse.Namespace) -> None:
    """What each changed rule would have done with past events, beside the rules in the store."""
    there = in_force(store, arguments.now())
    beside = RuleSet(there.rules, known.segments, there.superseded)
    for name in (name for kind, name in keys if kind == "rule"):
        asked = backtest.parser().parse_args([name, *options.events, "--templates", options.templates])
        _tell(backtest.ask(known.rules[name], beside, asked))


def _tell(told: Report) -> None:
    mailed = told.conversion.mailed
    within = durations.text(told.conversion.within)
    table = Table(title=f"{told.rule.id}: backtest", title_justify="left", box=None, show_header=False)
    table.add_row("fired", f"{told.firings:,}", f"for {told.fired_for:,} people")
    table.add_row("mails", f"{told.mails:,}", "")
    bought = mailed.before + mailed.after
    goal = f"{told.conversion.goal} within {within}, of {mailed.firings:,} who would have got a mail"
    table.add_row("did it anyway", f"{bought:,}", goal)
    if told.change:
        for what, count in _changes(told.change.counts).items():
            table.add_row(what, f"{count:,}", "")
        table.add_row("", "", f"compared with version {told.change.version}, which runs now")
    console = Console(highlight=False)
    console.print(table)
    for warning in told.warnings:
        console.print(warning, style="yellow", markup=False)


def _changes(counts: Counts) -> dict[str, int]:
    return {
        "decided the same": counts.same,
        "at another time": counts.moved,
        "otherwise": counts.changed,
        "more": counts.added,
        "fewer": counts.removed,
    }
