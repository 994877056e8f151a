"""Reading a folder of templates: which can be sent, and what is wrong with the others."""

from pathlib import Path

import pytest

from tidings.checking.catalogue import catalogue


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{{ event.name }}")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["a/subject.txt"], "there is no a/body.html, nor body.mjml"),
        (["a/subject.txt", "a/body.html", "a/body.mjml"], "there are both a/body.html and body.mjml"),
        (
            ["a/subject.txt", "a/body.html", "a/de/body.html"],
            "there is no a/de/subject.txt, so nobody gets this variant",
        ),
        (["a/subject.txt", "a/body.html", "a/de/subject.txt"], "there is no a/de/body.html, nor body.mjml"),
        (
            ["a/subject.txt", "a/body.html", "a/PT-br/subject.txt", "a/PT-br/body.html"],
            "a/PT-br: is never found; call it pt-BR",
        ),
    ],
)
def test_a_message_that_is_not_whole_is_broken(tmp_path: Path, files: list[str], why: str) -> None:
    write(tmp_path, *files)
    read = catalogue(str(tmp_path))
    assert read.messages == {}
    assert read.broken["a"].startswith(why)


def test_a_message_is_whole_with_either_body_and_any_variant(tmp_path: Path) -> None:
    write(
        tmp_path, "a/subject.txt", "a/body.mjml", "a/de/subject.txt", "a/de/body.html", "b/subject.txt", "b/body.html"
    )
    read = catalogue(str(tmp_path))
    assert list(read.messages) == ["a", "b"]
    assert read.broken == {}
