"""`tidings templates send-test`: a real mail by real SMTP, that touches nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mail_server import MailServer
from tidings.commands.main import main
from tidings.tokens import read_unsubscribe

SECRET = "a secret of the right length"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MailServer]:
    """A mail server, which is the one that the settings name; the store that they name cannot be opened."""
    with MailServer() as mail:
        for name, value in {
            "MAIL_URL": mail.url,
            "MAIL_FROM": "Northwind Living <hello@shop.example>",
            "POSTAL_ADDRESS": "12 Quay Street, Galway",
            "SECRET": SECRET,
            "STORE": f"sqlite:{tmp_path}/no/such/folder/store.db",
        }.items():
            monkeypatch.setenv(f"TIDINGS_{name}", value)
        yield mail


def send(name: str, *options: str) -> int:
    return main(["templates", "send-test", name, "--to", "tester@example.com", *options])


def test_a_real_mail_arrives_and_says_that_it_is_a_test(server: MailServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert send("cart-abandoned") == 0
    assert "smtp has taken it: [Test] You left Enamel coffee pot" in capsys.readouterr().out
    [mail] = server.mails
    assert mail.recipients == ["tester@example.com"]
    assert str(mail.parsed["Subject"]).startswith("[Test] You left Enamel coffee pot")
    assert str(mail.parsed["From"]) == "Northwind Living <hello@shop.example>"
    assert b"12 Quay Street" in mail.data


def test_its_way_out_works_on_nobody(server: MailServer) -> None:
    """Real settings would make the same link for a real person; this one is signed by no secret that is kept."""
    assert send("cart-abandoned") == 0
    [token] = re.findall(r"/u/([^>]+)>", str(server.mails[0].parsed["List-Unsubscribe"]))
    assert read_unsubscribe(token, SECRET) is None


def test_each_test_is_a_mail_of_its_own(server: MailServer) -> None:
    """Or a provider would take the second for a repetition."""
    assert send("welcome") == send("welcome", "--locale", "de") == 0
    first, second = (mail.parsed for mail in server.mails)
    assert first["Message-ID"] != second["Message-ID"]
    assert str(second["Subject"]) == "[Test] Willkommen bei Northwind Living"


@pytest.mark.parametrize(
    ("answer", "code"), [("550 5.1.1 no such mailbox", 1), ("554 5.7.1 not from you", 1), ("451 4.3.0 later", 3)]
)
def test_what_the_provider_refuses_is_told(
    server: MailServer, capsys: pytest.CaptureFixture[str], answer: str, code: int
) -> None:
    server.answers["RCPT"] = [answer]
    assert send("welcome") == code
    assert "tester" not in capsys.readouterr().err


def test_an_address_that_is_none_is_refused(server: MailServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "send-test", "welcome", "--to", "nobody"]) == 1
    assert server.mails == []
