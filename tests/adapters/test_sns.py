"""The door to Amazon SNS, at a server that speaks TLS for real."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tidings.adapters.sns import CERTIFICATE_BYTES, Sns
from tidings.errors import TemporaryError


class Amazon(ThreadingHTTPServer):
    """A server that remembers what it was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        identity = folder / "amazon.pem"
        identity.write_bytes(a_certificate())
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(identity)
        self.socket = server.wrap_socket(self.socket, server_side=True)
        self.trust = ssl.create_default_context(cafile=str(identity))
        self.url = f"https://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and otherwise with what could be a certificate."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Amazon)
        self.server.asked.append(self.path)
        first = self.path.split("?")[0].strip("/")
        self.send_response(int(first) if first.isdigit() else 200)
        self.send_header("Location", self.server.url + "/redirected")
        self.end_headers()
        self.wfile.write(b"x" * 200_000 if first == "large.pem" else b"a certificate")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Nobody wants to read it."""


def a_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = builder.add_extension(names, critical=False).sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + signed.public_bytes(Encoding.PEM)


@pytest.fixture
def amazon(tmp_path: Path) -> Iterator[Amazon]:
    with Amazon(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_certificate_is_fetched_once(amazon: Amazon) -> None:
    sns = Sns(tls=amazon.trust)
    assert [sns.certificate(f"{amazon.url}/a.pem") for _ in range(3)] == [b"a certificate"] * 3
    assert amazon.asked == ["/a.pem"]


def test_a_confirmation_is_visited_with_all_that_its_url_says(amazon: Amazon) -> None:
    Sns(tls=amazon.trust).confirm(f"{amazon.url}/?Action=ConfirmSubscription&Token=2336412f37")
    assert amazon.asked == ["/?Action=ConfirmSubscription&Token=2336412f37"]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_certificate_that_is_not_there_is_empty(amazon: Amazon, status: int) -> None:
    """The request was forged; or Amazon is confused, so the next request asks again."""
    sns = Sns(tls=amazon.trust)
    assert [sns.certificate(f"{amazon.url}/{status}") for _ in range(2)] == [b"", b""]
    assert amazon.asked == [f"/{status}"] * 2


@pytest.mark.parametrize("status", [301, 302, 429, 500, 503])
def test_what_may_be_there_later_is_asked_for_again(amazon: Amazon, status: int) -> None:
    """And no redirect is followed: only Amazon's own word counts."""
    sns = Sns(tls=amazon.trust)
    for _ in range(2):
        with pytest.raises(TemporaryError):
            sns.certificate(f"{amazon.url}/{status}")
    assert amazon.asked == [f"/{status}"] * 2


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_confirmation_that_was_not_taken_is_tried_again(amazon: Amazon, status: int) -> None:
    with pytest.raises(TemporaryError):
        Sns(tls=amazon.trust).confirm(f"{amazon.url}/{status}")


def test_no_more_is_read_than_any_certificate_needs(amazon: Amazon) -> None:
    assert len(Sns(tls=amazon.trust).certificate(f"{amazon.url}/large.pem")) == CERTIFICATE_BYTES


def test_a_server_that_cannot_show_who_it_is_says_nothing(amazon: Amazon) -> None:
    with pytest.raises(TemporaryError, match="SSLCertVerificationError"):
        Sns().certificate(f"{amazon.url}/a.pem")
    assert amazon.asked == []


def test_when_nobody_is_there_it_is_tried_again_later(amazon: Amazon) -> None:
    amazon.server_close()
    with pytest.raises(TemporaryError, match="cannot talk to Amazon SNS"):
        Sns(tls=amazon.trust, timeout=0.5).certificate(f"{amazon.url}/a.pem")
