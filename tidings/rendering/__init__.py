"""Templates and facts in, subject and bodies out. Nothing here reads a clock, a network or a store.

A message is a folder: `subject.txt`, `body.html` or `body.mjml`, optionally `body.txt`, and `example.json` with facts
to try it on. A folder in it that is named by a language tag, `welcome/de`, is a variant of it.

The sandbox refuses attributes and calls that a template has no business with, but no sandbox inside a process stops
`'%1000000000d' % 1` from eating the machine. So `render` is for templates on the machine of whoever wrote them; what is
to be mailed goes through `tidings.adapters.renderer`, which does the same in another process that has limits.
"""

from tidings.rendering.files import examples, shared, source, syntax, template_names, variants
from tidings.rendering.rendered import GMAIL_CLIPS_AT, HTML_LIMIT, SUBJECT_LIMIT, Rendered, render

__all__ = [
    "GMAIL_CLIPS_AT",
    "HTML_LIMIT",
    "SUBJECT_LIMIT",
    "Rendered",
    "examples",
    "render",
    "shared",
    "source",
    "syntax",
    "template_names",
    "variants",
]
