"""Each person's language: the nearest variant that there is, and the whole of it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import TemplateError
from tidings.rendering import Rendered, render, template_names, variants
from tidings.rendering.languages import canonical, fallbacks


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """A message `hello` in English, German, and two kinds of Portuguese, with a text part in English alone."""
    write(tmp_path / "hello", "Hello", text="{{ language }}: hello")
    for tag, word in (("de", "Hallo"), ("pt", "Olá"), ("pt-BR", "Oi")):
        write(tmp_path / "hello" / tag, word)
    return tmp_path


def write(folder: Path, word: str, text: str = "") -> None:
    folder.mkdir()
    (folder / "subject.txt").write_text(word)
    (folder / "body.html").write_text(
        f'<html lang="{{{{ language }}}}"><p>{word}, {{{{ 9.5|money("EUR") }}}}</p></html>'
    )
    if text:
        (folder / "body.txt").write_text(text)


def rendered(folder: Path, **traits: Any) -> Rendered:
    return render("hello", {"person": {"id": "u:1", "traits": traits}}, str(folder))


@pytest.mark.parametrize(
    ("traits", "language"),
    [
        ({}, "en"),
        ({"locale": "de"}, "de"),
        ({"locale": "de-AT"}, "de"),
        ({"locale": "DE_at.UTF-8@euro"}, "de"),
        ({"locale": "pt-BR"}, "pt-BR"),
        ({"locale": "pt-br"}, "pt-BR"),
        ({"locale": "pt-AO"}, "pt"),
        ({"locale": "pt-BR-x-private"}, "pt-BR"),
        ({"language": "de"}, "de"),
        ({"locale": "pt", "language": "de"}, "pt"),
        ({"locale": "no language at all", "language": "de"}, "de"),
        ({"locale": "fr"}, "en"),
        ({"locale": "../de"}, "en"),
        ({"locale": ["de"]}, "en"),
        ({"locale": ""}, "en"),
        ({"locale": "d" * 10_000}, "en"),
    ],
)
def test_the_nearest_variant_is_taken(message: Path, traits: dict[str, Any], language: str) -> None:
    """`locale` comes first, then `language`; what is no tag counts as nothing said."""
    mail = rendered(message, **traits)
    word = {"en": "Hello", "de": "Hallo", "pt": "Olá", "pt-BR": "Oi"}[language]
    assert (mail.language, mail.subject) == (language, word)
    assert f'lang="{language}"' in mail.html
    assert mail.text.startswith(word if language != "en" else "en: hello")


def test_a_text_part_is_never_borrowed_from_another_language(message: Path) -> None:
    """The German variant has none of its own, so it is made from the German HTML."""
    assert rendered(message, locale="de").text == "Hallo, 9,50 €"


@pytest.mark.parametrize("part", ["subject.txt", "body.html"])
def test_a_variant_that_lacks_a_part_is_not_used_at_all(message: Path, part: str) -> None:
    """Nobody gets a mail that is half in German."""
    (message / "hello" / "de" / part).unlink()
    mail = rendered(message, locale="de")
    assert (mail.subject, mail.language) == ("Hello", "en")


def test_a_fault_in_a_variant_names_its_file(message: Path) -> None:
    (message / "hello" / "de" / "body.html").write_text("{{ nobody }}")
    with pytest.raises(TemplateError, match=r"^hello/de/body\.html, line 1: 'nobody' is undefined"):
        rendered(message, locale="de")


def test_a_folder_says_what_its_messages_are_written_in(message: Path) -> None:
    """English, if it says nothing. Prices follow."""
    (message / "_language.txt").write_text("fr\n")
    mail = rendered(message)
    assert mail.language == "fr"
    assert "9,50&nbsp;€" in mail.html


def test_facts_without_a_person_are_rendered_in_the_folders_language(message: Path) -> None:
    assert render("hello", {}, str(message)).language == "en"


def test_variants_are_no_messages_of_their_own(message: Path) -> None:
    """And folders that are no language's are no variants."""
    write(message / "hello" / "examples", "An example")
    (message / "hello" / "fr").mkdir()
    (message / "hello" / "fr" / "picture.png").touch()
    assert template_names(str(message)) == ["hello", "hello/examples"]
    assert variants("hello", str(message)) == ["de", "pt", "pt-BR"]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("zh_hant_tw", "zh-Hant-TW"),
        ("EN", "en"),
        ("sr-latn", "sr-Latn"),
        ("es-419", "es-419"),
        ("x", ""),
        ("", ""),
        (7, ""),
    ],
)
def test_a_tag_is_written_as_the_standard_writes_it(tag: object, shown: str) -> None:
    assert canonical(tag) == shown


def test_a_tag_falls_back_by_its_last_part() -> None:
    assert list(fallbacks("zh-Hant-TW-x-own")) == ["zh-Hant-TW-x-own", "zh-Hant-TW", "zh-Hant", "zh"]


@given(st.text())
def test_whatever_a_trait_says_becomes_a_tag_or_nothing(text: str) -> None:
    """It becomes part of the name of a file, so it can hold nothing but letters, digits and hyphens."""
    tag = canonical(text)
    assert set(tag) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert canonical(tag) == tag
