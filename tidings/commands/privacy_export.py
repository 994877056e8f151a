"""Write everything that is kept about somebody, as one JSON document; docs/privacy.md has its shape."""

import argparse
from pathlib import Path

import msgspec

from tidings.commands import arguments, somebody
from tidings.commands.exits import Exit, RefusedError
from tidings.history.gather import Window
from tidings.privacy.erasure import people_at
from tidings.privacy.export import export
from tidings.records.store import Store

EXAMPLE = """  tidings privacy export --person u:123 --archive bigquery:shop.tidings.events --out ann.json
  tidings privacy export --address - < address.txt"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = somebody.parser("export", __doc__, EXAMPLE)
    somebody.add_who(options)
    options.add_argument("--archive", nargs="+", default=[], metavar="EVENTS", help=arguments.EVENTS)
    options.add_argument("--out", type=Path, metavar="FILE", help="a new file, for its owner's eyes only")
    return options


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    found = somebody.installation(options)
    with arguments.opened(options) as store:
        person = options.person or _only_one_at(store, somebody.address(options))
        archive = arguments.units(options.archive, Window())
        copy = export(store, found, person, arguments.now(), "operator", archive)
    text = msgspec.json.format(msgspec.json.encode(copy), indent=2).decode()
    if options.out:
        somebody.write_private(options.out, f"{text}\n")
    else:
        print(text)
    return Exit.GOOD


def _only_one_at(store: Store, address: str) -> str:
    """The person who has this address.

    Raises:
        RefusedError: nobody, or several people.
    """
    people = [one for one in people_at(store, address) if one.startswith("u:")] or people_at(store, address)
    if len(people) != 1:
        several = f"{len(people)} people have this address; choose with --person: {', '.join(people)}"
        raise RefusedError(several if people else "nobody has this address")
    return people[0]
