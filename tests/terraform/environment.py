"""What the functions read of their settings, found in their code; and an environment with all that Terraform sets."""

import ast
from pathlib import Path

from tests.dkim_keys import PRIVATE
from tests.terraform.module import ROOT, local
from tidings.settings import Settings

FIELDS = set(Settings.__struct_fields__)
MAIN = ROOT / "functions" / "main.py"


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return "GOOGLE_CLOUD_PROJECT" if field == "project" else f"TIDINGS_{field.upper()}"


def sample() -> dict[str, str]:
    """Every variable that Terraform sets for any function, each with a value of the right kind."""
    samples = {
        "GOOGLE_CLOUD_PROJECT": "pebble-and-fern-mail",
        "TIDINGS_STORE": "firestore:tidings",
        "TIDINGS_PUBLIC_URL": "https://mail.pebble-and-fern.example",
        "TIDINGS_MAIL_FROM": "Pebble & Fern <hello@pebble-and-fern.example>",
        "TIDINGS_ROLES": "support=help@pebble-and-fern.example",
        "TIDINGS_DELIVERY_ATTEMPTS": str(local("delivery_attempts")),
        "TIDINGS_LEASE_SECONDS": str(local("lease_seconds")),
        "TIDINGS_RETURN_PATH": "bounces@pebble-and-fern.example",
        "TIDINGS_UNSUBSCRIBE_MAILTO": "unsubscribe@pebble-and-fern.example",
        "TIDINGS_HOOKS": "inbound=postfix:a long pass-word",
        "TIDINGS_DKIM_KEY": PRIVATE,
        "TIDINGS_DKIM_SELECTOR": "march",
        "TIDINGS_MAIL_URL": "smtps://user:password@mail.pebble-and-fern.example",
    }
    return {name: samples.get(name, f"a sample of {name}") for name in [*local("environment"), *local("secrets")]}


def settings_read_by(entry_point: str) -> set[str]:
    """The fields that one function reads: in its own lines of main.py, and in every module that those lead to."""
    main = ast.parse(MAIN.read_text("utf-8"))
    functions = {node.name: node for node in main.body if isinstance(node, ast.FunctionDef)}
    sources = {name: path for node in main.body for name, path in _imported(node).items()}
    lines: list[ast.AST] = [functions[entry_point]]
    for tree in lines:  # grows while it is walked
        lines += [functions[name] for name in _names(tree) if name in functions and functions[name] not in lines]
    fields = {field for tree in lines for field in _read(tree)}
    modules = [sources[name] for tree in lines for name in _names(tree) if name in sources]
    for module in modules:  # grows while it is walked
        tree = ast.parse(module.read_text("utf-8"))
        fields |= _read(tree)
        imported = [path for node in ast.walk(tree) for path in _imported(node).values()]
        modules += [path for path in dict.fromkeys(imported) if path not in modules]
    return fields


def _names(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _read(tree: ast.AST) -> set[str]:
    """Fields in `settings.field`, `self._settings.field` and `chosen.field`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FIELDS:
            holder = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if holder in {"settings", "_settings", "chosen"}:
                found.add(node.attr)
    return found


def _imported(node: ast.AST) -> dict[str, Path]:
    """Name to file, of what one import statement brings from this repository; `settings` itself is left out."""
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return {}
    found = {}
    for alias in node.names:
        for dotted in (f"{node.module}.{alias.name}", node.module):
            path = ROOT / (dotted.replace(".", "/") + ".py")
            if path.is_file() and path != ROOT / "tidings" / "settings.py":
                found[alias.asname or alias.name] = path
                break
    return found
