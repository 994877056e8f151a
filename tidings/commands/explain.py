"""Why did this person get this mail, or why not? Asked of the ledger; and would the archive say the same?"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from tidings import rule_set
from tidings.adapters.stores import open_store
from tidings.commands import arguments
from tidings.commands.exits import Exit, RefusedError
from tidings.explaining import feed, ledger, text
from tidings.explaining.explain import explain
from tidings.explaining.explanation import Explanation
from tidings.rule_set import RuleSet
from tidings.rule_source import RuleSource
from tidings.store import LedgerEntry, Store

EXAMPLE = """example:
  tidings explain 3f6c2a90 --store sqlite:.tidings/store.db
  tidings explain --person u:123 --rule cart-abandoned --at '2026-03-02 10:15'
  tidings explain 3f6c2a90 --verify 'events/2026-03-*.jsonl.gz'

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
    arguments.add_store(options, "sqlite:.tidings/store.db", "where the ledger is (default: that of `make run`)")
    options.add_argument("--rules", type=Path, metavar="DIR", help="a folder of rules (default: those in the store)")
    options.add_argument("--tz", default="UTC", metavar="ZONE", help="of times, typed and printed (default UTC)")
    options.add_argument("--time-scale", type=float, default=1.0, metavar="N", help="of `make run`, where it is not 1")
    options.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Explain; returns the exit code."""
    if bool(options.send_id) == bool(options.person):
        raise RefusedError("say either SEND_ID or --person P")
    if (options.rule or options.at) and not options.person:
        raise RefusedError("--rule and --at go with --person")
    zone = arguments.zone(options.tz)
    with closing(_open(options)) as store:
        rules = _rules(options, store)
        if options.send_id:
            entry = ledger.entry_of(store, options.send_id)
            return _tell_one(_explained(store, entry, rules, options), zone, as_json=options.json)
        return _person(options, store, rules, zone)


def _person(options: argparse.Namespace, store: Store, rules: RuleSet, zone: ZoneInfo) -> int:
    person = ledger.key_of(options.person)
    lines = store.activity(person, feed.MOST_LINES)
    entries = ledger.entries_of(store, person, lines)
    if options.rule:
        ledger.check_rule(options.rule, rules, entries)
        entries = [one for one in entries if one.decision.rule_id == options.rule]
    at = arguments.instant(options.at, zone)
    found = ledger.nearest(entries, at) if at is not None else None
    if found is not None:
        return _tell_one(_explained(store, found, rules, options), zone, as_json=options.json)
    waiting = [one for one in ledger.on_their_way(lines, entries) if options.rule in (None, one.label)]
    if not options.json:
        for one in waiting:
            print(f"{one.label}: decided, and the mailer has not come to it yet  [{one.detail.get('send_id')}]")
    _tell_many([_explained(store, one, rules, options) for one in entries], zone, as_json=options.json)
    if entries or waiting:
        return Exit.GOOD
    of_rule = f" by {options.rule}" if options.rule else ""
    print(f"{person}: nothing was decided{of_rule}; the feed holds {len(lines)} lines of theirs", file=sys.stderr)
    return Exit.REFUSED


def _explained(store: Store, entry: LedgerEntry, rules: RuleSet, options: argparse.Namespace) -> Explanation:
    known = feed.of_store(store, entry.decision.person)
    return explain(entry.decision, entry, known, rules, options.time_scale)


def _tell_one(told: Explanation, zone: ZoneInfo, *, as_json: bool) -> int:
    print(_json(told) if as_json else text.page(told, zone), end="\n" if as_json else "")
    return Exit.GOOD


def _tell_many(told: Sequence[Explanation], zone: ZoneInfo, *, as_json: bool) -> None:
    print(_json(told) if as_json else text.summaries(told, zone), end="\n" if as_json else "")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _open(options: argparse.Namespace) -> Store:
    """The store, which a command that only looks does not make."""
    scheme, _, rest = options.store.partition(":")
    if scheme == "sqlite" and rest != ":memory:" and not Path(rest).is_file():
        raise RefusedError(f"--store {options.store}: there is no such file; after `make run` it is .tidings/store.db")
    return open_store(options.store, options.project)


def _rules(options: argparse.Namespace, store: Store) -> RuleSet:
    """The rules in force, with the earlier versions that the store keeps."""
    source = RuleSource(store, time_scale=options.time_scale, reports=False)
    source.refresh(arguments.now())
    kept = source.rule_set
    if options.rules is None:
        return kept
    chosen = rule_set.from_folder(options.rules)
    return RuleSet(chosen.rules, chosen.segments, [*kept.superseded, *kept.rules.values()])
