"""Unmodified SDKs from npm, and the pages and scripts that use them."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.exceptions import NotFound
from werkzeug.middleware.shared_data import SharedDataMiddleware

from tests.functions.front_door import served

HERE = Path(__file__).parent
FOLDER = HERE.parents[2] / ".tidings" / "node"
PACKAGES = {
    "@segment/analytics-node": "3.1.0",
    "@segment/analytics-next": "1.84.3",
    "@rudderstack/analytics-js": "3.34.1",
}


def missing() -> str | None:
    """None once the packages are there, downloaded if need be, and otherwise the reason as a sentence."""
    npm = shutil.which("npm")
    if not (npm and shutil.which("node")):
        return "The SDKs of browsers and Node are tested with node and npm, and they are not on the PATH."
    if all(_installed(name) == version for name, version in PACKAGES.items()):
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}')  # else npm looks for a project further up
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    install = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
    done = subprocess.run(install, cwd=FOLDER, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else "npm could not download the SDKs."


def _installed(name: str) -> str | None:
    manifest = FOLDER / "node_modules" / name / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None


def run_in_node(script: str, *arguments: str) -> None:
    """Run one of the scripts of this folder to its end."""
    environment = {**os.environ, "NODE_PATH": str(FOLDER / "node_modules")}
    done = subprocess.run(
        ["node", str(HERE / script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def shop() -> Iterator[str]:
    """The pages of this folder and the packages they load, on an origin of their own; gives its URL."""
    pages = SharedDataMiddleware(NotFound(), {"/packages": str(FOLDER / "node_modules"), "/": str(HERE)})
    with served(pages) as url:
        yield url
