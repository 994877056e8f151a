"""Looks for an address, or an id, in every file below a folder, in each form that a computer may have written it in."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from email_validator import validate_email


def forms(text: str) -> dict[bytes, str]:
    """The bytes to look for, in lower case, and what to call them."""
    spellings = {"plain": text}
    if "@" in text:
        valid = validate_email(text, check_deliverability=False, test_environment=True)
        spellings |= {"punycode": valid.ascii_email or text, "unicode": valid.normalized}
    found: dict[bytes, str] = {}
    for name, spelling in spellings.items():
        written = {
            name: spelling.encode(),
            f"{name}, JSON": json.dumps(spelling)[1:-1].encode(),
            f"{name}, JSON with an escaped @": json.dumps(spelling)[1:-1].replace("@", "\\u0040").encode(),
            f"{name}, percent": quote(spelling, safe="").encode(),
            f"{name}, percent twice": quote(quote(spelling, safe=""), safe="").encode(),
            f"{name}, HTML": spelling.replace("@", "&#64;").encode(),
            f"{name}, UTF-16": spelling.encode("utf-16-le"),
            f"{name}, hexadecimal": spelling.encode().hex().encode(),
        }
        found |= {form.lower(): what for what, form in written.items()}
    return found


def packed_forms(text: str) -> dict[bytes, str]:
    """Those in which case matters: base64, wherever in its groups of three bytes the text begins."""
    found = {}
    for shift in range(3):
        for altchars in (b"+/", b"-_"):
            packed = base64.b64encode(b"\0" * shift + text.encode(), altchars)
            found[packed[4 if shift else 0 : len(packed) // 4 * 4 - 4]] = "base64"
    return found


def files(folder: Path, without: Iterable[str]) -> Iterator[Path]:
    """Every file, but for those below these names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {*without} & {*path.relative_to(folder).parts}:
            yield path


def found_in(folder: Path, text: str, without: Iterable[str] = ()) -> list[str]:
    """Where it is, and how it is written there."""
    found = []
    for path in files(folder, without):
        data = path.read_bytes()
        lower = data.lower()
        hits = {what for form, what in forms(text).items() if form in lower}
        hits |= {what for form, what in packed_forms(text).items() if form in data}
        found += [f"{path.relative_to(folder)}: {what}" for what in sorted(hits)]
    return found
