"""Compare a shadow with the live rule that it is the shadow of, by what both have decided about the same people."""

import argparse
from datetime import datetime, timedelta
from typing import get_args

import msgspec
from rich.console import Console
from rich.table import Table

from tidings import durations
from tidings.backtest import shadows
from tidings.backtest.difference import Change, Pair
from tidings.backtest.shadows import Comparison
from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit, RefusedError, UsageError
from tidings.commands.replay import write_lines
from tidings.documents import unknown
from tidings.printable import printable
from tidings.records.store import RuleRecord
from tidings.rollout.rule_source import in_force

EXAMPLE = """example:
  tidings shadow cart-abandoned-30m
  tidings shadow cart-abandoned-30m --since 24h --store firestore --project my-project --json

A shadow is a rule with `status: shadow`, and `shadow_of` or --with says what it is compared with. Times are UTC.
exit codes: 0 compared; 1 there is no such rule, or it is no shadow"""

_EXAMPLES = 3
_ABOUT: dict[Change, str] = {
    "same": "the same",
    "moved": "moved in time",
    "changed": "with another ending",
    "added": "only by the shadow",
    "removed": "only by the live rule",
}


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings shadow",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("rule", metavar="RULE", help="the id of the shadow")
    options.add_argument("--with", dest="live", metavar="LIVE", help="a rule's id (default: what shadow_of says)")
    options.add_argument("--since", default="7d", metavar="LENGTH", help="how far back to look (default 7d)")
    rule_files.add_store(options)
    options.add_argument("--json", action="store_true", help="print it as JSON, with all examples, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    now = arguments.now()
    try:
        length = timedelta(milliseconds=durations.parse(options.since))
    except ValueError as error:
        raise UsageError(f"--since {options.since}: {error}") from None
    with arguments.opened(options) as store:
        live = _live(options, store.rules())
        rules = in_force(store, now).rules
        if unfit := next((name for name in (options.rule, live) if name not in rules), None):
            raise RefusedError(f"{unfit} does not run: `tidings rules list` says why")
        found = shadows.compare_in(store, rules[options.rule], rules[live], now - length, now)
    if options.json:
        write_lines([msgspec.json.encode(_plain(found))], None)
    else:
        _show(found)
    return Exit.GOOD


def _live(options: argparse.Namespace, records: list[RuleRecord]) -> str:
    """The id of the rule to compare with.

    Raises:
        RefusedError: one of the two is unknown, or there is none.
    """
    documents = {one.rule_id: one.document for one in records}
    for name in filter(None, (options.rule, options.live)):
        if name not in documents:
            raise RefusedError(f"{name}: {unknown('rule', name, documents)}")
    document = documents[options.rule]
    if document.get("status") != "shadow":
        status = document.get("status", "draft")
        raise RefusedError(f"{options.rule} is no shadow: its status is {status}, and must be shadow")
    live = options.live or document.get("shadow_of")
    if not live or live not in documents:
        raise RefusedError(f"{options.rule} does not say what it is a shadow of: give it shadow_of, or say --with LIVE")
    return str(live)


def _show(found: Comparison) -> None:
    out = Console(highlight=False, markup=False)
    out.print(f"{found.shadow}, compared with {found.live}, {_clock(found.since)} to {_clock(found.until)} UTC\n")
    if not found.all_of_it:
        out.print(f"That is less than what was asked for: only the newest {shadows.AT_MOST:,} entries are looked at.\n")
    table = Table("decisions", "", "person", "due", "", box=None, header_style="bold", show_edge=False)
    table.columns[1].justify = "right"
    counts = found.difference.counts
    for change in get_args(Change):
        table.add_row(_ABOUT[change], f"{getattr(counts, change):,}", "", "", "")
        for number, pair in enumerate(found.difference.of(change)):
            if change == "same" or number == _EXAMPLES:
                break
            table.add_row("", "", *_cells(pair))
    if found.open:
        table.add_row("not to be told yet", f"{found.open:,}", "", "", "")
    out.print(table)


def _cells(pair: Pair) -> tuple[str, str, str]:
    one = pair.new or pair.old
    assert one is not None
    about = ""
    if pair.change == "moved":
        way = "later" if pair.moved > timedelta(0) else "earlier"
        about = f"{durations.text(round(abs(pair.moved).total_seconds()) * 1000)} {way}"
    elif pair.change == "changed":
        about = " -> ".join(half.reason or half.outcome for half in (pair.old, pair.new) if half)
    return printable(one.person), _clock(one.due_at), about


def _plain(found: Comparison) -> dict[str, object]:
    pairs = [
        {
            "change": pair.change,
            "person": one.person,
            "entry_key": one.entry_key,
            "step": one.step,
            "due_at": one.due_at.isoformat(),
            "moved_seconds": pair.moved.total_seconds(),
        }
        for pair in found.difference.pairs
        if (one := pair.new or pair.old) is not None and pair.change != "same"
    ]
    return {"shadow": found.shadow, **found.report(), "differences": pairs}


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
