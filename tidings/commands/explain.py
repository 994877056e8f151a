"""Why did this person get this mail, or why not? Asked of the ledger; and would the archive say the same?"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidings.commands import arguments, rule_files
from tidings.commands.exits import Exit, UsageError
from tidings.explaining import feed, ledger, text
from tidings.explaining.archive import Archived, history_of, of_person
from tidings.explaining.explain import explain
from tidings.explaining.explanation import Explanation
from tidings.explaining.rules_then import rules_at, with_history
from tidings.explaining.trace import trace
from tidings.explaining.verify import end_of, verify
from tidings.history.gather import Window
from tidings.printable import printable
from tidings.records.store import Activity, LedgerEntry, Store
from tidings.rollout import rule_set
from tidings.rollout.rule_set import RuleSet
from tidings.rollout.rule_source import in_force

EXAMPLE = """example:
  tidings explain 3f6c2a90 --store sqlite:.tidings/store.db
  tidings explain --person u:123 --rule cart-abandoned --at '2026-03-02 10:15'
  tidings explain 3f6c2a90 --verify 'events/2026-03-*.jsonl.gz'
  tidings explain --person u:123 --rule cart-abandoned --at 2026-03-02 --verify bigquery:shop.tidings.events

SEND_ID is in the mail's Message-ID; its first 8 characters will do while no other recent send begins so."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings explain",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("send_id", nargs="?", metavar="SEND_ID", help="of the mail")
    options.add_argument("--person", metavar="P", help="all decisions for them: u:123 or 123, or a:xyz for a browser")
    options.add_argument("--rule", metavar="R", help="with --person: only those of this rule")
    options.add_argument("--at", metavar="T", help="with --person: the one decided nearest to then, in full")
    rule_files.add_store(options)
    options.add_argument("--rules", type=Path, metavar="DIR", help="a folder of rules (default: those in the store)")
    options.add_argument("--tz", default="UTC", metavar="ZONE", help="of times, typed and printed (default UTC)")
    options.add_argument(
        "--time-scale", type=_above_zero, default=1.0, metavar="N", help="of `make run`, where it is not 1"
    )
    options.add_argument("--verify", nargs="+", metavar="EVENTS", help=f"decide it again; {arguments.EVENTS}")
    options.add_argument("--trace", action="store_true", help="with --verify: what every event meant to the rule")
    options.add_argument("--since", metavar="T", help="with --verify: what was received before is not read")
    options.add_argument("--until", metavar="T", help="with --verify: how far it reaches (default: its newest event)")
    options.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Explain; returns the exit code: REFUSED when nothing was found, and when the archive says otherwise."""
    _check(options)
    asked = _Asked(options)
    with arguments.opened(options) as store:
        rules = _rules(options, store)
        if options.send_id:
            return asked.one(store, ledger.entry_of(store, options.send_id), rules)
        return asked.person(store, rules)


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _check(options: argparse.Namespace) -> None:
    """What argparse cannot say.

    Raises:
        UsageError: these options do not go together.
    """
    if bool(options.send_id) == bool(options.person):
        raise UsageError("say either SEND_ID or --person P")
    if (options.rule or options.at) and not options.person:
        raise UsageError("--rule and --at go with --person")
    if options.verify and options.person and not options.rule:
        raise UsageError("--verify asks about one mail: say SEND_ID, or --person with --rule (and --at)")
    if (options.since or options.until or options.trace) and not options.verify:
        raise UsageError("--since, --until and --trace are about the archive: say --verify EVENTS")
    if options.trace and not options.rule:
        raise UsageError("--trace watches one rule: say --person P --rule R")


class _Asked:
    """What somebody wants to know, and how it is told."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._zone = arguments.zone(options.tz)
        self._at = arguments.instant(options.at, self._zone)
        since, until = (arguments.instant(one, self._zone) for one in (options.since, options.until))
        self._window = Window(since, until)

    def one(self, store: Store, entry: LedgerEntry, rules: RuleSet) -> int:
        """One decision in full."""
        if self._options.rules is None:
            rules = with_history(rules, store, entry.decision.rule_id)
        if not self._options.verify:
            self._tell(told := self._explained(store, entry, rules), text.page(told, self._zone))
            return Exit.GOOD
        person = entry.decision.person
        found = self._archive(person)
        until = end_of(found.newest, self._window.until, entry.decision)
        known = feed.of_store(store, person)
        then = None if self._options.rules else rules_at(store, entry.decision.decided_at, rules)
        result = verify(entry, known, rules, found.heard, until, self._options.time_scale, then)
        traced = f"\n{text.trace(result.trace, self._zone)}" if result.trace else ""
        self._tell(result, f"{text.page(result.told, self._zone)}\n{text.verification(result)}{traced}")
        return Exit.GOOD if result.verified else Exit.REFUSED

    def person(self, store: Store, rules: RuleSet) -> int:
        """All that was decided for a person, or what is nearest to an instant, or why there is nothing."""
        options = self._options
        person = ledger.key_of(options.person)
        lines = store.activity(person, feed.MOST_LINES)
        entries = ledger.entries_of(store, person, lines)
        if options.rule:
            ledger.check_rule(options.rule, rules, entries)
            entries = [one for one in entries if one.decision.rule_id == options.rule]
        waiting = [one for one in ledger.on_their_way(lines, entries) if options.rule in (None, one.label)]
        near = ledger.nearest(entries, self._at)
        if options.verify:
            if near is None or options.trace or not ledger.is_near(near, self._at):
                return self._trace(person, rules)
            return self.one(store, near, rules)
        if near is not None and self._at is not None:
            if not ledger.is_near(near, self._at):
                print(_FAR_AWAY.format(person=person, at=options.at), file=sys.stderr)
            return self.one(store, near, rules)
        told = [self._explained(store, one, rules) for one in entries]
        for one in waiting:
            print(f"{one.label}: decided, and not in the ledger yet  [{one.detail.get('send_id')}]", file=sys.stderr)
        self._tell(told, text.summaries(told, self._zone))
        if entries or waiting:
            return Exit.GOOD
        print(_nothing(person, options.rule, lines), file=sys.stderr)
        return Exit.REFUSED

    def _trace(self, person: str, rules: RuleSet) -> int:
        found = self._archive(person)
        until = end_of(found.newest, self._window.until, None)
        history = history_of(person, found.heard)
        traced = trace(rules, self._options.rule, person, history, until, self._at, self._options.time_scale)
        self._tell(traced, text.trace(traced, self._zone))
        return Exit.GOOD if traced.ending == "fired" else Exit.REFUSED

    def _explained(self, store: Store, entry: LedgerEntry, rules: RuleSet) -> Explanation:
        known = feed.of_store(store, entry.decision.person)
        return explain(entry.decision, entry, known, rules, self._options.time_scale)

    def _archive(self, person: str) -> Archived:
        found = of_person(person, arguments.units(self._options.verify, self._window), self._window)
        if found.broken:
            many = f"{found.broken:,} lines of the archive are no events"
            print(many if found.broken > 1 else "one line of the archive is no event", file=sys.stderr)
        return found

    def _tell(self, told: object, as_text: str) -> None:
        if self._options.json:
            print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        else:
            print(printable(as_text), end="")


_FAR_AWAY = "{person}: nothing was decided within a day of {at}; this is the nearest. The archive can say why: --verify"


def _nothing(person: str, rule_id: str | None, lines: Sequence[Activity]) -> str:
    """What ledger and feed show, where nothing was decided."""
    did = [line for line in lines if line.kind == "event"]
    latest = f", the latest {did[0].label} at {did[0].at:%Y-%m-%d %H:%M:%S} UTC" if did else ""
    of_rule = f" by {rule_id}" if rule_id else ""
    return (
        f"{person}: nothing was decided{of_rule}. The feed holds {len(did):,} events of theirs{latest}.\n"
        "The archive can say what each of them meant: --person P --rule R --verify EVENTS"
    )


def _rules(options: argparse.Namespace, store: Store) -> RuleSet:
    """The rules in force, with the earlier versions that the store keeps."""
    kept = in_force(store, arguments.now(), options.time_scale)
    if options.rules is None:
        return kept
    chosen = rule_set.from_folder(options.rules)
    return RuleSet(chosen.rules, chosen.segments, [*kept.superseded, *kept.rules.values()])
