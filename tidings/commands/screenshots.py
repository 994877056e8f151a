"""What a mail looks like on a phone and on a desk, by day and by night: photographed with the Chromium of this machine.

A mail is a page without scripts, shown in a frame as wide as the reader's screen; the window around it must be wider,
for no Chromium makes one of 390 pixels. Flags: https://peter.sh/experiments/chromium-command-line-switches/.
"""

import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tidings.commands.exits import RefusedError

WIDTHS = {"phone": 390, "desktop": 760}
SCHEMES = {"light": 1, "dark": 0}
"""Chromium's numbers for `prefers-color-scheme`."""

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --hide-scrollbars"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_NARROWEST = 500
_PATIENCE = 60

_PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
html, body {{ margin: 0; overflow: hidden; background: #8a8f98; }}
iframe {{ display: block; margin: 0 auto; border: 0; width: {width}px; height: {height}px; }}
</style>
<iframe sandbox="allow-same-origin" srcdoc="{mail}"></iframe>
<script>
onload = () => {{
  const mail = document.querySelector("iframe").contentDocument.documentElement;
  document.title = "height " + mail.scrollHeight + " pixels";
}};
</script>
"""


def chromium() -> str | None:
    """Where a browser is; None when there is none on the PATH."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def take(mail: str, folder: Path) -> list[Path]:
    """Photograph a mail's HTML at every width in every scheme, whole; the files, `phone-dark.png` and so on.

    Raises:
        RefusedError: there is no Chromium, or it takes no picture.
    """
    browser = chromium()
    if browser is None:
        raise RefusedError(f"screenshots need a Chromium on the PATH, and there is none: {', '.join(_NAMES)}")
    taken = []
    with tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as scratch:
        page = Path(scratch) / "page.html"
        command = [browser, *_FLAGS.split(), f"--user-data-dir={scratch}/profile"]
        for device, width in WIDTHS.items():
            height = _height(command, page, mail, width)
            _write(page, mail, width, height)
            for scheme, number in SCHEMES.items():
                picture = folder / f"{device}-{scheme}.png"
                window = f"--window-size={max(width, _NARROWEST)},{height}"
                setting = f"--blink-settings=preferredColorScheme={number}"
                _run([*command, window, setting, f"--screenshot={picture.resolve()}", page.as_uri()])
                if not picture.exists():
                    raise RefusedError(f"{browser} has taken no picture")
                taken.append(picture)
    return taken


def _height(command: list[str], page: Path, mail: str, width: int) -> int:
    """How tall the mail is at this width."""
    _write(page, mail, width, 100)
    shown = _run([*command, f"--window-size={max(width, _NARROWEST)},400", "--dump-dom", page.as_uri()])
    found = re.search(r"<title>height (\d+) pixels</title>", shown)
    if found is None:
        raise RefusedError(f"{command[0]} cannot show the mail")
    return int(found[1])


def _write(page: Path, mail: str, width: int, height: int) -> None:
    page.write_text(_PAGE.format(width=width, height=height, mail=html.escape(mail)), "utf-8")


def _run(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
    except (subprocess.TimeoutExpired, OSError) as error:
        raise RefusedError(f"{command[0]} cannot be used: {type(error).__name__}") from None
    return ran.stdout
