"""Making a mail: in this process, in one that has limits, and what each part of it costs.

The mails are `welcome`, which brings its own text part, `cart-abandoned`, whose text is made from its HTML, and
`we-miss-you`, which is written in MJML.
"""

import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import css_inline

from benchmarks.timing import compare, row
from tidings.adapters.renderer import Renderer
from tidings.rendering import render
from tidings.rendering.files import environment
from tidings.rendering.rendered import _text_of

_MAILS = ("welcome", "cart-abandoned", "we-miss-you")
_TIMES = 200


def run(path: Path) -> str:
    """Lines for the table; the file of the other benchmarks is not used."""
    del path
    lines = []
    with Renderer() as renderer:
        for name in _MAILS:
            facts = json.loads(files("templates").joinpath(name, "example.json").read_text("utf-8"))
            result = compare(_often(partial(render, name, facts)), _often(partial(renderer.render, name, facts)))
            here, there = (seconds * 1000 / _TIMES for seconds in result)
            measured, against = f"{there:.2f} ms a mail", f"in this process: {here:.2f} ms"
            lines.append(row(f"`{name}` rendered in a process that has limits", measured, against, result.ratio))
            lines += _parts(name, facts, here)
    return "\n".join(lines)


def _parts(name: str, facts: dict[str, Any], whole: float) -> list[str]:
    """What Jinja takes of a mail, and for HTML what its styles and the text that is made of it would take."""
    there = environment("")
    is_html = files("templates").joinpath(name, "body.html").is_file()
    body = there.get_template(f"{name}/body.{'html' if is_html else 'mjml'}")
    facts = {**facts, "language": "en"}
    parts: dict[str, Callable[[], object]] = {"the body, by Jinja": partial(body.render, facts)}
    if is_html:
        inline = partial(css_inline.inline, body.render(facts), keep_at_rules=True, load_remote_stylesheets=False)
        parts["its styles, by css-inline"] = inline
        parts["a text part made of it, by inscriptis"] = partial(_text_of, inline())
    lines = []
    for part, make in parts.items():
        took = compare(_often(lambda: None), _often(make)).candidate * 1000 / _TIMES
        lines.append(row(f"- {part}", f"{took:.2f} ms", "all of it, in this process", took / whole))
    return lines


def _often(make: Callable[[], object]) -> Callable[[], None]:
    def many() -> None:
        for _ in range(_TIMES):
            make()

    return many
