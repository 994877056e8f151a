"""Signatures that another implementation (dkimpy) takes for good, and takes for broken when anything was changed."""

import re
from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dkim_keys import KEY, PRIVATE, pem, public_key
from tests.sends import SETTINGS, a_decision
from tidings.mailing.dkim import Signer
from tidings.mailing.message import build, unsubscribe_url
from tidings.rendering import Rendered
from tidings.settings import SettingsError

SIGNER = Signer(PRIVATE, "march")


def verifies(mail: bytes) -> bool:
    """What a receiver finds."""
    return bool(dkim.DKIM(mail).verify(dnsfunc=public_key))


def a_marketing_mail() -> bytes:
    """A mail as it leaves here: encoded words, a long link, and text that is not ASCII."""
    decision = a_decision()
    link = unsubscribe_url(decision, SETTINGS)
    rendered = Rendered(
        subject="Grüße ✓ " + "x" * 120, html=f"<p>Grüße</p>\n<a href='{link}'>", text=f"Grüße {link}\n\n"
    )
    return build(decision, rendered, "ada@example.com", SETTINGS, datetime(2026, 3, 2, tzinfo=UTC)).data


MAIL = a_marketing_mail()
SIGNED = SIGNER.sign(MAIL, "shop.example")


def covered(mail: bytes) -> list[bytes]:
    """The headers that the first signature says it covers, in lower case."""
    checked = dkim.DKIM(mail)
    assert checked.verify(dnsfunc=public_key)
    return list(checked.include_headers)


def test_a_mail_that_is_signed_is_otherwise_unchanged() -> None:
    head = SIGNED.removesuffix(MAIL)
    assert head.startswith(b"DKIM-Signature: ")
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert verifies(SIGNED)


def test_everything_that_a_reader_or_a_mailbox_goes_by_is_covered() -> None:
    """Both List-Unsubscribe headers (RFC 8058 section 4), and From twice, so that no other one can be put above it."""
    names = "from from to subject date message-id mime-version content-type"
    names += " list-unsubscribe list-unsubscribe-post list-id feedback-id"
    assert covered(SIGNED) == names.encode().split()


def test_a_header_that_is_not_there_is_not_covered() -> None:
    """Transactional mail has no List headers."""
    signed = SIGNER.sign(b"From: a@shop.example\r\nSubject: x\r\n\r\nhello\r\n", "shop.example")
    assert covered(signed) == [b"from", b"from", b"subject"]


@pytest.mark.parametrize(
    "header",
    ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"],
)
def test_a_header_that_was_changed_breaks_it(header: str) -> None:
    changed = re.sub(rf"(?m)^{header}: ".encode(), f"{header}: x".encode(), SIGNED, count=1)
    assert changed != SIGNED
    assert not verifies(changed)


def test_a_body_that_was_changed_breaks_it() -> None:
    changed = SIGNED.replace(b"<p>", b"<b>")
    assert changed != SIGNED
    with pytest.raises(dkim.ValidationError, match="body hash"):
        verifies(changed)


def test_another_from_breaks_it() -> None:
    assert not verifies(b"From: Somebody <else@bank.example>\r\n" + SIGNED)
    assert not verifies(SIGNED.replace(b"\r\nFrom: ", b"\r\nFrom: Somebody <else@bank.example>\r\nFrom: ", 1))


def test_what_relays_do_to_a_mail_does_not_break_it() -> None:
    """Headers above, lines folded anew, spaces at the ends of lines and empty lines at the end."""
    head, _, body = SIGNED.replace(b"\r\nTo: ", b"\r\nto:\r\n\t ").partition(b"\r\n\r\n")
    body = re.sub(rb"(?<=[^\r\n])\r\n", b" \t\r\n", body)
    assert verifies(b"Received: by relay.example\r\n" + head + b"\r\n\r\n" + body + b"\r\n\r\n")


def test_the_same_mail_gets_the_same_signature() -> None:
    """A repeated mail is the same mail, to the byte."""
    assert SIGNER.sign(MAIL, "shop.example") == SIGNED


def test_a_key_may_stand_in_one_line() -> None:
    assert Signer(PRIVATE.replace("\n", "\\n"), "march").sign(MAIL, "shop.example") == SIGNED


def test_a_key_may_have_either_form_that_openssl_writes() -> None:
    assert Signer(pem(KEY, "TraditionalOpenSSL"), "march").sign(MAIL, "shop.example") == SIGNED


TOO_SHORT = """-----BEGIN RSA PRIVATE KEY-----
MIIBOwIBAAJBANu9VXu6JVLx7ZSpgW91qBCMpT3B4O+x8h7mfLZ4XiqDLLO36Coc
SqAxph7bRbpzlGpNqNuhhzguFQ5R+8bbDdECAwEAAQJBAInLY/SvmUI3Vb24weMs
S9T87Y4Zqz2EQAmijag7OQm8iJxePVyqlqKyD7GrMyyzgkn85W2Kg8J7+4+8kW/M
EIUCIQD4jaZkWoO20op9YyVbkUPhpESAryDSHhtLvObKNCoT1wIhAOJSsFkKxGQ0
WufNVv1KkGzEYkZmuIzOLciHWANRtjaXAiEAndqocFekCzpPxi5vjWYGrIl9EBUp
TQjd4Q4JrSXQC2UCIEUUwEcthiyf3m+Kudauf87zUpvylrpD5K2kwjShKGEZAiBb
5gXJQ+py/C7hNGCEtRDYt63//CPPZdupzaWpjgGigg==
-----END RSA PRIVATE KEY-----
"""
"""Of 512 bits, which anybody can break and no receiver looks at."""
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a key",
        PUBLIC.decode(),
        PRIVATE[:400],
        pem(KEY, password=b"p"),
        pem(ec.generate_private_key(ec.SECP256R1())),
        TOO_SHORT,
    ],
    ids=["none", "no key", "public", "cut off", "with a password", "no RSA key", "too short"],
)
def test_a_key_that_cannot_sign_is_found_out_at_once(key: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_DKIM_KEY") as raised:
        Signer(key, "march")
    assert "BEGIN" not in str(raised.value)


@pytest.mark.parametrize("selector", ["", "a b", "-a", "a;", "a\r\nb"])
def test_a_selector_that_is_no_name_is_found_out_at_once(selector: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_DKIM_SELECTOR"):
        Signer(PRIVATE, selector)


LINES = st.lists(st.text(alphabet="ab .=\t", max_size=12), max_size=8)


@settings(max_examples=50)
@given(
    lines=LINES,
    subject=st.text(alphabet="ab \t", min_size=1, max_size=12),
    folds=LINES,
    end=st.sampled_from(["", " ", "a", "a \t"]),
)
def test_whatever_white_space_a_mail_has_the_other_implementation_agrees(
    lines: list[str], subject: str, folds: list[str], end: str
) -> None:
    """Runs of it, at the ends of lines, in folded headers, in empty bodies, and where the last line has no end."""
    head = "From: a@shop.example\r\nSubject:" + subject + "".join(f"\r\n x{fold}" for fold in folds)
    body = "".join(f"{line}\r\n" for line in lines) + end
    signed = SIGNER.sign(f"{head}\r\n\r\n{body}".encode(), "shop.example")
    assert verifies(signed + (b"\r\n" if end else b""))  # which SMTP puts there
