"""A DKIM key, and what DNS would answer about it."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: str = "PKCS8", password: bytes = b"") -> str:
    """The key as it stands in files."""
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    shape = getattr(serialization.PrivateFormat, form)
    return key.private_bytes(serialization.Encoding.PEM, shape, locked).decode()


KEY = rsa.generate_private_key(65537, 2048)
PRIVATE = pem(KEY)


def public_key(*_: object, **__: object) -> bytes:
    """What DNS would answer."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = KEY.public_key().public_bytes(serialization.Encoding.DER, form)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
