"""Whether mail is stopped and why, what became of the mail of the last hours, and what is left of each limit."""

import argparse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tidings import durations
from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit
from tidings.commands.replay import write_lines
from tidings.mailing import breaker, retry_after, sending
from tidings.mailing.allowances import named_windows
from tidings.mailing.sending import HOUR, PROVIDERS, Sending
from tidings.printable import printable
from tidings.records.store import Store

EXAMPLE = """example:
  tidings sending status
  tidings sending status --store firestore --project my-project --json

exit codes: 0 mail goes out; 1 something is stopped"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings sending status",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--policy", default="", metavar="DIR", help="where sending.yaml is (default: what ships)")
    rule_files.add_store(options)
    options.add_argument("--json", action="store_true", help="print it as JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    policy = sending.load(options.policy)
    with arguments.opened(options) as store:
        told = _told(store, policy, arguments.now())
    if options.json:
        write_lines([msgspec.json.encode(told)], None)
    else:
        _show(told)
    return Exit.GOOD if told["stopped"] == "nothing" else Exit.REFUSED


def _told(store: Store, policy: Sending, now: datetime) -> dict[str, Any]:
    known = breaker.standing(store)
    over = policy.breaker.over if policy.breaker else 24 * HOUR
    counts = {provider: breaker.counts(store, provider, over, now, known) for provider in PROVIDERS}
    return {
        "stopped": known.stopped,
        "by": known.by,
        "why": known.why,
        "at": known.at,
        "resumed_at": known.resumed_at,
        "over": durations.text(over),
        "counts": {provider: dict(one) for provider, one in counts.items() if any(one.values())},
        "busy": {one: until for one in PROVIDERS if (until := retry_after.busy_until(store, one, now))},
        "limits": _limits(store, policy, now),
    }


def _limits(store: Store, policy: Sending, now: datetime) -> list[dict[str, Any]]:
    """Each limit once. A warm-up plan is every provider's, and is told of those that have begun with it."""
    windows = {one.name: one for provider in PROVIDERS for one in named_windows(policy, provider, now)}
    taken = dict(zip(windows, (one.get("taken", 0) for one in store.tallies(list(windows))), strict=True))
    return [
        {"limit": one.label, "taken": taken[name], "until": one.ends}
        for name, one in windows.items()
        if taken[name] or not one.is_plan
    ]


def _show(told: Mapping[str, Any]) -> None:
    out = Console(highlight=False, markup=False)
    if told["stopped"] == "nothing":
        out.print("Mail goes out.")
    else:
        what = "All mail is stopped" if told["stopped"] == "all" else "Marketing mail is stopped; transactional goes on"
        out.print(f"{what}, by the {told['by']}, since {_clock(told['at'])} UTC.")
        out.print(f"  {printable(told['why'])}" if told["why"] else "  No reason was given.")
        out.print("  `tidings sending resume` lets it go on.")
    for provider, until in told["busy"].items():
        out.print(f"{provider} wants to be left alone until {_clock(until)} UTC; its mail waits.")
    if told["counts"]:
        table = Table("provider", "sent", "to dead addresses", "called spam", box=None, header_style="bold")
        for column in table.columns[1:]:
            column.justify = "right"
        for provider, counts in told["counts"].items():
            sent, bounced, complained = (counts.get(what, 0) for what in ("sent", "hard_bounced", "complained"))
            table.add_row(provider, f"{sent:,}", _share(bounced, sent), _share(complained, sent))
        since = f", counted from {_clock(told['resumed_at'])} UTC on" if told["resumed_at"] else ""
        out.print(f"\nThe last {told['over']}{since}:")
        out.print(table)
    if told["limits"]:
        table = Table("limit", "taken", "until (UTC)", box=None, header_style="bold")
        for one in told["limits"]:
            table.add_row(one["limit"], f"{one['taken']:,}", _clock(one["until"]))
        out.print("\nLimits of sending.yaml, now:")
        out.print(table)


def _share(part: int, of: int) -> str:
    return f"{part:,} ({100 * part / of:.2g}%)" if part and of else f"{part:,}"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
