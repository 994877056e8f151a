"""The conversation with the mail server: what is sent, when it is told, and whose fault a failure is."""

import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from tests.mail_server import VANISH, MailServer
from tests.sends import a_mail
from tidings.adapters.smtp import SmtpSender
from tidings.errors import (
    AddressError,
    DeadAddressError,
    RefusedError,
    StoreError,
    TemporaryError,
    UnknownOutcomeError,
)
from tidings.settings import SettingsError

DATA = b"Subject: a test\r\n\r\n.a line that begins with a dot\r\n.\r\n..\r\nthe end.\r\n"


def send(
    url: str,
    told: list[str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 5.0,
    patience: float = 5.0,
) -> None:
    """Send DATA, write into `told` that it is about to leave, and then wait `patience` seconds for the answer."""

    def leave() -> float:
        if told is not None:
            told.append("about to leave")
        return patience

    SmtpSender(url, timeout, tls).send(a_mail(DATA), leave)


def test_a_mail_arrives_byte_for_byte_and_its_leaving_is_announced_once() -> None:
    """Envelope and content are what was given, dots included."""
    told: list[str] = []
    with MailServer() as server:
        send(server.url, told)
        (mail,) = server.mails
    assert (mail.sender, mail.recipients, mail.data) == ("shop@example.com", ["ada@example.com"], DATA)
    assert told == ["about to leave"]


REFUSALS = [
    # When, what the server says, whose fault that is, and whether the mail had been announced as leaving.
    ("MAIL", "421 4.3.2 closing down", TemporaryError, False),
    ("MAIL", "451 try again", TemporaryError, False),
    ("MAIL", "530 5.7.0 must issue a STARTTLS command first", TemporaryError, False),
    ("MAIL", "550 5.1.8 the sender's domain does not exist", RefusedError, False),
    ("RCPT", "450 4.2.0 greylisted", TemporaryError, False),
    ("RCPT", "451 4.7.1 policy, later", TemporaryError, False),
    ("RCPT", "452 4.2.2 mailbox full", TemporaryError, False),
    ("RCPT", "550 5.1.1 no such user", DeadAddressError, False),
    ("RCPT", "550 5.1.10 null MX", DeadAddressError, False),
    ("RCPT", "550 5.1.0 address rejected", AddressError, False),
    ("RCPT", "550 5.1.7 bad sender", RefusedError, False),
    ("RCPT", "550 5.2.1 mailbox disabled", AddressError, False),
    ("RCPT", "550 no such user here", AddressError, False),
    ("RCPT", "551 user not local", AddressError, False),
    ("RCPT", "553 mailbox name not allowed", AddressError, False),
    ("RCPT", "550 5.4.4 no route to the domain", AddressError, False),
    ("RCPT", "552 5.2.2 mailbox full", AddressError, False),
    ("RCPT", "550 5.7.1 blocked by policy", RefusedError, False),
    ("RCPT", "554 5.7.1 listed at a blocklist", RefusedError, False),
    ("DATA", "451 4.3.0 not now", TemporaryError, True),
    ("DATA", "554 no valid recipients", RefusedError, True),
    ("DATA", "220 what?", TemporaryError, True),
    ("MAIL DATA", "421 closing down", TemporaryError, True),
    ("MAIL DATA", "452 4.3.1 out of space", TemporaryError, True),
    ("MAIL DATA", "550 5.1.1 no such user after all", DeadAddressError, True),
    ("MAIL DATA", "550 looks like spam", RefusedError, True),
    ("MAIL DATA", "552 5.3.4 too large", RefusedError, True),
    ("MAIL DATA", "554 5.7.1 DMARC", RefusedError, True),
    ("MAIL DATA", "650 what?", UnknownOutcomeError, True),
]


@pytest.mark.parametrize(
    ("command", "answer", "fault", "announced"), REFUSALS, ids=[f"{r[0]} {r[1]}" for r in REFUSALS]
)
def test_every_refusal_has_an_owner(command: str, answer: str, fault: type[Exception], announced: bool) -> None:
    """4xx is nobody's fault for good; 5xx is the address's or the mail's, and never a guess."""
    told: list[str] = []
    with MailServer() as server:
        server.answers[command] = [answer]
        with pytest.raises(fault) as raised:
            send(server.url, told)
        assert server.mails == []
    assert type(raised.value) is fault
    assert bool(told) is announced
    assert re.fullmatch(r"the mail server says: [A-Z]{4} \d{3} (-|\d\.\d\.\d+)", str(raised.value))


def test_a_break_after_the_mail_left_is_an_unknown_outcome() -> None:
    """The server has the mail and its answer is lost: nobody may claim that it was not sent."""
    with MailServer() as server:
        server.answers["MAIL DATA"] = [VANISH]
        with pytest.raises(UnknownOutcomeError):
            send(server.url)
        assert len(server.mails) == 1


def test_a_server_that_scans_the_mail_may_take_longer_than_any_other_step() -> None:
    """RFC 5321 gives it ten minutes; who hangs up earlier gets the same mail delivered again and again."""
    with MailServer() as server:
        server.pause = 0.6
        send(server.url, timeout=0.2)
        assert len(server.mails) == 1


def test_a_server_that_never_says_whether_it_took_the_mail_is_an_unknown_outcome() -> None:
    """Patience ends, and what became of the mail stays open."""
    with MailServer() as server:
        server.pause = 60
        with pytest.raises(UnknownOutcomeError, match="SMTPServerDisconnected"):
            send(server.url, patience=0.1)


def test_a_server_that_never_asks_for_the_content_has_certainly_not_taken_it() -> None:
    """The mail was announced, and nothing of it had left."""
    told: list[str] = []
    with MailServer() as server:
        server.answers["DATA"] = [VANISH]
        with pytest.raises(TemporaryError, match="SMTPServerDisconnected") as raised:
            send(server.url, told)
        assert (type(raised.value), told, server.mails) == (TemporaryError, ["about to leave"], [])


def test_a_server_that_is_not_there_is_a_temporary_failure() -> None:
    """Nothing was sent, nothing was announced."""
    told: list[str] = []
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(TemporaryError, match="ConnectionRefusedError"):
            send(f"smtp://127.0.0.1:{bound.getsockname()[1]}?tls=none", told)
    assert told == []


def test_a_server_that_never_greets_is_given_up() -> None:
    """The timeout turns silence into a temporary failure."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = SmtpSender(f"smtp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(TemporaryError, match="SMTPServerDisconnected"):
            sender.send(a_mail(DATA), lambda: 5.0)


def test_who_cannot_announce_does_not_send() -> None:
    """A store that fails just before the mail leaves keeps it from leaving, and its own error reaches the caller."""

    def fail() -> float:
        raise StoreError("no store")

    with MailServer() as server:
        with pytest.raises(StoreError):
            SmtpSender(server.url).send(a_mail(DATA), fail)
        send(server.url)
        assert len(server.mails) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server called localhost, and for a client that trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, chain = str(folder / "key.pem"), str(folder / "cert.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", chain]
    subprocess.run([*make, *subject], check=True, capture_output=True)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(chain, key)
    return server, ssl.create_default_context(cafile=chain)


def accept(_: object, __: object, ___: object, ____: str, login: object) -> AuthResult:
    """Let in whoever knows the password."""
    return AuthResult(success=getattr(login, "password", b"") == b"p@ss:word", handled=False)


def test_starttls_and_login_are_used_when_they_are_there(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A password with reserved characters travels URL-quoted in the setting, and encrypted on the wire."""
    server_tls, client_tls = certificate
    with MailServer(tls_context=server_tls, authenticator=accept, auth_required=True) as server:
        send(f"smtp://user:p%40ss%3Aword@localhost:{server.port}", tls=client_tls)
        assert len(server.mails) == 1
        with pytest.raises(TemporaryError, match="SMTPAuthenticationError 535"):
            send(f"smtp://user:wrong@localhost:{server.port}", tls=client_tls)
        with pytest.raises(TemporaryError, match="530"):
            send(f"smtp://localhost:{server.port}", tls=client_tls)


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A stranger in the middle gets neither mail nor password."""
    with MailServer(tls_context=certificate[0]) as server:
        with pytest.raises(TemporaryError, match="SSLCertVerificationError"):
            send(f"smtp://localhost:{server.port}")
        assert server.mails == []


@pytest.mark.parametrize("option", ["", "?tls=optional"])
def test_a_password_never_travels_in_the_clear(option: str) -> None:
    """A server without STARTTLS does not learn it, even when it would take it."""
    with MailServer(authenticator=accept, auth_require_tls=False) as server:
        with pytest.raises(TemporaryError, match="in the clear"):
            send(f"smtp://user:secret@127.0.0.1:{server.port}{option}")
        assert server.mails == []


def test_a_mail_never_travels_in_the_clear_unless_that_was_asked_for() -> None:
    """A server without STARTTLS, or a stranger who takes the offer out of its answer, gets nothing."""
    with MailServer() as server:
        with pytest.raises(TemporaryError, match="no STARTTLS, and mail may not travel in the clear"):
            send(f"smtp://127.0.0.1:{server.port}")
        assert server.mails == []


def test_optional_tls_is_used_if_it_is_offered(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """And if it is not, the mail goes all the same; what is offered has to be trusted."""
    server_tls, client_tls = certificate
    with MailServer() as plain, MailServer(tls_context=server_tls, require_starttls=True) as secure:
        for server in plain, secure:
            send(f"smtp://localhost:{server.port}?tls=optional", tls=client_tls)
            assert len(server.mails) == 1
        with pytest.raises(TemporaryError, match="SSLCertVerificationError"):
            send(f"smtp://localhost:{secure.port}?tls=optional")


def test_a_server_on_this_machine_may_be_spoken_to_without_tls(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Even if it offers TLS, with a certificate that nobody knows."""
    with MailServer(tls_context=certificate[0]) as server:
        send(f"smtp://localhost:{server.port}?tls=none")
        assert len(server.mails) == 1


@pytest.mark.parametrize(("option", "name"), [("", "example.com"), ("&ehlo=mail.shop.example", "mail.shop.example")])
def test_we_give_our_name_and_not_that_of_the_machine(option: str, name: str) -> None:
    """The domain that the mail comes from, or what the URL says."""
    with MailServer() as server:
        send(f"{server.url}{option}")
        assert server.names == [name]


def test_smtps_speaks_tls_from_the_first_byte(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The other scheme, on the same conversation."""
    server_tls, client_tls = certificate
    with MailServer(ssl_context=server_tls) as server:
        send(f"smtps://localhost:{server.port}", tls=client_tls)
        assert len(server.mails) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:25",
        "http://localhost",
        "smtp://",
        "smtp://user:secret@host:port",
        "smtp://user:secret@[host",
        "smtp://user:secret@host/folder",
        "smtp://user:secret@host?tls=none",
        "smtp://user:secret@host?tls=sometimes",
        "smtp://user:secret@host?starttls=yes",
        "smtp://user:secret@host?tls",
        "smtps://user:secret@host?tls=optional",
        "smtp+http://user:secret@host",
    ],
)
def test_a_url_that_names_no_server_is_the_operators_fault(url: str) -> None:
    """The message names the variable and does not repeat the password."""
    with pytest.raises(SettingsError, match="TIDINGS_MAIL_URL") as raised:
        SmtpSender(url)
    assert "secret" not in str(raised.value)
