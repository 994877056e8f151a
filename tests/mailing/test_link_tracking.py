"""Links lead through us and everything else in a mail stays byte for byte; who objects is not watched."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import css_inline
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import html as lxml_html

from tests.sends import NOW, SETTINGS, a_decision
from tidings.mailing.link_tracking import leads_somewhere, tracked
from tidings.permission.categories import Category
from tidings.records.store import ConsentRecord
from tidings.rendering import Rendered, render, template_names
from tidings.tokens import Hit, read_hit
from tidings.wire.decisions import Decision

DECISION = a_decision()
CATEGORY = Category(id="reminders")
TEMPLATES = Path(__file__).parents[2] / "templates"

HIT = re.compile(rf"{re.escape(SETTINGS.public_url)}/([lo])/([A-Za-z0-9_-]{{40}})")
PIXEL = re.compile(r"<img [^>]*/o/[^>]*>")


def track(
    html: str,
    decision: Decision = DECISION,
    category: Category = CATEGORY,
    records: list[ConsentRecord] | None = None,
) -> tuple[str, tuple[str, ...]]:
    """The HTML as it leaves, and the targets of its links."""
    rendered = Rendered("Subject", html, "Text")
    mail, targets = tracked(rendered, decision, SETTINGS, category, records or [])
    assert (mail.subject, mail.text) == ("Subject", "Text")
    return mail.html, targets


def restored(html: str, targets: tuple[str, ...], quoted: dict[str, str]) -> str:
    """The HTML with every tracked link put back as its author wrote it, and without its pixel."""

    def original(found: re.Match[str]) -> str:
        hit = read_hit(found[2], SETTINGS.secret)
        assert hit is not None
        assert hit.send_id == DECISION.send_id
        return quoted[targets[hit.link - 1]]

    return re.sub(f'"{HIT.pattern}"', original, PIXEL.sub("", html))


def word(action: str, minutes: int = 0, category: str = "tracking") -> ConsentRecord:
    """One word on consent."""
    at = NOW + timedelta(minutes=minutes)
    record: Any = {"record_id": f"{category}-{action}-{minutes}", "action": action, "at": at}
    return ConsentRecord(person="u:ada", category=category, source="event", **record)


# what is wrapped


@pytest.mark.parametrize("template", template_names())
def test_every_template_that_ships_differs_in_its_links_and_the_pixel_alone(template: str) -> None:
    facts = json.loads((TEMPLATES / template / "example.json").read_text("utf-8"))
    html = render(template, facts).html
    changed, targets = track(html)
    assert len(PIXEL.findall(changed)) == 1
    quoted = {target: f'"{target.replace("&", "&amp;")}"' for target in targets}
    assert restored(changed, targets, quoted) == html
    hrefs = [link for link in lxml_html.fromstring(changed).xpath("//a/@href") if link.startswith("http")]
    assert all(HIT.fullmatch(link) or "/u/" in link for link in hrefs)


def test_a_link_is_replaced_where_it_stands_and_its_number_says_where_it_leads() -> None:
    html = '<p>See <a class=x  href = "https://shop.example/a?x=1&amp;y=2#z" >this</a></p>'
    changed, targets = track(html)
    assert targets == ("https://shop.example/a?x=1&y=2#z",)
    assert changed.startswith('<p>See <a class=x  href = "https://mail.shop.example/l/')
    [(path, token), (pixel, image)] = HIT.findall(changed)
    assert (path, read_hit(token, SETTINGS.secret)) == ("l", Hit(DECISION.send_id, 1))
    assert (pixel, read_hit(image, SETTINGS.secret)) == ("o", Hit(DECISION.send_id, 0))


@pytest.mark.parametrize(
    "tag",
    [
        "<a href='https://shop.example/x'>",
        "<a href=https://shop.example/x>",
        '<A HREF="https://shop.example/x">',
        '<a title="a > b" data-href="https://no.example/" href="https://shop.example/x">',
        '<a href="https://shop.example/x" href="https://second.example/">',
        '<a href=" https://shop.example/\n x ">',
        '<map><area href="https://shop.example/x"></map>',
        '<!--[if mso]><v:roundrect href="https://shop.example/x" arcsize="9%">Go</v:roundrect><![endif]-->',
        '<!--[if !mso]><!--><a href="https://shop.example/x">Go</a><!--<![endif]-->',
        '<![if !mso]><a href="https://shop.example/x">Go</a><![endif]>',
        'line one\r\nline two\n<a\nhref="https://shop.example/x">',
        '<!--><a href="https://shop.example/x">',
        '<?--><!---></ ><!x><a href="https://shop.example/x">',
        '<title></TITLE ><a title href="https://shop.example/x"/>',
        """<p title="<a href='https://no.example/'>" lang="en"><A href="https://shop.example/x">""",
        """<p/title='"'lang=en ><b a="1"b='>'>< </b><area href="https://shop.example/x">""",
    ],
)
def test_a_link_is_found_however_it_is_written(tag: str) -> None:
    html, targets = track(tag)
    assert [target.replace("%20", "") for target in targets] == ["https://shop.example/x"]
    assert len(HIT.findall(html)) == 2


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:help@shop.example">',
        '<a href="tel:+35391000">',
        '<a href="#top">',
        '<a href="">',
        "<a href>",
        "<a href=>",
        "<a href = >",
        "<a name=x>",
        '<a href="javascript:alert(1)">',
        '<a href="/relative">',
        '<a href="//shop.example/x">',
        '<a href="https://">',
        '<a href="https://[bad/">',
        '<a href="https:shop.example">',
        '<a title=\'<a href="https://shop.example/x">',
        '<a href="https://shop.example/x',
        '<!-- <!--[if mso]><a href="https://shop.example/x"> -->',
        '<iframe><a href="https://shop.example/x"></iframe>',
        '<a href="https://\u2603\u200d.example/">',
        '<a href="https://' + "\u00fc" * 64 + '.example/">',
        '<a href="https://mail.shop.example/u/token">',
        '<a href="https://mail.shop.example/p/token">',
        '<a href="HTTPS://MAIL.SHOP.EXAMPLE/c/token">',
        '<a href="https://mail.shop.example/l/token">',
        '<img src="https://shop.example/x.png">',
        '<link href="https://shop.example/x.css">',
        '<!-- <a href="https://shop.example/x"> -->',
        '<style>a[href="https://shop.example"] {}</style>',
        '<title><a href="https://shop.example/x"></title>',
        "https://shop.example/x &lt;a href=https://shop.example/x&gt;",
    ],
)
def test_what_is_no_link_to_the_web_stays(html: str) -> None:
    changed, targets = track(f"<body>{html}</body>")
    assert targets == ()
    assert PIXEL.sub("", changed) == f"<body>{html}</body>"


def test_a_megabyte_of_a_name_is_read_once() -> None:
    assert track(f"<a {'x' * 1_000_000}=>")[1] == ()


@pytest.mark.parametrize("piece", ["<a ", "<!--", '<a x="y" ', "</", "<?", "<a href='", "<title>"])
def test_a_megabyte_without_an_end_is_read_once(piece: str) -> None:
    """To look at it anew from every `<` on would take hours."""
    html = f"<!--[if mso]>{piece * 100_000}<![endif]-->{piece * 100_000}"
    assert track(html)[1] == ()


def test_a_page_beside_our_own_is_tracked() -> None:
    """The shop may live at the same address as the pages behind the links."""
    assert track('<a href="https://mail.shop.example/users">')[1] == ("https://mail.shop.example/users",)


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("https://s.example/?a=1&amp;b=2", "https://s.example/?a=1&b=2"),
        ("https://s.example/?a=1&b=2", "https://s.example/?a=1&b=2"),
        ("https://s.example/?a=1&copy=2", "https://s.example/?a=1&copy=2"),
        ("https://s.example/?a=1&copyright=2&notit;", "https://s.example/?a=1&copyright=2&notit;"),
        ("https://s.example/?a=&amp;amp;b", "https://s.example/?a=&amp;b"),
        ("https://s.example/?q=%26amp%3B&amp;c=%zz", "https://s.example/?q=%26amp%3B&c=%zz"),
        ("https://s.example/?a&#38;b&#x26;c", "https://s.example/?a&b&c"),
        ("https://s.example/?a&copy;", "https://s.example/?a%C2%A9"),
        ("https://s.example/?a&copy", "https://s.example/?a%C2%A9"),
        ("https://s.example/a b?q=\u00fc#\u00e4", "https://s.example/a%20b?q=%C3%BC#%C3%A4"),
        ("https://b\u00fccher.example:8080/", "https://xn--bcher-kva.example:8080/"),
        ("https://stra\u00dfe.example/\u00df", "https://xn--strae-oqa.example/%C3%9F"),  # and not strasse.example
        ("https://B\u00dcCHER\u3002example", "https://xn--bcher-kva.example"),
        (
            "https://s.example/~a/(b)/[c];d=1?e='f'|{g}\\h^i#j/?k",
            "https://s.example/~a/(b)/[c];d=1?e='f'|{g}\\h^i#j/?k",
        ),
    ],
)
def test_the_target_is_what_a_browser_would_have_asked_for(href: str, target: str) -> None:
    assert track(f'<a href="{href}">')[1] == (target,)


def test_two_links_to_the_same_page_share_a_number() -> None:
    html = '<a href="https://s.example/a"><a href="https://s.example/b"><a href="https://s.example/a">'
    changed, targets = track(html)
    assert targets == ("https://s.example/a", "https://s.example/b")
    hits = [read_hit(token, SETTINGS.secret) for path, token in HIT.findall(changed) if path == "l"]
    assert [hit.link for hit in hits if hit] == [1, 2, 1]


def test_more_links_than_there_are_numbers_stay_as_they_are() -> None:
    links = [f'<a href="https://s.example/{number}">' for number in range(65_537)]
    html, targets = track("".join(links))
    assert len(targets) == 65_535
    assert "".join(links[65_535:]) in html


@pytest.mark.parametrize("end", ["</body></html>", "</BODY >\n</html>\n"])
def test_the_pixel_is_the_last_thing_of_the_body(end: str) -> None:
    assert re.search(rf"</p><img [^>]+>{end}$", track(f"<html><body><p>Hello</p>{end}")[0])


@pytest.mark.parametrize("html", ["<p>Hello</p>", '</body><a href="https://s.example/">x</a>'])
def test_a_mail_whose_body_does_not_end_as_it_should_has_its_pixel_at_the_end(html: str) -> None:
    assert re.search(r"</(p|a)><img [^>]+>$", track(html)[0])


_PIECES = st.sampled_from(
    [
        *(
            '<a href="https://s.example/?a=1&amp;b=2">x</a>',
            "<a href='http://t.example/#f'>",
            '<a href="mailto:a">y</a>',
        ),
        *(
            "<!--[if mso]>",
            '<v:rect href="https://m.example/">',
            "<![endif]-->",
            "<!-- c -->",
            "<![if !mso]>",
            "<![x]>",
        ),
        *(
            "<table><tr><td>",
            "</td></tr></table>",
            "<p class=q>",
            "</p>",
            "&nbsp;",
            "&",
            "<",
            ">",
            '"',
            "\r\n",
            "\n",
            "é",
        ),
        *("<style>p { color: red }</style>", "</body>", "<title>", "</title>", "<br/>", "<a ", "href=", "<?php", "</"),
    ]
)


@given(st.lists(_PIECES | st.text(max_size=8), max_size=30).map("".join))
@example('</body><a href="https://s.example/">x</a>')
def test_any_text_at_all_can_be_read_and_only_gains(html: str) -> None:
    """Not one character is lost, whatever an author writes: what is left of the tracked form is what was there."""
    changed, targets = track(html)
    assert len(PIXEL.findall(changed)) == 1
    kept = re.split(f'"{HIT.pattern}"', PIXEL.sub("", changed))[::3]
    place = 0
    for part in kept:
        place = html.index(part, place) + len(part)
    assert html.startswith(kept[0])
    assert html.endswith(kept[-1])
    assert all(leads_somewhere(target) for target in targets)


@given(st.lists(_PIECES | st.text(max_size=8), max_size=30).map("".join))
def test_a_browser_finds_the_same_links_in_what_the_inliner_writes(html: str) -> None:
    """The oracle is lxml's parser, on what mails are made of: the inliner's output."""
    inlined = css_inline.inline(f"<html><body>{html}</body></html>")
    changed, targets = track(inlined)
    before, after = (lxml_html.fromstring(one).xpath("//a[@href]/@href") for one in (inlined, changed))
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        found = HIT.fullmatch(other)
        if found is None:
            assert one == other
            assert urlsplit(one).scheme not in {"http", "https"}
        else:
            hit = read_hit(found[2], SETTINGS.secret)
            assert hit is not None
            assert targets[hit.link - 1] == one


# who is watched


def test_a_category_can_say_that_nobody_is_watched() -> None:
    html = '<a href="https://shop.example/">'
    assert track(html, category=Category(id="support", tracked=False)) == (html, ())


@pytest.mark.parametrize(
    ("records", "watched"),
    [
        ([], True),
        ([word("withdrawn")], False),
        ([word("given"), word("withdrawn", 1)], False),
        ([word("withdrawn"), word("given", 1)], True),
        ([word("given", 1), word("withdrawn", 0)], True),
        ([word("given"), word("withdrawn")], False),
        ([word("withdrawn", category="marketing"), word("withdrawn", category="sale_and_sharing")], True),
    ],
)
def test_who_objects_to_being_watched_is_not(records: list[ConsentRecord], watched: bool) -> None:
    """The latest word counts; of two at the same instant, no."""
    html = '<a href="https://shop.example/">'
    assert (track(html, records=records) != (html, ())) is watched


def test_transactional_mail_is_watched_only_where_its_category_says_so_itself() -> None:
    html = '<a href="https://shop.example/reset?key=1">'
    receipt = a_decision(kind="transactional")
    assert track(html, receipt) == (html, ())
    assert track(html, receipt, Category(id="reminders", tracked=True)) != (html, ())
    assert track(html, receipt, Category(id="reminders", tracked=True), [word("withdrawn")]) == (html, ())


def test_mail_to_a_role_is_never_watched() -> None:
    """A click by the support desk is nothing that the person did."""
    html = '<a href="https://shop.example/">'
    to_support = a_decision(to="support", kind="transactional")
    assert track(html, to_support, Category(id="reminders", tracked=True)) == (html, ())


# what may stand in a Location header


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/path",
            "https://",
            "http:///x",
            "ftp://a/",
        ),
        *("https://a.example/\r\nSet-Cookie: a=b", "https://a.example/ b", "https://ä.example/", "https://[x/", "x"),
    ],
)
def test_nothing_else_is_redirected_to(url: str) -> None:
    assert not leads_somewhere(url)


@given(st.text())
def test_anything_can_be_asked_about(url: str) -> None:
    assert leads_somewhere(url) in (True, False)
