"""What a screen reader needs of a page, checked on its HTML, and what eyes need of its colours, checked on its CSS."""

import itertools
import re
from html.parser import HTMLParser

VOID = {"input", "meta", "link", "img", "br", "hr"}


class Element:
    """One element, with what is in it."""

    def __init__(self, name: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element] = []
        self.text = ""

    def all(self, *names: str) -> "list[Element]":
        """Every element of these names in it, in the order of the page."""
        found = []
        for child in self.children:
            found += [child] if child.name in names or not names else []
            found += child.all(*names)
        return found

    def words(self) -> str:
        """All its text."""
        return " ".join([self.text, *(child.words() for child in self.children)]).strip()


class Page(HTMLParser):
    """A page as a tree; an element that is not closed where it should be is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self._open = Element("", {}, None)
        self.feed(html)
        assert self._open is self.root, f"{self._open.name} is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(element)
        if tag not in VOID:
            self._open = element

    def handle_endtag(self, tag: str) -> None:
        assert self._open.name == tag, f"{tag} closes {self._open.name}"
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        self._open.text += data.strip()


def check(html: str) -> None:
    """Fail on what WCAG 2.2 level A and AA ask of the markup of a page like ours."""
    page = Page(html).root
    elements = page.all()
    [root] = page.all("html")
    assert root.attributes["lang"], "3.1.1: the language of the page"
    [title] = page.all("title")
    assert title.words(), "2.4.2: a title"
    for landmark in ("header", "main", "footer"):
        assert len(page.all(landmark)) == 1, f"1.3.1: one {landmark}"
    headings = [int(one.name[1]) for one in page.all("h1", "h2", "h3", "h4")]
    assert headings.count(1) == 1, "one h1"
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings)), "no level is skipped"
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(ids) == len(set(ids)), "4.1.1: ids are unique"
    labels = {one.attributes["for"]: one.words() for one in page.all("label")}
    for field in page.all("input", "select", "textarea"):
        if field.attributes.get("type") != "hidden":
            assert labels.get(field.attributes["id"]), "3.3.2: every field has a label"
    for fieldset in page.all("fieldset"):
        assert fieldset.children[0].name == "legend", "1.3.1: a group has a legend"
        assert fieldset.children[0].words()
    for control in page.all("button", "a"):
        assert control.words(), "4.1.2: every control has a name"
    for element in elements:
        for reference in ("aria-describedby", "aria-labelledby"):
            assert set(element.attributes.get(reference, "").split()) <= set(ids), "what is referred to is there"
        assert int(element.attributes.get("tabindex", "0")) <= 0
    assert not page.all("script", "img"), "nothing is needed beside the page itself"
    assert 'name="viewport"' in html
    assert "user-scalable" not in html, "1.4.4: it can be made larger"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb` (WCAG 2.2, definition of contrast ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colours(css: str) -> list[dict[str, str]]:
    """The variables of each scheme, light first."""
    schemes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme)) for scheme in schemes)
    return [light, light | dark]
