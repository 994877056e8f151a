"""Providers' samples, and requests that are signed as the providers sign theirs, with keys made on the spot."""

import base64
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tidings.webhooks import sendgrid

SAMPLES = Path(__file__).parent / "samples"
PROVIDERS = ("sendgrid", "ses", "mailgun", "postmark")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"
CERTIFICATE_URL = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
SUBSCRIBE_URL = f"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
MAILGUN_KEY = "a signing key of mailgun"
POSTMARK_KEY = "postmark:a long pass-word"


class Sample(NamedTuple):
    """One documented request: what it says, and what its documentation says that this means."""

    name: str
    source: str
    body: Any
    says: list[dict[str, Any]]
    ignored: dict[str, int]


class Request(NamedTuple):
    """A signed request."""

    body: bytes
    headers: Mapping[str, str]


@cache
def samples(provider: str) -> list[Sample]:
    return [Sample(**one) for one in json.loads((SAMPLES / f"{provider}.json").read_text("utf-8"))]


def sample(provider: str, name: str) -> Any:
    """The body of one sample, to be changed at will."""
    (found,) = (one.body for one in samples(provider) if one.name == name)
    return json.loads(json.dumps(found))


def signed(provider: str, content: Any, at: datetime = NOW) -> Request:
    """The request with which the provider would bring this content."""
    return SIGNERS[provider](content, at)


@cache
def sendgrid_pair() -> tuple[ec.EllipticCurvePrivateKey, str]:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, base64.b64encode(public).decode()


def sign_sendgrid(content: Any, at: datetime) -> Request:
    private, _ = sendgrid_pair()
    body = json.dumps(content, separators=(",", ":")).encode() + b"\r\n"
    timestamp = str(int(at.timestamp()))
    signature = base64.b64encode(private.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return Request(body, {sendgrid.SIGNATURE: signature, sendgrid.TIMESTAMP: timestamp})


@cache
def amazon() -> tuple[rsa.RSAPrivateKey, bytes]:
    """A key, and a certificate of it as SNS hands them out."""
    private = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    valid = builder.not_valid_before(NOW - timedelta(days=30)).not_valid_after(NOW + timedelta(days=300))
    return private, valid.sign(private, SHA256()).public_bytes(Encoding.PEM)


def certificate(url: str) -> bytes:
    """What is at a URL of Amazon's."""
    return amazon()[1] if url == CERTIFICATE_URL else b""


def sign_sns(message: dict[str, str], version: str = "2") -> Request:
    """Sign as https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html describes."""
    fields = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{field}\n{message[field]}\n" for field in fields if field in message)
    hash_ = {"1": SHA1, "2": SHA256}[version]()
    signature = base64.b64encode(amazon()[0].sign(text.encode(), PKCS1v15(), hash_)).decode()
    envelope = {**message, "SignatureVersion": version, "Signature": signature, "SigningCertURL": CERTIFICATE_URL}
    return Request(json.dumps(envelope).encode(), {})


def sns_message(text: str, at: datetime = NOW, **more: str) -> dict[str, str]:
    """What SNS says, before it is signed."""
    moment = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    basics = {"Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": TOPIC, "Message": text}
    return {**basics, "Timestamp": moment, **more}


def sign_ses(content: Any, at: datetime) -> Request:
    return sign_sns(sns_message(json.dumps(content), at))


def sign_mailgun(content: Any, at: datetime, token: str = "") -> Request:
    token, timestamp = token or uuid.uuid4().hex + uuid.uuid4().hex[:18], str(int(at.timestamp()))
    digest = hmac.new(MAILGUN_KEY.encode(), (timestamp + token).encode(), "sha256").hexdigest()
    signature = {"timestamp": timestamp, "token": token, "signature": digest}
    return Request(json.dumps({"signature": signature, **content}).encode(), {})


def sign_postmark(content: Any, at: datetime) -> Request:
    return Request(json.dumps(content).encode(), {"Authorization": basic(POSTMARK_KEY)})


def basic(key: str) -> str:
    return f"Basic {base64.b64encode(key.encode()).decode()}"


SIGNERS = {"sendgrid": sign_sendgrid, "ses": sign_ses, "mailgun": sign_mailgun, "postmark": sign_postmark}


def about(provider: str, content: Any, send_id: str, recipient: str = "ada@example.com") -> Any:
    """The content as if it were about this mail of ours: with our metadata where the provider brings it back."""
    text = json.dumps(content)
    for address in ("example@example.com", "recipient@example.com", "alice@example.com", "john@example.com"):
        text = text.replace(f'"{address}"', json.dumps(recipient))
    content = json.loads(text)
    match provider:
        case "sendgrid":
            return [{**event, "tidings_send_id": send_id} for event in content]
        case "ses":
            mail = content["mail"]
            return {**content, "mail": {**mail, "tags": {**mail.get("tags", {}), "tidings_send_id": [send_id]}}}
        case "mailgun":
            return {"event-data": {**content["event-data"], "user-variables": {"tidings_send_id": send_id}}}
        case _:
            return {**content, "Metadata": {"tidings_send_id": send_id}}
