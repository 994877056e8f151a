"""What went wrong in a template, in its author's own words: file, line and name, and never anything of the facts."""

import linecache
import re
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import css_inline
import jinja2
from jinja2.utils import missing

SUFFIXES = (".html", ".mjml", ".txt")
"""Of files that are templates."""

AUTHOR_FAULTS = (
    jinja2.TemplateError,
    css_inline.InlineError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,  # of the Python that Jinja makes of it: it knows no more than twenty loops in each other
    TypeError,
    ValueError,
)
"""What an expression can do wrong with the facts that it is given."""


class _UndefinedNameError(jinja2.UndefinedError):
    """Jinja's error, and the name that is undefined, which its message quotes."""

    def __init__(self, message: str, name: object) -> None:
        super().__init__(message)
        self.name = name


class Undefined(jinja2.StrictUndefined):
    """Jinja's own, which remembers its name: `{{ greetings[person.traits.email] }}` makes a name of the facts."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = jinja2.UndefinedError
    ) -> None:
        if name is not None and exc is jinja2.UndefinedError:
            exc = partial(_UndefinedNameError, name=name)
        super().__init__(hint, obj, name, exc)


def explain(error: BaseException, template: str) -> str:
    """Where it went wrong and, as far as that can be said in the author's own words, what."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name}, line {error.lineno}: {error.message}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(SUFFIXES)]
    where = f"{_short(frames[-1].filename, template)}, line {frames[-1].lineno}" if frames else template
    what = type(error).__name__
    if isinstance(error, jinja2.TemplateNotFound):
        known = not frames or _is_written(error.name, frames)  # no frames: it is the message itself
        what = f"there is no {error.name if known else 'template of a name that the facts have made'}"
    elif isinstance(error, _UndefinedNameError) and not _is_written(error.name, frames):
        what = "a name that the facts have made is undefined"
    elif isinstance(error, jinja2.UndefinedError):
        what = str(error.message)
    elif isinstance(error, MemoryError):
        what = "it takes too much memory"
    elif isinstance(error, RecursionError):
        what = "it goes too deep into itself"
    return f"{where}: {what}"


def _short(path: str, template: str) -> str:
    """The file's name as a template would say it. Jinja has made it of the folder and that."""
    parts = Path(path).parts
    in_variant = parts[-3:-2] == Path(template).parts[-1:]
    return "/".join(parts[-3:] if in_variant else parts[-2:])


def _is_written(name: object, frames: Iterable[traceback.FrameSummary]) -> bool:
    """Whether a name stands in one of the templates. Any other was made of the facts, and may be an address."""
    sources = "".join(line for frame in frames for line in linecache.getlines(frame.filename))
    return re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", sources) is not None
