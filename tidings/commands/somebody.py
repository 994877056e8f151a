"""Whom a request about data is about, and what it takes to carry it out: what the commands of `privacy` share."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from tidings import settings
from tidings.adapters.pubsub import EMULATOR, Publisher
from tidings.adapters.pubsub_sifting import sift
from tidings.commands import rule_files
from tidings.commands.exits import UsageError
from tidings.explaining.ledger import key_of
from tidings.local.folder import DataFolder
from tidings.records.store import Receipt
from tidings.settings import Settings, SettingsError
from tidings.wire.topics import Sieve

PERSON = "their id: u:123 or 123, or a:xyz for a browser"
ADDRESS = "their email address; - reads it from standard input, so that no shell history keeps it"


def parser(name: str, description: str | None, example: str) -> argparse.ArgumentParser:
    """With the options that all of them have."""
    options = argparse.ArgumentParser(
        prog=f"tidings privacy {name}",
        description=description,
        epilog=f"example:\n{example}\n\nDigests need the secret of the installation, in TIDINGS_SECRET.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rule_files.add_store(options)
    return options


def add_who(options: argparse.ArgumentParser, *, required: bool = True) -> None:
    """A person, or an address."""
    who = options.add_mutually_exclusive_group(required=required)
    who.add_argument("--person", metavar="P", type=_person, help=PERSON)
    add_address(who)


def add_address(options: "argparse._ActionsContainer", *, required: bool = False) -> None:
    """An address alone."""
    more = {"required": True} if required else {}
    # Without a type: argparse quotes what one refuses, and an address must not stand in an error message.
    options.add_argument("--address", metavar="A", help=ADDRESS, **more)  # type: ignore[arg-type]


def address(options: argparse.Namespace) -> str:
    """The address that was given, or typed.

    Raises:
        UsageError: it is none; it is not quoted.
    """
    given: str = sys.stdin.readline().strip() if options.address == "-" else options.address.strip()
    if "@" not in given:
        raise UsageError("--address: that is no email address")
    return given


def installation(options: argparse.Namespace, *, secret: bool = True) -> Settings:
    """The settings of the environment, with the secret and the Pub/Sub of a local run where they lie beside the store.

    Raises:
        SettingsError: a `secret` is needed, and there is none.
    """
    found = replace(settings.load(), project=options.project)
    scheme, _, path = options.store.partition(":")
    if scheme == "sqlite":
        folder = DataFolder(Path(path).parent)
        if not found.secret and folder.secret_file.is_file():
            found = replace(found, secret=folder.secret_file.read_text("utf-8").strip())
        if EMULATOR not in os.environ and folder.pubsub_host.is_file():
            os.environ[EMULATOR] = folder.pubsub_host.read_text("utf-8").strip()
    if secret and not found.secret:
        raise SettingsError("TIDINGS_SECRET is not set: without the secret of the installation nobody can be found")
    return found


def doors(found: Settings) -> tuple[Publisher, Sieve]:
    """To the events topic, and to the dead letters."""
    sieve = partial(sift, found.project, found.dead_letters_subscription)
    return Publisher(found.project), sieve


def told(receipt: Receipt) -> str:
    """A receipt in one line."""
    counts = ", ".join(f"{name} {count:,}" for name, count in receipt.counts.items()) or "begun"
    return f"{receipt.receipt_id}  {receipt.at:%Y-%m-%d %H:%M:%S}  {receipt.kind}  by {receipt.requested_by}: {counts}"


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner can read; one that is there stays.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _person(text: str) -> str:
    key = key_of(text.strip())
    if len(key) <= len("u:"):
        raise argparse.ArgumentTypeError("must not be empty")
    return key
