"""Renders every message on its examples, in every language that it is there in, and says what is wrong with the mail.

Whether a message is marketing, which needs an unsubscribe link and a postal address, is said by the rules that use it;
of one that no rule uses, by its example.json.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from tidings.adapters.renderer import Renderer
from tidings.checking import template_check
from tidings.commands.exits import Exit, RefusedError
from tidings.commands.template_files import finder, folder_of, known
from tidings.rendering import template_names, variants
from tidings.rollout import rule_set

EXAMPLE = """examples:
  tidings templates check
  tidings templates check templates --template cart-abandoned --strict
  tidings templates check my-templates --rules my-rules

exit codes: 0 no fault; 1 a fault, or with --strict a warning"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="tidings templates check",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "folder", nargs="?", default="", metavar="FOLDER", help="of templates (default: the messages that ship with it)"
    )
    options.add_argument("--template", action="append", metavar="NAME", help="this message alone; may be given again")
    options.add_argument(
        "--rules", type=Path, metavar="DIR", help="the rules that use them (default: rules, if it is there)"
    )
    options.add_argument("--strict", action="store_true", help="a warning ends it with exit code 1 as well")
    options.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return options


def run(options: argparse.Namespace) -> int:
    """Look at the messages; returns the exit code."""
    folder = folder_of(options.folder)
    names = known(options.template, folder) if options.template else template_names(folder)
    if not names:
        raise RefusedError(f"there is no message in {options.folder}: no folder with a subject.txt")
    rules = options.rules or (Path("rules") if Path("rules").is_dir() else None)
    used = template_check.uses(rule_set.from_folder(rules).rules.values()) if rules else {}
    with Renderer(folder) as renderer:
        found = list(template_check.check(folder, renderer.render, finder(folder), used, names))
    count = Counter(one.severity for one in found)
    languages = sum(1 + len(variants(name, folder)) for name in names)
    if options.json:
        told = [one._asdict() for one in found]
        answer = {"templates": len(names), "errors": count["error"], "warnings": count["warning"], "findings": told}
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        for one in found:
            print(one)
        of_them = f"{_many(len(names), 'template')}, {_many(languages, 'variant')}"
        print(f"{of_them}: {_many(count['error'], 'error')}, {_many(count['warning'], 'warning')}")
    return Exit.REFUSED if count["error"] or (options.strict and count["warning"]) else Exit.GOOD


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
