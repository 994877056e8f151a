"""The page of a backtest as a whole: in order, readable by everybody, and deaf to the network and to hostile text."""

import re
from pathlib import Path

import msgspec
import pytest

from tests.backtest.html import parse
from tests.backtest.reports import a_row, everything
from tests.backtest.shapes import drawn, section, shapes
from tidings.backtest import page
from tidings.backtest.examples import Shown


@shapes
def test_the_page_has_one_title_and_a_heading_for_each_section(report):
    root = drawn(report)

    assert root.one("h1").text == "Left something in the cart"
    assert root.one("html").attributes["lang"] == "en"
    assert len(root.all("main")) == len(root.all("header")) == len(root.all("footer")) == 1
    ids = [one.attributes["id"] for one in root.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in root.all("section"):
        assert one.attributes["aria-labelledby"] in ids
        assert len(one.all("h2")) == 1


@shapes
def test_the_sections_stand_in_the_order_in_which_they_are_read(report):
    names = [one.attributes["aria-labelledby"] for one in drawn(report).all("section")]

    expected = ["answer", "when", "goal", "collisions", "change", "rows", "examples", "unknown"]
    assert names == (["warnings"] if report.warnings else []) + expected


@shapes
def test_nothing_is_asked_of_a_network(report):
    written = page.render(report)
    root = parse(written)

    assert not [one.tag for one in root.all() if one.tag in {"script", "link", "img", "a", "object", "embed", "form"}]
    assert not [name for one in root.all() for name in one.attributes if name in {"src", "href"} or name[:2] == "on"]
    assert "://" not in re.sub(r'srcdoc="[^"]*"', "", written)
    assert "@import" not in written
    assert set(re.findall(r"url\(([^)]*)\)", written)) == {"#hatch", "#dots"}
    (policy,) = root.one("head").all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")


@shapes
def test_every_picture_has_a_name_or_is_only_for_the_eye(report):
    for one in drawn(report).all("svg"):
        inside = one.attributes.get("preserveaspectratio") == "none"  # the thin bars of a picture that has a name
        assert inside or one.attributes.get("aria-hidden") == "true" or len(one.attributes["aria-label"]) > 10


@shapes
def test_every_table_says_what_it_is_and_whose_its_cells_are(report):
    for table in drawn(report).all("table"):
        assert table.one("caption").text
        assert all(one.attributes.get("scope") in {"row", "col"} for one in table.all("th"))
        wide = [len(row.all("th")) + len(row.all("td")) for row in table.all("tr")]
        assert len(set(wide)) == 1


HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}</iframe></title></style>"


def test_whatever_is_called_hostile_stays_text():
    plain = everything()
    shown = Shown(
        person=HOSTILE, template=HOSTILE, at="2026-03-02T10:00:00+00:00", subject=HOSTILE, html=HOSTILE, text=HOSTILE
    )
    rule = msgspec.structs.replace(
        plain.rule, name=HOSTILE, id=HOSTILE, category=HOSTILE, trigger=HOSTILE, version=HOSTILE, sends=(HOSTILE,)
    )
    collisions = msgspec.structs.replace(
        plain.collisions, reasons={HOSTILE: 1}, capped_by={HOSTILE: 1}, lost={HOSTILE: 1}, won={}
    )
    report = everything(
        rule=rule,
        conversion=msgspec.structs.replace(plain.conversion, goal=HOSTILE),
        collisions=collisions,
        rows=(a_row(person=HOSTILE, entry_key=HOSTILE, template=HOSTILE, outcome=HOSTILE, change="added"),),
        examples=(shown, msgspec.structs.replace(shown, fault=HOSTILE)),
        unknown=(HOSTILE,),
        warnings=(HOSTILE,),
    )
    root = drawn(report)

    assert root.one("h1").text == HOSTILE
    assert root.one("pre", **{"aria-label": "The trigger, as YAML"}).text == HOSTILE
    assert root.one("iframe").attributes["srcdoc"].endswith(HOSTILE)
    assert {one.tag for one in root.all()} == {one.tag for one in drawn(plain).all()}


def test_a_mail_is_shown_in_a_frame_without_rights():
    frame = section(everything(), "examples").one("iframe")

    assert frame.attributes["sandbox"] == ""
    assert frame.attributes["title"] == "The mail: Your cart"
    assert "src" not in frame.attributes


def test_no_mail_can_get_in_front_of_the_policy_of_its_frame():
    html = '<!-- <head> --><img src="https://elsewhere.example/x.png">'
    shown = Shown(person="u:ann", template="t", at="2026-03-02T10:00:00+00:00", subject="s", html=html, text="t")
    document = section(everything(examples=(shown,)), "examples").one("iframe").attributes["srcdoc"]
    first, second = parse(document).all("meta")[:2]

    assert document.startswith("<!doctype html>")
    assert first.attributes == {"charset": "utf-8"}
    assert second.attributes["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in second.attributes["content"]
    assert document.endswith(html)


def test_a_mail_that_cannot_be_made_is_told_as_that():
    faulty = section(everything(), "examples").one("article", class_="faulty")

    assert "body.html, line 3: 'price' is undefined" in faulty.text
    assert not faulty.all("iframe")


STYLE = (Path(page.__file__).parent / "pages" / "style.css").read_text()
ON = {
    "card": ("ink", "soft", "blue"),
    "paper": ("ink", "soft"),
    "amber-soft": ("ink", "soft", "amber-ink"),
    "blue-soft": ("ink", "soft"),
    "pale": ("ink", "soft"),
    "sky": ("ink",),
    "data": ("on-data",),
    "amber": ("on-amber",),
}


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", text))


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(one * 2 for one in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ground", "letters"), [(ground, one) for ground, all_ in ON.items() for one in all_])
def test_every_letter_stands_out_from_its_ground(scheme, ground, letters):
    light, dark = STYLE.split("prefers-color-scheme: dark", 1)
    known = colours(light) if scheme == "light" else {**colours(light), **colours(dark)}
    lighter, darker = sorted((luminance(known[ground]), luminance(known[letters])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
