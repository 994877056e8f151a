"""Arguments that several commands have, and how they are read."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tidings import clock_times, durations
from tidings.adapters.stores import open_store
from tidings.commands.exits import RefusedError, UsageError
from tidings.history import sources
from tidings.history.gather import Window
from tidings.history.run import Progress as Tell
from tidings.history.sources import Unit
from tidings.records.store import Store
from tidings.rollout import rule_set
from tidings.rollout.rule_set import RuleSet
from tidings.rollout.rule_source import in_force
from tidings.rules.quiet_hours import zone_of

EVENTS = """where the events are: files of JSON Lines, as on the events topic, gzip or not; patterns such as
'events/2026-03-*.jsonl.gz'; or the archive, bigquery:PROJECT.DATASET.TABLE"""


def add_events(parser: argparse.ArgumentParser) -> None:
    """EVENTS, and which of them."""
    parser.add_argument("events", nargs="+", metavar="EVENTS", help=EVENTS)
    add_window(parser)


def add_window(parser: argparse.ArgumentParser) -> None:
    """Which events, and on how many processes."""
    parser.add_argument("--since", metavar="T", help="tell what was decided from then on; what came before is history")
    parser.add_argument("--until", metavar="T", help="how far the past reaches (default: the newest event in it)")
    parser.add_argument("--history", metavar="LENGTH", help="with --since: how much before it to read, such as 30d")
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="of times without an offset (default UTC)")
    parser.add_argument("--processes", type=_at_least_one, default=None, metavar="N", help="default: one a core")
    parser.add_argument("--strict", action="store_true", help="a line that is no event ends it, with exit code 1")


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Where the rules are."""
    parser.add_argument("--rules", type=Path, metavar="DIR", help="a folder of rules (default: rules)")
    add_store(parser, default=None, help="the rules in force in a store, instead: sqlite:FILE or firestore")


def add_store(parser: argparse.ArgumentParser, default: str | None, help: str) -> None:  # noqa: A002 - as argparse has it
    """Which store."""
    parser.add_argument("--store", metavar="URL", default=default, help=help)
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "tidings-local")
    parser.add_argument("--project", default=project, help="the Google Cloud project of a Firestore store")


@contextmanager
def opened(options: argparse.Namespace, *, make: bool = False) -> Iterator[Store]:
    """The store of `add_store`. A file that is not there is not made up, unless `make` says so: it would be empty.

    Raises:
        RefusedError: there is no such file.
        SettingsError: it is the name of no store.
        StoreError: it cannot be reached now.
    """
    scheme, _, path = options.store.partition(":")
    if make and scheme == "sqlite" and not Path(path).parent.is_dir():
        raise RefusedError(f"--store {options.store}: there is no folder {Path(path).parent}; `make run` makes it")
    if scheme == "sqlite" and path not in ("", ":memory:") and not (make or Path(path).is_file()):
        raise RefusedError(f"--store {options.store}: there is no such file; after `make run` it is .tidings/store.db")
    store = open_store(options.store, options.project)
    try:
        yield store
    finally:
        store.close()


def rules(options: argparse.Namespace, now: datetime) -> RuleSet:
    """The rules of `add_rules`.

    Raises:
        InvalidRuleError: a file is refused.
        StoreError: the store cannot be read now.
    """
    if options.store and options.rules:
        raise UsageError("give either --rules or --store, and not both")
    if options.store:
        with opened(options) as store:
            return in_force(store, now)
    return rule_set.from_folder(options.rules or Path("rules"))


class Times:
    """The stretch of time that a command is about.

    Attributes:
        since: from when on it tells what was decided; None for always.
        window: what it reads.
        zone: of what it prints.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.zone = zone(options.tz)
        self.since = instant(options.since, self.zone)
        until = instant(options.until, self.zone)
        if self.since and until and self.since >= until:
            raise UsageError(f"--since {options.since} does not lie before --until {options.until}: an empty range")
        if options.history and not self.since:
            raise UsageError("--history is about what lies before --since, and there is none")
        reads_since = None
        if options.history and self.since:
            try:
                reads_since = clock_times.before(self.since, durations.parse(options.history))
            except ValueError as error:
                raise UsageError(f"--history {options.history}: {error}") from None
        self.window = Window(reads_since, until)


def zone(name: str) -> ZoneInfo:
    """The time zone of this name.

    Raises:
        UsageError: there is none.
    """
    found = zone_of(name)
    if found is None:
        raise UsageError(f"--tz {name}: there is no such time zone; it must be an IANA name such as Europe/Oslo")
    return found


def instant(text: str | None, of: ZoneInfo) -> datetime | None:
    """A time that somebody has typed.

    Raises:
        UsageError: it is none, or happens twice or never by the clocks of that zone.
    """
    try:
        return clock_times.read(text, of) if text else None
    except ValueError as error:
        raise UsageError(str(error)) from None


def units(names: Sequence[str], window: Window) -> list[Unit]:
    """What EVENTS names.

    Raises:
        HistoryError: there is no such thing.
        TemporaryError: the archive cannot be reached now.
    """
    found: list[Unit] = []
    for name in names:
        scheme, _, table = name.partition(":")
        found += _archive(table, window) if scheme == "bigquery" else sources.files([name])
    return list(dict.fromkeys(found))


def _archive(table: str, window: Window) -> list[Unit]:
    # Loading Google's client takes a second and 60 MB: whoever has files need not pay.
    try:
        from tidings.adapters import bigquery_archive  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RefusedError(f"{error.name} is missing: install tidings[commands]") from None
    return bigquery_archive.units(table, window)


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar on standard error, where somebody looks at it."""
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        steps = {}

        def tell(step: str, done: float) -> None:
            if step not in steps:
                steps[step] = bars.add_task(step, total=1.0)
            bars.update(steps[step], completed=done)

        yield tell


def processes(options: argparse.Namespace) -> int:
    """On how many processes to run."""
    return options.processes or os.cpu_count() or 1


def now() -> datetime:
    """The time; only a shell reads it."""
    return datetime.now(UTC)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of 1 or more")
    return int(text)
