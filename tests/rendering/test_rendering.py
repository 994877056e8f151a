"""Templates and facts in, subject and bodies out; every fault is the author's, and says where it is."""

import re
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inscriptis import Inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

from tidings.errors import TemplateError
from tidings.rendering import HTML_LIMIT, Rendered, render, template_names

FACTS: dict[str, Any] = {"name": "Ada", "items": [{"name": "lamp"}, {"name": "bowl"}]}


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """A folder of templates with one small message, `hello`."""
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello {{ name }}\n")
    (folder / "body.html").write_text("<p>Hello <b>{{ name }}</b></p>")
    return folder


def rendered(message: Path, facts: dict[str, Any] = FACTS) -> Rendered:
    """Render `hello`."""
    return render("hello", facts, str(message.parent))


def test_subject_html_and_text_come_out(message: Path) -> None:
    """The text part is made from the HTML when the author wrote none."""
    mail = rendered(message)
    assert mail.subject == "Hello Ada"
    assert "<p>Hello <b>Ada</b></p>" in mail.html
    assert mail.text == "Hello Ada"


def test_an_authors_own_text_is_used(message: Path) -> None:
    """`body.txt` wins over the text made from the HTML."""
    (message / "body.txt").write_text("Dear {{ name }},\n\n\n\n  good day.  \n")
    assert rendered(message).text == "Dear Ada,\n\ngood day."


def test_only_html_is_escaped(message: Path) -> None:
    """A name with an ampersand is itself in subject and text, and cannot become markup in the HTML."""
    mail = rendered(message, {"name": "<script>Q & A"})
    assert mail.subject == "Hello <script>Q & A"
    assert "&lt;script&gt;Q &amp; A" in mail.html
    assert mail.text == "Hello <script>Q & A"


def test_the_text_keeps_links_and_loses_the_layout(message: Path) -> None:
    """A reader of plain text gets every address, and none of the tables' air."""
    (message / "body.html").write_text(
        '<table width="100%"><tr><td>&nbsp;</td></tr><tr><td style="padding:40px"><a href="https://a.example/x">Go</a>'
        '</td></tr><tr><td></td></tr></table><div style="display:none">preview</div>'
    )
    assert rendered(message).text == "[Go](https://a.example/x)"


def test_what_is_hidden_takes_nothing_else_with_it(message: Path) -> None:
    """What stands behind it stays, even a character that no XML may hold, which an event can bring."""
    (message / "body.html").write_text(
        '<div style="DISPLAY : none; Display:\tNONE">no</div>{{ name }}<!-- no -->, <q>so <!-- no -->it is</q>'
        "<style>.away { display: none }</style><p class='away'>no</p>!"
    )
    assert rendered(message, {"name": "A\x02da"}).text == 'A\x02da, "so it is"!'


_PIECES = (
    *("<table><tr><td>", "</td><td align=right>", "</td></tr><tr><th>", "</td></tr></table>", "<div>", "</div>", "<p>"),
    *("</p>", "<h1>A title</h1>", "<ul><li>", "</li><li>", "</ul>", "<br>", "<b>", "</b>", "<pre>a  b\n c</pre>", "<"),
    *('<a href="https://a.example/?a=1&amp;b=2">', "</a>", "<!-- no -->", "<!--[if mso]><td><![endif]-->", "&nbsp;"),
    *("<style>p { color: red }</style>", "<title>no</title>", '<img src="x.png" alt="y">', " ", "\n", "&amp;", "é"),
)


@settings(deadline=None)
@given(body=st.lists(st.sampled_from(_PIECES) | st.text(max_size=6), max_size=25).map("".join))
def test_the_text_is_the_one_that_the_library_makes_of_the_whole_document(
    tmp_path_factory: pytest.TempPathFactory, body: str
) -> None:
    """What is taken out before, because it takes time and shows no word, is not missed."""
    folder = tmp_path_factory.mktemp("templates") / "hello"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.html").write_text("<body>Hello {{ body|safe }}")
    mail = render("hello", {"body": body}, str(folder.parent))
    for element in (tree := lxml.html.document_fromstring(mail.html)).xpath("//*[@style]"):
        del element.attrib["style"]
    whole = Inscriptis(tree, ParserConfig(display_links=True, css=CSS_PROFILES["strict"])).get_text()
    lines = [line.strip() for line in whole.splitlines()]
    assert mail.text == re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def test_styles_are_inlined_after_the_loops_have_run(message: Path) -> None:
    """An HTML parser would throw a loop out of its table, so it must never see one; media queries stay in the head."""
    (message / "body.html").write_text(
        "<style>td { color: red } @media (max-width: 9px) { td { color: blue } }</style>"
        "<table>{% for item in items %}<tr><td>{{ item.name }}</td></tr>{% endfor %}</table>"
    )
    html = rendered(message).html
    assert html.count('<td style="color: red;">') == 2
    assert "<tbody><tr><td" in html
    assert "@media (max-width: 9px)" in html


def test_rendering_fetches_nothing(message: Path, tmp_path: Path) -> None:
    """A style sheet that is only linked to is neither read from the disk nor asked for over the network."""
    (tmp_path / "style.css").write_text("p { color: red }")
    (message / "body.html").write_text(f'<link rel="stylesheet" href="{tmp_path / "style.css"}"><p>{{{{ name }}}}</p>')
    assert "color" not in rendered(message).html


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("body.html", "<p>ok</p>\n{{ nobody }}", r"hello/body\.html, line 2: 'nobody' is undefined"),
        ("body.html", "{{ items[0].price }}", r"hello/body\.html, line 1: .* has no attribute 'price'"),
        ("subject.txt", "{{ nobody }}", r"hello/subject\.txt, line 1: 'nobody' is undefined"),
        ("body.txt", "\n\n{{ nobody }}", r"hello/body\.txt, line 3: 'nobody' is undefined"),
        ("body.html", "\n{% if %}", r"hello/body\.html, line 2: Expected an expression"),
        ("body.html", "{% extends 'nothing.html' %}", r"hello/body\.html, line 1: there is no nothing\.html"),
        ("body.html", "{{ name / 2 }}", r"hello/body\.html, line 1: TypeError"),
        ("body.html", "{{ 1 / 0 }}", r"hello/body\.html, line 1: ZeroDivisionError"),
        ("body.html", "{{ name.format.__globals__ }}", r"hello/body\.html, line 1"),
        ("body.html", "{{ items.append(1) }}", r"hello/body\.html, line 1: SecurityError"),
        ("body.html", "{{ range(9) }}", r"'range' is undefined"),
        ("body.html", "{{ lipsum() }}", r"'lipsum' is undefined"),
        ("body.html", "{{ 'x' * 600000 }}", r"hello/body\.html: more than 500000 bytes"),
        ("body.txt", "{{ 'x' * 600000 }}", r"hello/body\.txt: more than 500000 bytes"),
        ("subject.txt", "{{ 'x' * 1001 }}", r"hello/subject\.txt: more than 1000 characters"),
        ("body.html", "{% include 'hello/body.html' %}", r"hello/body\.html, line 1: it goes too deep into itself"),
        ("body.html", "{% for a in name %}" * 30 + "{% endfor %}" * 30, r"hello: SyntaxError"),
        ("body.html", "{# nothing #}", r"hello: the text is empty"),
        ("subject.txt", " \n", r"hello: the subject is empty"),
    ],
)
def test_a_fault_names_file_line_and_what_is_wrong(message: Path, file: str, source: str, fault: str) -> None:
    """The author can mend it from the message alone."""
    (message / file).write_text(source)
    with pytest.raises(TemplateError, match=fault):
        rendered(message)


@pytest.mark.parametrize("name", ["nothing", "../hello", "", "hello/.."])
def test_a_message_that_does_not_exist_is_a_fault(message: Path, name: str) -> None:
    """A rule that names it is wrong, and nothing outside the folder can be reached."""
    with pytest.raises(TemplateError, match="there is no"):
        render(name, FACTS, str(message.parent))


def test_a_fault_does_not_quote_the_facts(message: Path) -> None:
    """Messages of errors end up in logs, and facts are about people."""
    (message / "body.html").write_text("{{ name|round }}")
    with pytest.raises(TemplateError) as raised:
        rendered(message, {"name": "ada@example.com"})
    assert "ada" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("\n{{ {'de': 'Hallo'}[name] }}", "hello/body.html, line 2: a name that the facts have made is undefined"),
        ("{{ {} | attr(name) }}", "hello/body.html, line 1: a name that the facts have made is undefined"),
        ("{{ items[number] }}", "hello/body.html, line 1: a name that the facts have made is undefined"),
        ("{% include name %}", "hello/body.html, line 1: there is no template of a name that the facts have made"),
        ("{% include [name, 'x'] %}", "hello/body.html, line 1: there is no x"),
    ],
)
def test_a_name_that_was_made_of_the_facts_is_not_quoted(message: Path, source: str, fault: str) -> None:
    """A name in the template is the author's; one that is looked up by an address is that address."""
    (message / "body.html").write_text(source)
    with pytest.raises(TemplateError) as raised:
        rendered(message, {"name": "ada@example.com", "items": [], "number": 4711})
    assert str(raised.value) == fault


def test_a_name_of_the_facts_is_not_told_by_a_part_of_a_word_in_the_template(message: Path) -> None:
    """`Ann` does not stand in `Announcement`."""
    (message / "body.html").write_text("<p>Announcement</p>{{ {}[name] }}")
    with pytest.raises(TemplateError, match=r"a name that the facts have made is undefined"):
        rendered(message, {"name": "Ann"})


def test_what_a_layout_misses_is_named_although_the_message_says_it(message: Path) -> None:
    """The author of the message set it, or forgot to; the layout uses it."""
    (message.parent / "_layout.html").write_text("{% macro shown(thing) %}{{ thing }}{% endmacro %}")
    (message / "body.html").write_text("{% from '_layout.html' import shown %}\n{{ shown(nobody) }}")
    with pytest.raises(TemplateError, match=r"/_layout\.html, line 1: 'nobody' is undefined"):
        rendered(message)


def test_html_that_grows_while_styles_are_inlined_is_refused_too(message: Path) -> None:
    """The limit holds for what would be sent."""
    (message / "body.html").write_text(f"<style>p {{ margin: {'0' * 500} }}</style>" + "<p>x</p>" * 1000)
    with pytest.raises(TemplateError, match=str(HTML_LIMIT)):
        rendered(message)


def test_facts_are_plain_data(message: Path) -> None:
    """An object with methods would hand them to the template."""
    with pytest.raises(TypeError):
        rendered(message, {"name": object()})


@settings(deadline=None)
@given(name=st.text())
def test_a_subject_is_always_one_line(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Whatever an event brings, it cannot begin a second header."""
    folder = tmp_path_factory.mktemp("templates") / "hello"
    folder.mkdir()
    (folder / "subject.txt").write_text("To {{ name }}")
    (folder / "body.html").write_text("<p>Hello {{ name }}</p>")
    mail = render("hello", {"name": name}, str(folder.parent))
    assert len(mail.subject.splitlines()) == 1
    assert not {"\r", "\n", "\0", "\x85", "\u2028"} & set(mail.subject)


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("1234.5|money('EUR')", "€1,234.50"),
        ("89|money('usd')", "$89.00"),
        ("89|money('CHF')", "89.00 CHF"),
        ("1200|money('JPY')", "¥1,200"),
        ("'12.5'|money('GBP')", "£12.50"),
        ("89|money", "89.00"),
        ("'on request'|money('EUR')", "on request"),
        ("['x']|money", "['x']"),
        ("'nan'|money('EUR')", "nan"),
        ("1e300|money('EUR')", "1e+300"),
        ("5|money('<i>')", "5.00 <I>"),
    ],
)
def test_money_reads_like_a_price(message: Path, expression: str, shown: str) -> None:
    """Known currencies have their sign, others their code, and what is no number is shown as it came."""
    (message / "subject.txt").write_text("{{ " + expression + " }}")
    assert rendered(message).subject == shown


def test_a_subject_turns_no_words_round(message: Path) -> None:
    """An override that an event brings would reach beyond the subject; the marks of Hebrew and Arabic stay."""
    facts = {**FACTS, "name": "\u202egpj.exe \u202a\u2067שלם\u2069\u200f"}
    assert rendered(message, facts).subject == "Hello gpj.exe \u2067שלם\u2069\u200f"


def test_a_link_of_the_file_system_leads_to_no_other_folder(
    message: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One that is a link to a key would be mailed. Inside the folder links are welcome."""
    (message.parent / "real.html").write_text("<p>ours</p>")
    (message / "body.html").unlink()
    (message / "body.html").symlink_to(message.parent / "real.html")
    assert "ours" in rendered(message).html
    secret = tmp_path_factory.mktemp("elsewhere") / "key"
    secret.write_text("<p>key</p>")
    (message / "body.html").unlink()
    (message / "body.html").symlink_to(secret)
    with pytest.raises(TemplateError, match=r"there is no hello/body\.html"):
        rendered(message)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/a?b=c#d", True),
        ("HTTP://shop.example", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//shop.example", False),
        ("https://", False),
        ("https://[", False),
        ("https://evil.example\\@shop.example", False),
        ("https://shop.example@evil.example", False),
        ("https://shop.example/ a", False),
        ("java\nscript:alert(1)", False),
        ("https://shop.example/\u202egpj.exe", False),
        ("", False),
        (7, False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(message: Path, url: object, shown: bool) -> None:
    """Events come from browsers, and what they say is not a link until it was looked at."""
    (message / "subject.txt").write_text("{{ url is web_url }}")
    assert rendered(message, {**FACTS, "url": url}).subject == str(shown)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/a", True),
        ("https://WWW.Shop.example:8443/a", True),
        ("https://cdn.example/a.png", True),
        ("https://notshop.example", False),
        ("https://shop.example.evil.example", False),
        ("https://evil.example/shop.example", False),
        ("https://evil.example?shop.example", False),
        ("https://evil.example\uff0f.shop.example", False),
        ("https://example", False),
    ],
)
def test_a_folder_says_where_links_may_lead(message: Path, url: str, shown: bool) -> None:
    """Whoever reads the write key out of a web page can send any link; then it leads to the shop or it is none."""
    (message.parent / "_hosts.txt").write_text("# ours\nshop.example\n\nCDN.example # pictures\n")
    (message / "subject.txt").write_text("{{ url is web_url }}")
    assert rendered(message, {**FACTS, "url": url}).subject == str(shown)


def test_a_list_of_no_hosts_allows_none(message: Path) -> None:
    """Whoever wrote only a comment meant to close it, and not to open it."""
    (message.parent / "_hosts.txt").write_text("# nowhere yet\n")
    (message / "subject.txt").write_text("{{ 'https://shop.example' is web_url }}")
    assert rendered(message).subject == "False"


def test_the_messages_of_a_folder_can_be_listed(message: Path) -> None:
    """A message is a folder with a subject; a shared layout is none."""
    (message.parent / "_layout.html").write_text("")
    assert template_names(str(message.parent)) == ["hello"]
    assert {"cart-abandoned", "pricing-followup", "product-reminder", "welcome"} <= set(template_names())
