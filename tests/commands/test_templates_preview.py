"""`tidings templates preview`: the mail as files, and what it looks like where there is a Chromium."""

import email
import json
import struct
from pathlib import Path

import pytest

from tests.support import require
from tidings.commands import screenshots
from tidings.commands.main import main


def preview(tmp_path: Path, *options: str) -> int:
    return main(["templates", "preview", *options, "--out", str(tmp_path)])


def test_the_mail_is_written_as_it_would_be_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(tmp_path, "cart-abandoned") == 0
    told = capsys.readouterr().out
    assert "You left Enamel coffee pot and 2 more in your cart" in told
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in told
    written = {path.name for path in (tmp_path / "cart-abandoned").iterdir()}
    assert written == {"body.html", "body.txt", "mail.eml"}
    mail = email.message_from_bytes((tmp_path / "cart-abandoned" / "mail.eml").read_bytes())
    parts = [part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in mail.get_payload()]
    assert parts == [
        (tmp_path / "cart-abandoned" / "body.txt").read_text().rstrip("\n"),
        (tmp_path / "cart-abandoned" / "body.html").read_text(),
    ]


def test_each_language_is_written_beside_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(tmp_path, "welcome", "--locale", "de-CH") == 0
    assert "Language: de" in capsys.readouterr().out
    assert "Ihr Konto" in (tmp_path / "welcome.de" / "body.txt").read_text()


def test_facts_may_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "person": {"id": "u:1", "traits": {}},
        "event": {"name": "Signed Up", "timestamp": "2026-03-01T08:00:00Z", "properties": {}},
        "rule": {"id": "welcome", "category": "account", "kind": "transactional"},
        "sender": {"name": "Somebody Else"},
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    assert preview(tmp_path, "welcome", "--facts", str(tmp_path / "facts.json")) == 0
    assert "Welcome to Somebody Else" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["no-such-message"], "there is no such template"),
        (["welcome", "--facts", "no-such-file.json"], "there is no such file"),
        (["welcome", "--templates", "no-such-folder"], "there is no such folder"),
    ],
)
def test_what_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert preview(tmp_path, *options) == 1
    assert told in capsys.readouterr().err


def test_it_says_when_there_is_no_chromium(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are written nevertheless."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preview(tmp_path, "welcome", "--screenshots") == 1
    assert "screenshots need a Chromium on the PATH" in capsys.readouterr().err
    assert (tmp_path / "welcome" / "body.html").exists()


def test_the_pictures_show_the_whole_mail_on_every_screen(tmp_path: Path) -> None:
    require(None if screenshots.chromium() else "There is no Chromium on the PATH.")
    taken = screenshots.take("<body style='margin:0'><div style='height:1500px'></div>", tmp_path)
    sizes = {path.name: struct.unpack(">II", path.read_bytes()[16:24]) for path in taken}
    assert sizes == {
        "phone-light.png": (500, 1500),  # the screen of 390 pixels, and what is beside it
        "phone-dark.png": (500, 1500),
        "desktop-light.png": (760, 1500),
        "desktop-dark.png": (760, 1500),
    }
