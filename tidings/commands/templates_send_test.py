"""Sends a message to an address of yours, as a real mail, by the provider that TIDINGS_MAIL_URL names.

It is made of test facts, its subject begins with "[Test]", and its links are signed by nobody: who follows them is
refused, and nobody is unsubscribed. No store is opened, and no ledger knows of it. A provider that keeps a list of
suppressed addresses of its own may still refuse one.
"""

import argparse
import secrets
from datetime import UTC, datetime

import msgspec

from tidings import settings
from tidings.adapters.renderer import Renderer
from tidings.adapters.senders import open_sender
from tidings.checking import example_mail
from tidings.commands.exits import Exit
from tidings.commands.template_files import add, example, folder_of, known
from tidings.mailing.message import ascii_address, build
from tidings.wire.decisions import send_id

MARK = "[Test] "
PATIENCE = 60.0
"""Seconds that the provider may think about the mail."""

EXAMPLE = """examples:
  tidings templates send-test cart-abandoned --to you@example.com
  TIDINGS_MAIL_URL='smtp://localhost:1025?tls=none' tidings templates send-test welcome --to you@example.com --locale de

settings: TIDINGS_MAIL_URL, TIDINGS_MAIL_FROM, TIDINGS_POSTAL_ADDRESS, as the mailer has them
exit codes: 0 the provider has taken it; 1 it is refused; 3 the provider cannot be reached, try again"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings templates send-test",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(options)
    options.add_argument("--to", required=True, metavar="ADDRESS", help="who gets it")
    return options


def run(options: argparse.Namespace) -> int:
    """Send it; returns the exit code."""
    recipient = ascii_address(options.to)
    real = settings.load()
    folder = folder_of(options.templates or real.templates)
    [name] = known([options.name], folder)
    facts = example(name, folder, options.facts)
    nobodys = msgspec.structs.replace(real, secret=secrets.token_hex())
    now = datetime.now(UTC)
    decided = example_mail.decision(name, facts)
    one_of_many = send_id(decided.rule_id, "test", decided.person, "", secrets.token_hex(8), 0)
    decision = msgspec.structs.replace(decided, send_id=one_of_many, decided_at=now, due_at=now)
    with Renderer(folder) as renderer:
        _, rendered = example_mail.rendered(decision, facts, nobodys, renderer.render, options.locale)
    marked = msgspec.structs.replace(rendered, subject=MARK + rendered.subject)
    mail = build(decision, marked, recipient, nobodys, now)
    sender = open_sender(real)
    try:
        sender.send(mail, lambda: PATIENCE)
    finally:
        sender.close()
    print(f"{sender.provider} has taken it: {marked.subject}")
    return Exit.GOOD
