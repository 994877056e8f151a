"""`body.mjml`: Jinja runs first, MJML is compiled after it, and a mail comes out as from HTML."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.errors import TemplateError
from tidings.rendering import Rendered, render

LAYOUT = """<mjml lang="{{ language }}">
<mj-head>
  <mj-preview>{% block preheader %}{% endblock %}</mj-preview>
  <mj-style>@media (prefers-color-scheme: dark) { .card { background: #000 !important } }</mj-style>
</mj-head>
<mj-body>
{% block body %}{% endblock %}
</mj-body>
</mjml>"""
BODY = """{% extends "_layout.mjml" %}
{% block preheader %}Before the rest{% endblock %}
{% block body %}
{% for item in items %}
{% include "_item.mjml" %}
{% endfor %}
{% if items|length > 1 %}
<mj-section><mj-column><mj-button href="{{ link }}">All {{ items|length }}</mj-button></mj-column></mj-section>
{% endif %}
{% endblock %}"""
ITEM = '<mj-section css-class="card"><mj-column><mj-text>{{ item }}</mj-text></mj-column></mj-section>'
FACTS: dict[str, Any] = {"items": ["lamp", "<b>bowl & pot</b>"], "link": 'https://a.example/?a=1&b="2"'}


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """`hello`, with a layout, a part for each item, a loop around sections and a comparison."""
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "subject.txt").write_text("Hello")
    (tmp_path / "hello" / "body.mjml").write_text(BODY)
    (tmp_path / "_layout.mjml").write_text(LAYOUT)
    (tmp_path / "_item.mjml").write_text(ITEM)
    return tmp_path


def rendered(folder: Path, facts: dict[str, Any] = FACTS) -> Rendered:
    return render("hello", facts, str(folder))


def test_loops_conditions_layouts_and_parts_work_around_sections(message: Path) -> None:
    """Nothing of Jinja is forbidden in MJML, because MJML never sees it."""
    mail = rendered(message)
    assert mail.html.count('class="card"') == 2
    assert mail.text == 'lamp\n\n<b>bowl & pot</b>\n\n[All 2](https://a.example/?a=1&b="2")'
    assert "All" not in rendered(message, {**FACTS, "items": ["lamp"]}).text


def test_what_comes_out_is_html_for_mail_clients(message: Path) -> None:
    """Tables, styles in place, the language, the dark scheme; no font is fetched."""
    html = rendered(message).html
    assert html.startswith("<!doctype html>")
    assert "<mj-" not in html
    assert 'lang="en"' in html
    assert "prefers-color-scheme: dark" in html
    assert "fonts.googleapis" not in html


def test_what_an_event_brings_stays_text(message: Path) -> None:
    facts = {"items": ["<mj-image src='https://evil.example/x'/>"], "link": "x"}
    html = rendered(message, facts).html
    assert "<img" not in html
    assert "&lt;mj-image" in html


@settings(deadline=None)
@given(words=st.lists(st.text(), max_size=3), link=st.text())
def test_no_fact_can_break_the_markup(tmp_path_factory: pytest.TempPathFactory, words: list[str], link: str) -> None:
    """Control characters and all: XML is strict, and events are not."""
    folder = tmp_path_factory.mktemp("templates")
    (folder / "hello").mkdir()
    (folder / "hello" / "subject.txt").write_text("Hello")
    (folder / "hello" / "body.mjml").write_text(BODY)
    (folder / "_layout.mjml").write_text(LAYOUT)
    (folder / "_item.mjml").write_text(ITEM)
    facts = {"items": ["x", *words], "link": link}
    assert render("hello", facts, str(folder)).html.count('class="card"') == len(words) + 1


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p>no MJML</p>", r"^hello/body\.mjml: what it renders to is no MJML: unexpected token"),
        ("<mjml><mj-body>", r"^hello/body\.mjml: what it renders to is no MJML: unexpected end"),
        ("<mjml><mj-body><mj-include path='x.mjml'/></mj-body></mjml>", r"unable to load included template"),
        ("\n{{ nobody }}", r"^hello/body\.mjml, line 2: 'nobody' is undefined"),
        ("{% for a in items %}{{ 'x' * 300000 }}{% endfor %}", r"^hello/body\.mjml: more than 500000 bytes"),
    ],
)
def test_a_fault_names_the_file(message: Path, body: str, fault: str) -> None:
    (message / "hello" / "body.mjml").write_text(body)
    with pytest.raises(TemplateError, match=fault):
        rendered(message)


def test_the_example_of_the_documentation_is_a_mail(message: Path) -> None:
    """With the layout that ships."""
    page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text("utf-8")
    [example] = re.findall(r'^```html\n(\{% extends "_layout\.mjml" %\}.*?)^```$', page, re.MULTILINE | re.DOTALL)
    (message / "hello" / "body.mjml").write_text(example)
    for shared in ("_layout.mjml", "_words.html"):
        (message / shared).write_text(files("templates").joinpath(shared).read_text("utf-8"))
    products = [{"name": name, "image_url": f"https://shop.example/{name}.png"} for name in ("lamp", "bowl")]
    facts = {
        "person": {"id": "u:1", "traits": {}},
        "event": {"properties": {"products": products}},
        "sender": {"name": "Northwind Living", "postal_address": "12 Quay Street"},
        "links": {},
    }
    html = rendered(message, facts).html
    assert re.findall(r'<img alt="(\w+)"', html) == ["lamp", "bowl"]
