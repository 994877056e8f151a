"""From a path in a document to the line of its YAML file."""

import re
from typing import NamedTuple

import yaml

from tidings.documents import compose


class Lines(NamedTuple):
    """The lines of one file. `tree` is None when it has none: the file is empty, or no YAML."""

    tree: yaml.Node | None

    def of(self, path: str) -> int | None:
        """The line of a path, or of the nearest thing around it that the file spells out. The short forms are known."""
        if self.tree is None:
            return None
        node, line = self.tree, None
        for part in re.findall(r"[^.\[\]]+|\[\d+\]", path):
            found = _step(node, part)
            if found is not None:
                node, line = found
        return line


def lines(text: str) -> Lines:
    """The lines of a file."""
    return Lines(compose(text))


def _step(node: yaml.Node, part: str) -> tuple[yaml.Node, int] | None:
    """One step down; None where the file says the same more shortly, as a list says `all`."""
    if part.startswith("[") and isinstance(node, yaml.SequenceNode):
        place = int(part[1:-1])
        if place < len(node.value):
            return node.value[place], node.value[place].start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # of two of a name, the second is the one too many
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return value, key.start_mark.line + 1
    return None
