"""The files of a folder of templates: which messages there are, in which languages, and what stands in them."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import jinja2
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tidings.errors import TemplateError
from tidings.rendering import filters, languages
from tidings.rendering.faults import Undefined, explain

SUBJECT, TEXT, BODIES = "subject.txt", "body.txt", ("body.html", "body.mjml")
PARTS = (SUBJECT, *BODIES, TEXT)
"""What a message, or a variant of it, is made of: a subject, one of the bodies, and a text if its author wrote one."""


def template_names(folder: str = "") -> list[str]:
    """Every message that can be rendered, in order."""
    every = _with_subject(folder)
    return [name for name in every if not _is_variant(name, every)]


def variants(name: str, folder: str = "") -> list[str]:
    """The languages that a message is there in besides its own: the names of its folders that hold any part of it."""
    files = environment(folder).list_templates(filter_func=lambda file: file.startswith(f"{name}/"))
    found = (file.removeprefix(f"{name}/").split("/") for file in files)
    return sorted({path[0] for path in found if len(path) == 2 and path[1] in PARTS and languages.canonical(path[0])})


def examples(name: str, folder: str = "") -> list[str]:
    """The files of facts to try a message on: `example.json`, and any in its folder `examples`."""
    found = environment(folder).list_templates(filter_func=lambda file: file.startswith(f"{name}/"))
    more = f"{name}/examples/"
    return [
        file for file in found if file == f"{name}/example.json" or (file.startswith(more) and file.endswith(".json"))
    ]


def shared(folder: str = "") -> list[str]:
    """The files that messages draw in: those whose names begin with an underscore."""
    return environment(folder).list_templates(filter_func=lambda file: file.rpartition("/")[2].startswith("_"))


def source(name: str, folder: str = "") -> str | None:
    """The text of a file of templates, such as `welcome/example.json`; None when there is no such file.

    Raises:
        TemplateError: it is no UTF-8.
    """
    there = environment(folder)
    assert there.loader is not None
    try:
        return there.loader.get_source(there, name)[0]
    except jinja2.TemplateNotFound:
        return None
    except UnicodeDecodeError:
        raise TemplateError(f"{name}: is no UTF-8") from None


def syntax(name: str, folder: str = "") -> jinja2.nodes.Template | None:
    """The syntax tree of a file of templates; None when there is no such file. Nothing of it is run.

    Raises:
        TemplateError: it cannot be parsed; with file and line.
    """
    text = source(name, folder)
    try:
        return None if text is None else environment(folder).parse(text, name)
    except (jinja2.TemplateSyntaxError, RecursionError) as error:
        raise TemplateError(explain(error, name)) from None


def first(there: jinja2.Environment, names: Iterable[str]) -> jinja2.Template | None:
    """The first of some files that exists."""
    for name in names:
        try:
            return there.get_template(name)
        except jinja2.TemplateNotFound as error:
            if error.name != name:
                raise
    return None


class _Folder(jinja2.FileSystemLoader):
    """Jinja's own, which keeps `..` in the folder, and follows links of the file system out of it."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """See Jinja."""
        found = super().get_source(environment, template)
        if not Path(found[1]).resolve().is_relative_to(Path(self.searchpath[0]).resolve()):
            raise jinja2.TemplateNotFound(template)
        return found


@lru_cache(maxsize=8)
def environment(folder: str) -> jinja2.Environment:
    """How the templates of a folder are read and run; empty means those that ship with the package."""
    loader = _Folder(folder) if folder else jinja2.PackageLoader("templates", "")
    there = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=Undefined,
        autoescape=jinja2.select_autoescape(["html", "mjml"], default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    there.globals.clear()  # range and lipsum can fill the memory; facts are all that a message needs
    there.filters |= {"first_name": filters.first_name, "money": filters.money}
    there.tests["web_url"] = filters.is_web_url
    return there


def _with_subject(folder: str) -> list[str]:
    suffix = f"/{SUBJECT}"
    return sorted(name.removesuffix(suffix) for name in environment(folder).list_templates() if name.endswith(suffix))


def _is_variant(name: str, every: Iterable[str]) -> bool:
    message, _, tag = name.rpartition("/")
    return bool(languages.canonical(tag)) and message in every
