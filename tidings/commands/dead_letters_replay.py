"""Put dead letters back where they came from: events to the pipeline, sends to the mailer, reports to the ledger.

Mend first what the reason names. A letter is taken away only when it is back; one that still cannot be used stays, and
it is said why. A mail that ended as `render_failed`, `refused`, `unknown_role` or `gave_up` is opened again in the
ledger, and sent once; address, consent and suppression are looked at anew. If this is cut off, run it again: what is
replayed twice is known by its messageId or send id, and counts once.
"""

import argparse
from collections import Counter

import msgspec

from tidings.adapters.pubsub import Publisher
from tidings.commands import arguments, letters, somebody
from tidings.commands.exits import Exit
from tidings.commands.replay import write_lines
from tidings.dead_letters.letters import Found
from tidings.dead_letters.redrive import Redrive, StaysError
from tidings.printable import printable

EXAMPLE = """  tidings dead-letters replay --reason render_failed --dry-run
  tidings dead-letters replay --reason render_failed --newer-than 6h
  tidings dead-letters replay --step collect --store firestore --project my-project

exit codes: 0 all of them are replayed; 1 some stay, or there were none"""


class Result(msgspec.Struct, frozen=True):
    """What became of one letter: it went somewhere, or stays for a reason."""

    id: str
    step: str
    reason: str
    to: str = ""
    stays: str = ""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = letters.parser("replay", __doc__, EXAMPLE)
    letters.add_selection(options, required=True)
    options.add_argument("--dry-run", action="store_true", help="say what would become of them, and do nothing")
    options.add_argument(
        "--even-if-it-may-have-gone-out",
        dest="may_repeat",
        action="store_true",
        help="also mail of which nobody knows whether it went out, such as outcome_unknown: it may come twice",
    )
    options.add_argument("--json", action="store_true", help="print what became of each as JSON, and nothing else")
    return options


def run(options: argparse.Namespace) -> int:
    """Replay; returns the exit code."""
    now = arguments.now()
    wanted = letters.selection(options, now)
    found = somebody.installation(options)
    results: list[Result] = []
    with arguments.opened(options) as store:
        redrive = Redrive(found, store, Publisher(found.project), now, may_repeat=options.may_repeat)

        def visit(one: Found) -> bool:
            if one not in wanted:
                return False
            names = (one.id, one.letter.step, one.letter.reason)
            try:
                way = redrive.way(one)
                if not options.dry_run:
                    way.go()
            except StaysError as fault:
                results.append(Result(*names, stays=str(fault)))
                return False
            results.append(Result(*names, to=way.to))
            return not options.dry_run

        try:
            letters.look(options, found, visit, until=now)
        finally:  # also of a run that breaks off: what was replayed is replayed
            _tell(options, results)
    if not results and not options.json:
        print("There is no such dead letter.")
    return Exit.GOOD if results and not any(one.stays for one in results) else Exit.REFUSED


def _tell(options: argparse.Namespace, results: list[Result]) -> None:
    if options.json:
        write_lines([msgspec.json.encode({"dry_run": options.dry_run, "letters": results})], None)
        return
    would = "would go" if options.dry_run else "went"
    alike = Counter((one.step, one.reason, one.to, one.stays) for one in results)
    for (step, reason, to, stays), count in alike.items():
        went = f"{would} to {to}" if to != "nowhere" else f"{would} away, for the send has ended since"
        became = f"not replayed: {stays}" if stays else went
        print(printable(f"{letters.many(count)} of {step}, {reason}: {became}"))
