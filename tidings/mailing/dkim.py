"""DKIM signatures (RFC 6376), for mail that leaves by a server that does not sign.

The Python library for this does RSA in Python, at 13 ms for each mail; OpenSSL needs less than one, and what is left
is this page. That library verifies the signatures in the tests.
"""

import base64
import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidings.settings import SettingsError

SIGNED = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
)
"""Of these, what a mail has. RFC 8058 section 4 wants both List-Unsubscribe headers covered, Google the Feedback-ID."""

LEAST_BITS = 1024
"""RFC 8301 section 3.2: verifiers ignore what is shorter. Signers should have 2048."""


class Signer:
    r"""Signs mails with one key. The same mail gets the same signature, so no time is in it.

    Args:
        key: a private RSA key in PEM; `\n` may stand for its line ends, as in variables that hold one line.
        selector: where its public half is, `<selector>._domainkey.<domain>`.

    Raises:
        SettingsError: mail cannot be signed with these.
    """

    def __init__(self, key: str, selector: str) -> None:
        self._key = _load(key)
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", selector):
            raise SettingsError(
                "TIDINGS_DKIM_SELECTOR must be the name before ._domainkey, and come with TIDINGS_DKIM_KEY"
            )
        self._selector = selector

    def sign(self, data: bytes, domain: str) -> bytes:
        """The mail with its signature in front.

        Relaxed canonicalisation of both parts: relays fold headers anew and trim lines, and that shall not break it.

        Args:
            data: the mail, with CRLF line ends.
            domain: that of its From header, with which the signature has to agree (DMARC).
        """
        head, _, body = data.partition(b"\r\n\r\n")
        headers = dict(map(_relaxed_header, re.split(rb"\r\n(?![ \t])", head)))
        names = [name for name in SIGNED if name.lower().encode() in headers]
        digest = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
        signature = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d={domain}; s={self._selector};\r\n"
            # From twice: who adds another one breaks the signature (section 8.15).
            f" h={_folded(':'.join(['From', *names]), ':')};\r\n bh={digest};\r\n b="
        ).encode()
        lines = [*(headers[name.lower().encode()] for name in names), _relaxed_header(signature)[1]]
        signed = self._key.sign(b"\r\n".join(lines), PKCS1v15(), hashes.SHA256())
        return signature + _folded(base64.b64encode(signed).decode()).encode() + b"\r\n" + data


def _load(key: str) -> RSAPrivateKey:
    try:
        loaded = load_pem_private_key(key.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise SettingsError("TIDINGS_DKIM_KEY must be a private RSA key in PEM, without a password") from None
    if not isinstance(loaded, RSAPrivateKey) or loaded.key_size < LEAST_BITS:
        raise SettingsError(f"TIDINGS_DKIM_KEY must be an RSA key of at least {LEAST_BITS} bits, better 2048")
    return loaded


def _relaxed_header(line: bytes) -> tuple[bytes, bytes]:
    """Name and canonical line (section 3.4.2). An unfolded value has single spaces, and none at its ends."""
    name, _, value = line.partition(b":")
    name = name.strip().lower()
    return name, name + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4: single spaces, none before a line's end, and no empty lines at the end of all."""
    body = re.sub(rb"[ \t]{2,}|\t", b" ", body).replace(b" \r\n", b"\r\n").rstrip(b" ").rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _folded(text: str, after: str = "") -> str:
    """The text in lines of no more than 72 characters; they may end anywhere, or only after one of `after`."""
    pattern = rf".{{1,71}}(?:{after}|$)" if after else r".{1,72}"
    return "\r\n  ".join(re.findall(pattern, text))
