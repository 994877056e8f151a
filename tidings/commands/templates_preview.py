"""Writes a message as it would be sent: the HTML, the text, the whole mail as .eml, and pictures of it if you like.

Nothing is sent. Its links lead nowhere.
"""

import argparse
from pathlib import Path

from tidings.adapters.renderer import Renderer
from tidings.checking import example_mail
from tidings.commands import screenshots
from tidings.commands.exits import Exit, RefusedError
from tidings.commands.template_files import add, example, folder_of, known
from tidings.mailing.message import build
from tidings.rendering import variants

EXAMPLE = """examples:
  tidings templates preview cart-abandoned
  tidings templates preview welcome --locale de --screenshots --out look
  tidings templates preview my-message --templates my-templates --facts facts.json

Screenshots need a Chromium on the PATH: phone and desktop, light and dark."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings templates preview",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(options)
    options.add_argument(
        "--out", type=Path, default=Path("preview"), metavar="DIR", help="where to write (default: preview)"
    )
    options.add_argument("--screenshots", action="store_true", help="and pictures")
    return options


def run(options: argparse.Namespace) -> int:
    """Write the files; returns the exit code."""
    folder = folder_of(options.templates)
    [name] = known([options.name], folder)
    facts = example(name, folder, options.facts)
    decision = example_mail.decision(name, facts)
    settings = example_mail.settings_for(facts)
    with Renderer(folder) as renderer:
        _, rendered = example_mail.rendered(decision, facts, settings, renderer.render, options.locale)
    mail = build(decision, rendered, "nobody@example.com", settings, decision.decided_at)
    out = options.out / (f"{name}.{rendered.language}" if rendered.language in variants(name, folder) else name)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, data in {
            "body.html": rendered.html.encode(),
            "body.txt": f"{rendered.text}\n".encode(),
            "mail.eml": mail.data,
        }.items():
            (out / file).write_bytes(data)
    except OSError as error:
        raise RefusedError(f"{out}: {error.strerror}") from None
    print(f"Subject:  {rendered.subject}")
    print(f"Language: {rendered.language}")
    for header, value in mail.headers.items():
        print(f"{header}: {value}")
    print(f"{out}: body.html ({len(rendered.html.encode()):,} bytes), body.txt, mail.eml")
    if options.screenshots:
        print(f"{out}: {', '.join(picture.name for picture in screenshots.take(rendered.html, out))}")
    return Exit.GOOD
