"""The URL in the settings names the door, and one that cannot be used is found out at the start."""

import sys

import dkim
import pytest

from tests.dkim_keys import PRIVATE, public_key
from tests.mail_server import MailServer
from tests.sends import a_mail
from tidings.adapters.senders import open_sender
from tidings.settings import Settings, SettingsError

MAIL = b"From: A shop <hello@shop.example>\r\nTo: ada@example.com\r\nSubject: A test\r\n\r\nHello\r\n"


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("smtp://mail.shop.example:587", "smtp"),
        ("smtps://user:password@mail.shop.example", "smtp"),
        ("smtp://user:abcd efgh@mail.shop.example", "smtp"),  # Google's passwords for programs
        ("sendgrid://:SG.key@", "sendgrid"),
        ("sendgrid+http://:SG.key@[::1]:8080", "sendgrid"),
        ("sendgrid://:SG.key@api.eu.sendgrid.com", "sendgrid"),
        ("mailgun://:key@/mg.shop.example", "mailgun"),
        ("mailgun://:key@api.eu.mailgun.net/mg.shop.example", "mailgun"),
        ("postmark://:token@", "postmark"),
        ("postmark://:token@/outbound/broadcast", "postmark"),
        ("ses://KEY:secret@eu-west-1", "ses"),
        ("ses://KEY:secret@eu-west-1/events", "ses"),
        ("ses://KEY:secret@vpce-1.email.eu-west-1.vpce.amazonaws.com?region=eu-west-1", "ses"),
    ],
)
def test_the_scheme_is_the_provider(url: str, provider: str) -> None:
    sender = open_sender(Settings(mail_url=url))
    assert sender.provider == provider
    sender.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mandrill://:secret@",
        "smtp://user:12#secret@mail.shop.example",  # a host called user, with a port
        "smtp://user@mail.shop.example",
        "smtp://:secret@mail.shop.example",
        "smtp://user:s\u00e9cret-secret@mail.shop.example",
        "smtp://mail.shop.example?ehlo=a%0D%0AMAIL",
        "sendgrid://:s\u00e9cret-secret@",
        "sendgrid://:secret%0A@",
        "sendgrid://:secret%20@",
        "sendgrid://secret",
        "sendgrid://secret@api.sendgrid.com",
        "sendgrid://:secret@/v3",
        "sendgrid://:secret@?tls=none",
        "sendgrid://:secret@host:port",
        "mailgun://:secret@api.mailgun.net",
        "mailgun://:secret@api.mailgun.net/a/b",
        "mailgun://:secret@api.mailgun.net/a%2Fb",
        "postmark://api.postmarkapp.com",
        "postmark://:secret@/a/b/c",
        "ses://",
        "ses://KEY@eu-west-1",
        "ses://:secret@eu-west-1",
        "ses://KEY:secret@eu-west-1/a/b",
        "ses://KEY:secret@127.0.0.1",
        "ses://KEY:secret@nowhere-1",
        "ses://KEY:secret@eu-west-1?zone=a",
    ],
)
def test_a_url_that_cannot_be_used_is_the_operators_fault(url: str) -> None:
    """The message names the variable and shows how it has to look, and does not repeat the secret."""
    with pytest.raises(SettingsError, match="TIDINGS_MAIL_URL") as raised:
        open_sender(Settings(mail_url=url))
    assert "secret" not in str(raised.value)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tidings.adapters.ses", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(SettingsError, match=r"ses, which needs botocore"):
        open_sender(Settings(mail_url="ses://KEY:secret@eu-west-1"))


def test_with_a_key_mail_leaves_signed_by_smtp() -> None:
    """In the name of the From header's domain, which is not always the envelope's."""
    with MailServer() as server:
        settings = Settings(mail_url=server.url, dkim_key=PRIVATE, dkim_selector="march")
        sender = open_sender(settings)
        assert sender.provider == "smtp"
        sender.send(a_mail(MAIL, sender="b@bounces.example", from_address="hello@shop.example"), lambda: 5.0)
        sender.close()
        (mail,) = server.mails
    assert mail.data.endswith(MAIL)
    asked: list[bytes] = []
    assert dkim.DKIM(mail.data).verify(dnsfunc=lambda name, timeout=5: asked.append(name) or public_key())
    assert asked == [b"march._domainkey.shop.example."]


def test_without_a_key_mail_leaves_as_it_is() -> None:
    with MailServer() as server:
        open_sender(Settings(mail_url=server.url)).send(a_mail(MAIL), lambda: 5.0)
        assert [mail.data for mail in server.mails] == [MAIL]


@pytest.mark.parametrize(
    "key", [{"dkim_key": PRIVATE}, {"dkim_selector": "march"}, {"dkim_key": "x", "dkim_selector": "m"}]
)
def test_half_a_signature_is_found_out_before_the_first_mail(key: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_DKIM"):
        open_sender(Settings(mail_url="smtp://mail.shop.example", **key))


def test_a_provider_that_signs_by_itself_is_given_no_signature() -> None:
    """It changes headers on the way, which would break it."""
    settings = Settings(mail_url="postmark://:token@", dkim_key=PRIVATE, dkim_selector="march")
    with pytest.raises(SettingsError, match="TIDINGS_DKIM_KEY"):
        open_sender(settings)
