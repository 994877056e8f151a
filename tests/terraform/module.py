"""The Terraform module as plain Python: its blocks as dictionaries, its text with the names filled in.

Expressions stay text, as they are written; `names` and `fileset` evaluate the few forms that the tests need.
"""

import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "terraform"
PROJECT = "pebble-and-fern-mail"
IMAGE = f"europe-west1-docker.pkg.dev/{PROJECT}/tidings-pipeline/pipeline:2026-01-31"
"""As example.tfvars makes them."""

_OPTIONS = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


def parse(file: Path) -> dict[str, Any]:
    """One HCL file."""
    with file.open(encoding="utf-8") as opened:
        content: dict[str, Any] = hcl2.load(opened, serialization_options=_OPTIONS)
    return content


@cache
def _blocks(kind: str) -> list[dict[str, Any]]:
    return [block for file in sorted(FOLDER.glob("*.tf")) for block in parse(file).get(kind, [])]


def named(kind: str) -> dict[str, dict[str, Any]]:
    """Every `variable` or `output`, by name."""
    return {name: body for block in _blocks(kind) for name, body in block.items()}


def resources(type_: str) -> dict[str, dict[str, Any]]:
    """Every resource of a type, by name."""
    return {name: body for block in _blocks("resource") for name, body in block.get(type_, {}).items()}


def addresses() -> set[str]:
    """Every resource as `type.name`."""
    return {f"{type_}.{name}" for block in _blocks("resource") for type_, bodies in block.items() for name in bodies}


def local(name: str) -> Any:
    """What is written for one local."""
    [value] = [block[name] for block in _blocks("locals") if name in block]
    return value


def names(text: str) -> str:
    """Text with the topics, subscriptions, store and image that it refers to filled in, as they are in production."""
    topic = r'\$\{google_pubsub_topic\.this\["([a-z-]+)"\]'
    text = re.sub(topic + r"\.name\}", r"tidings-\1", text)
    text = re.sub(topic + r"\.id\}", rf"projects/{PROJECT}/topics/tidings-\1", text)
    text = re.sub(
        r"\$\{google_pubsub_subscription\.(\w+)\.id\}",
        lambda found: f"projects/{PROJECT}/subscriptions/{subscription_name(found[1])}",
        text,
    )
    text = re.sub(
        r'\$\{google_secret_manager_secret\.this\["(\w+)"\]\.id\}/versions/\$\{local\.secrets\.\1\.version\}',
        lambda found: "projects/{0}/secrets/{id}/versions/{version}".format(PROJECT, **local("secrets")[found[1]]),
        text,
    )
    text = text.replace("${local.store}", "firestore:tidings").replace("${local.image}", IMAGE)
    assert "${" not in text, f"nobody taught the tests what this is: {text}"
    return text


def subscription_name(resource: str) -> str:
    """The name of the subscription that a resource makes."""
    return names(resources("google_pubsub_subscription")[resource]["name"])


def fileset(root: Path, pattern: str) -> set[str]:
    """Terraform's function of this name: files that a pattern with `**` and `{this,that}` finds."""
    if alternatives := re.search(r"\{([^{}]*)\}", pattern):
        before, after = pattern[: alternatives.start()], pattern[alternatives.end() :]
        return set(chain.from_iterable(fileset(root, before + one + after) for one in alternatives[1].split(",")))
    return {path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file()}
