"""`tidings templates check`: every message, in every language, on every example, by the way that real mail goes."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from tidings.commands.main import main

BODY = '{% extends "_layout.html" %}{% block preheader %}P{% endblock %}{% block body %}<p>Hello</p>{% endblock %}'
EXAMPLE = {
    "person": {"id": "u:ada", "traits": {"email": "ada@example.com", "locale": "de"}},
    "event": {"name": "Signed Up", "timestamp": "2026-03-01T08:00:00+00:00", "properties": {"plan": "team"}},
    "rule": {"id": "hello", "category": "news", "kind": "marketing"},
    "sender": {"name": "Northwind Living", "postal_address": "12 Quay Street"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Templates with the layout that ships and one message, `hello`; seen from a folder without rules."""
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "templates"
    (there / "hello").mkdir(parents=True)
    for shared in ("_layout.html", "_words.html"):
        shutil.copy(str(files("templates").joinpath(shared)), there / shared)
    (there / "hello" / "subject.txt").write_text("Hello\n")
    (there / "hello" / "body.html").write_text(BODY)
    write_example(there)
    return there


def write_example(folder: Path, name: str = "example.json", **changes: object) -> None:
    path = folder / "hello" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**EXAMPLE, **changes}))


def checked(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """The exit code, and every line."""
    code = main(["templates", "check", "templates", *options])
    return code, capsys.readouterr().out.splitlines()


def test_a_message_without_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, "--strict") == (0, ["1 template, 1 variant: 0 errors, 0 warnings"])


def test_the_messages_that_ship_give_no_cause_for_remarks(monkeypatch, capsys) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["templates", "check", "--strict"]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out


PICTURE = BODY.replace("Hello", "<img src='https://a.example/x' width='9'>")
LINK = BODY.replace("<p>", "\n<a href='http://a.example/'>")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("body.html", "<p>\n{{ nobody }}</p>", 'body.html:2: error: "nobody" - which no mail has'),
        ("body.html", "\n{{ event.properties.x }}", "body.html:2: error: 'dict object' has no attribute 'x'"),
        ("body.html", "<p>\n{% if %}", "body.html:2: error: Expected an expression"),
        ("body.html", "\n{% include '_no.html' %}", "body.html:2: error: there is no _no.html"),
        ("body.html", "{{ '%1000000000d' % 1 }}", "body.html:1: error: it takes too much memory"),
        ("body.html", PICTURE, 'body.html:1: warning: "https://a.example/x" - this picture has no alt text'),
        ("body.html", LINK, 'body.html:2: warning: "http://a.example/" - is not encrypted'),
        ("subject.txt", "\n{{ nobody }}", 'subject.txt:2: error: "nobody" - which no mail has'),
        ("example.json", "{", "example.json: error: Input data was truncated"),
        ("example.json", "{}", "example.json: error: Object missing required field"),
        ("de/body.html", BODY, ": error: there is no hello/de/subject.txt"),
    ],
)
def test_a_fault_is_told_with_its_file_and_line(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, told: str
) -> None:
    (folder / "hello" / file).parent.mkdir(exist_ok=True)
    (folder / "hello" / file).write_text(text)
    code, lines = checked(capsys)
    assert any(line.startswith(f"templates/hello/{told}".replace("/:", ":")) for line in lines), lines
    assert code == (1 if ": error" in told else 0)


def test_a_message_without_an_example_cannot_be_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hello" / "example.json").unlink()
    code, lines = checked(capsys)
    assert (code, "there is no hello/example.json" in lines[0]) == (1, True)


LAYOUT_FAULTS = {
    "the unsubscribe link": ("links.unsubscribe", "links.nothing", "needs an unsubscribe link"),
    "the postal address": ("sender.postal_address", "sender.nothing", "needs the postal address"),
}


@pytest.mark.parametrize(("wanted", "instead", "told"), LAYOUT_FAULTS.values(), ids=LAYOUT_FAULTS)
def test_a_layout_without_what_marketing_needs_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], wanted: str, instead: str, told: str
) -> None:
    """Of a message that its example calls transactional it is not asked."""
    layout = folder / "_layout.html"
    guarded = layout.read_text().replace(f"{{% if {wanted}", "{% if nothing is defined and nothing")
    layout.write_text(guarded.replace(wanted, instead))
    code, lines = checked(capsys)
    assert code == 1
    assert [told in line for line in lines[:2]] == [True, True]  # in the HTML, and in the text
    write_example(folder, rule={**EXAMPLE["rule"], "kind": "transactional"})
    assert checked(capsys)[0] == 0


def test_rules_say_which_messages_are_marketing(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An example that calls itself transactional does not help a message that a marketing rule sends."""
    write_example(folder, rule={**EXAMPLE["rule"], "kind": "transactional"})
    (folder / "hello" / "body.html").write_text("<html lang='en'><div style='display:none'>x</div><p>Hello</p></html>")
    assert checked(capsys)[0] == 0
    (tmp_path / "rules").mkdir()
    rule = "name: A\ntrigger: {performed: {event: Signed Up}}\nsend: {template: hello}\ncategory: news\nstatus: live\n"
    (tmp_path / "rules" / "a.yaml").write_text(rule)
    code, lines = checked(capsys)
    assert code == 1
    assert "marketing mail needs an unsubscribe link" in lines[0]


def test_a_message_to_a_role_should_have_no_variants(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The language would be the one of the person that it is about, and not of who reads it."""
    (folder / "hello" / "de").mkdir()
    (folder / "hello" / "de" / "subject.txt").write_text("Hallo")
    (folder / "hello" / "de" / "body.html").write_text(BODY)
    (tmp_path / "rules").mkdir()
    send = "{template: hello, to: support}"
    rule = f"name: A\ntrigger: {{performed: {{event: Signed Up}}}}\nsend: {send}\nkind: transactional\nstatus: live\n"
    (tmp_path / "rules" / "a.yaml").write_text(rule)
    code, [first, _] = checked(capsys)
    assert code == 0
    assert first.startswith("templates/hello/de/body.html: warning: goes to a role")


def test_every_variant_and_every_example_is_rendered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fault is in the German variant alone, and only another event meets it."""
    (folder / "hello" / "de").mkdir()
    (folder / "hello" / "de" / "subject.txt").write_text("Hallo")
    body = BODY.replace("Hello", "{% if event.properties.plan == 'solo' %}{{ event.properties.seats }}{% endif %}")
    (folder / "hello" / "de" / "body.html").write_text(body)
    assert checked(capsys) == (0, ["1 template, 2 variants: 0 errors, 0 warnings"])
    write_example(folder, "examples/solo.json", event={**EXAMPLE["event"], "properties": {"plan": "solo"}})
    code, lines = checked(capsys)
    assert code == 1
    assert lines[0].startswith("templates/hello/de/body.html:1: error: 'dict object' has no attribute 'seats'")


def test_a_language_that_the_layout_has_no_words_for_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "hello" / "fr").mkdir()
    (folder / "hello" / "fr" / "subject.txt").write_text("Bonjour")
    (folder / "hello" / "fr" / "body.html").write_text(BODY)
    code, lines = checked(capsys)
    assert code == 1
    assert "_layout.html" in lines[0]
    assert "when hello/fr draws it in" in lines[0]


def test_one_message_may_be_chosen_and_a_misspelt_one_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, "--template", "hello")[0] == 0
    assert main(["templates", "check", "templates", "--template", "helo"]) == 1
    assert "did you mean hello?" in capsys.readouterr().err


def test_it_can_be_read_by_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hello" / "body.html").write_text("{{ nobody }}")
    code, lines = checked(capsys, "--json")
    answer = json.loads("\n".join(lines))
    assert (code, answer["templates"], answer["errors"]) == (1, 1, len(answer["findings"]))
    assert answer["findings"][0]["line"] == 1


def test_a_folder_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "check", "no-such-folder"]) == 1
    assert "there is no such folder" in capsys.readouterr().err
