"""The documentation holds what it promises: links lead somewhere, rules load, and every reason is explained."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.people import a_rule
from tidings.deciding.rulebook import RuleBook
from tidings.rendering import template_names
from tidings.rollout import rule_set
from tidings.rules import segments
from tidings.rules.rule import Rule, load
from tidings.simulating import playing, stories
from tidings.wire.decisions import REASONS

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("**/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
CODE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
FRAGMENT = "yaml fragment"
"""What a block is marked with that is YAML, and neither a rule nor fields of one."""
SEGMENT = "yaml segment"
STORY = "yaml story"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code."""
    return CODE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """Where a link may lead inside a page, as GitHub names it."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def yaml_blocks(language: str = "yaml") -> Iterator[Any]:
    """Every block of YAML in the pages that is not marked as something else."""
    for page in PAGES:
        blocks = [found for found in CODE.finditer(page.read_text("utf-8")) if found["language"] == language]
        for number, found in enumerate(blocks, start=1):
            yield pytest.param(found["text"], id=f"{name(page)}-{number}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_every_page_can_be_reached_from_another(page: Path) -> None:
    reached = {
        (other.parent / target.partition("#")[0]).resolve()
        for other in PAGES
        if other != page
        for target in LINK.findall(prose(other))
    }
    assert page in reached


@pytest.mark.parametrize("text", list(yaml_blocks()))
def test_every_rule_that_is_shown_is_one(text: str) -> None:
    """A block may leave out what it is not about; what it does say must be a valid part of a rule."""
    shown = yaml.safe_load(text)
    filled = a_rule(**{"trigger": {"performed": {"event": "Signed Up"}}, **shown})
    load(filled, templates=template_names())


@pytest.mark.parametrize("text", list(yaml_blocks(SEGMENT)))
def test_every_segment_that_is_shown_is_one(text: str) -> None:
    segments.load(yaml.safe_load(text))


@pytest.mark.parametrize("text", list(yaml_blocks(STORY)))
def test_every_story_that_is_shown_ends_as_it_says(text: str) -> None:
    """They are about the cart."""
    known = rule_set.from_folder(ROOT / "rules")
    for story in stories.load(yaml.safe_load(text), "cart-abandoned"):
        rules = story.chosen(known)
        assert playing.compare(story.expected(rules.rules) or [], playing.play(story, rules)) == []


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_explained(reason: str) -> None:
    """In a row of its own, with what it means and what to do."""
    page = (ROOT / "docs" / "why-no-mail.md").read_text("utf-8")
    [row] = re.findall(rf"^\| `{reason}` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert row


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_events_of_every_rule_that_ships_are_documented(path: Path) -> None:
    """Who sends events must find out what they are called."""
    documented = (ROOT / "docs" / "events.md").read_text("utf-8")
    [rule] = RuleBook([load(yaml.safe_load(path.read_text("utf-8")))]).rules.values()
    names = {selector.event or selector.page for selector, _ in rule.watched} - {None, "*"}
    assert [one for one in names if f"`{one}`" not in documented] == []


def test_every_field_of_a_rule_is_explained() -> None:
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert [field for field in Rule.model_fields if not re.search(rf"\b{field}\b", page)] == []
