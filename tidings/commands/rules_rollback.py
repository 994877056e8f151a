"""Put an earlier version of a rule or segment back into the store."""

import argparse
from collections.abc import Sequence

from tidings.commands import arguments, asking, rule_files
from tidings.commands.exits import Exit, RefusedError
from tidings.commands.rules_history import of_version
from tidings.records.store import RuleRecord, VersionRecord
from tidings.rollout.pushing import Key, stored
from tidings.rollout.versions import earlier

EXAMPLE = """example:
  tidings rules rollback cart-abandoned
  tidings rules rollback cart-abandoned 401b --note 'too many mails'

Without VERSION it is the one before; so to roll back twice is to undo it. What runs is finished under the version that
it began with. The history keeps this as a new entry.
exit codes: 0 done, or nothing to do; 1 there is no such rule or version, it is refused, or nobody wanted it"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings rules rollback",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "rule", metavar="RULE", help="the id of a rule, or of a segment; 'segment ID' where both have it"
    )
    options.add_argument("version", nargs="?", metavar="VERSION", help="its beginning suffices: 4 characters or more")
    rule_files.add_store(options)
    rule_files.add_templates(options)
    options.add_argument("--note", help="what to say about it in the history (default: rollback to VERSION)")
    asking.add_yes(options)
    return options


def run(options: argparse.Namespace) -> int:
    """Roll back; returns the exit code."""
    with arguments.opened(options) as store:
        there = stored(store)
        key = rule_files.find(options.rule, there, store)
        record = there.get(key)
        chosen = _choose(store.versions(*key), record, options.version, key)
        if chosen is None:
            print(f"{rule_files.title(key)} says so already.")
            return Exit.GOOD
        documents = {key: chosen.document}
        known = rule_files.checked(documents, there, options.templates)
        now_there = record.document if record else None
        rule_files.show(key, now_there, chosen.document, f"store/{key[1]}", f"{key[1]} {chosen.version}")
        if not asking.confirmed(f"Roll {rule_files.title(key)} back to version {chosen.version}?", options):
            print("Nothing was rolled back.")
            return Exit.REFUSED
        note = options.note or f"rollback to {chosen.version}"
        rule_files.put_all(store, [key], documents, there, known, arguments.now(), note)
    return Exit.GOOD


def _choose(
    records: Sequence[VersionRecord], record: RuleRecord | None, version: str | None, key: Key
) -> VersionRecord | None:
    """What to put back; None when it is there.

    Raises:
        RefusedError: there is no such version, or none before.
    """
    document = record.document if record else None
    if version is not None:
        return earlier(of_version(records, version, key), document)
    chosen = earlier(records, document)
    if chosen is None:
        raise RefusedError(f"{rule_files.title(key)} has no version before this one")
    return chosen
