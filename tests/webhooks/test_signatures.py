"""Who is let in: what a provider has signed is accepted, and nothing else is."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.webhooks import requests
from tests.webhooks.requests import MAILGUN_KEY, NOW, POSTMARK_KEY, TOPIC, Request, Sample, basic, samples, signed
from tidings.errors import InvalidEventError
from tidings.settings import SettingsError
from tidings.webhooks import mailgun, postmark, sendgrid, ses
from tidings.webhooks.reports import AGE, AHEAD, ForgedError, from_epoch

PUBLISHED_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpV"
    "KS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
PUBLISHED_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
PUBLISHED_TIMESTAMP = "1600112502"
PUBLISHED_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
"""The signed sample of SendGrid's own SDK: github.com/sendgrid/sendgrid-python, test/unit/test_eventwebhook.py."""


def params(provider: str) -> list[Any]:
    return [pytest.param(one, id=one.name) for one in samples(provider)]


def flipped(data: bytes, seed: int | None = None) -> Iterator[bytes]:
    """The data with one bit of one byte the other way round: at every place, or at 20 places when there is a seed."""
    dice = random.Random(seed)
    for place in range(len(data)) if seed is None else dice.sample(range(len(data)), min(20, len(data))):
        yield data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


def refused(check: Callable[[], object]) -> str:
    with pytest.raises(ForgedError) as error:
        check()
    return error.value.reason


# SendGrid


def sendgrid_check(request: Request, **other: Any) -> Callable[[], None]:
    _, key = requests.sendgrid_pair()
    asked = {
        "body": request.body,
        "signature": request.headers[sendgrid.SIGNATURE],
        "timestamp": request.headers[sendgrid.TIMESTAMP],
        "key": key,
        "now": NOW,
        **other,
    }
    return lambda: sendgrid.verify(**asked)


def published(body: bytes = PUBLISHED_BODY, **other: Any) -> Callable[[], None]:
    now = from_epoch(int(PUBLISHED_TIMESTAMP))
    asked = {"signature": PUBLISHED_SIGNATURE, "timestamp": PUBLISHED_TIMESTAMP, "key": PUBLISHED_KEY, "now": now}
    return lambda: sendgrid.verify(body, **{**asked, **other})


def test_the_signed_sample_that_sendgrid_publishes_is_accepted() -> None:
    published()()
    (report,) = sendgrid.parse(PUBLISHED_BODY).reports
    assert (report.kind, report.verdict, report.note) == ("bounced", "address", "dropped, bounced address")


def test_the_published_sample_is_refused_with_any_byte_flipped_and_without_its_line_end() -> None:
    for body in flipped(PUBLISHED_BODY):
        assert refused(published(body)) == "bad_signature"
    assert refused(published(PUBLISHED_BODY.strip())) == "bad_signature"
    assert refused(published(timestamp="1600112503")) == "bad_signature"


@pytest.mark.parametrize("sample", params("sendgrid"))
def test_a_flipped_byte_of_sendgrid_is_refused(sample: Sample) -> None:
    request = signed("sendgrid", sample.body)
    sendgrid_check(request)()
    for body in flipped(request.body, seed=1):
        assert refused(sendgrid_check(request, body=body)) == "bad_signature"
    for header in flipped(request.headers[sendgrid.SIGNATURE].encode(), seed=2):
        assert refused(sendgrid_check(request, signature=header.decode("latin-1"))) == "bad_signature"


def test_another_key_of_sendgrid_opens_nothing() -> None:
    assert refused(sendgrid_check(signed("sendgrid", []), key=PUBLISHED_KEY)) == "bad_signature"


ANOTHER_CURVE = base64.b64encode(
    ec.generate_private_key(ec.SECP384R1())
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


@pytest.mark.parametrize(
    "key",
    ["", "no key", base64.b64encode(b"no key").decode(), PUBLISHED_KEY[:-8], ANOTHER_CURVE],
    ids=["none", "no key", "nothing inside", "cut off", "another curve"],
)
def test_what_is_no_key_of_sendgrid_is_told_to_the_operator(key: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_HOOKS") as error:
        sendgrid.public_key(key)
    assert not key or key not in str(error.value)


# Amazon


def ses_check(request: Request, topic: str = TOPIC, **other: Any) -> Callable[[], None]:
    asked = {"certificate": requests.certificate, "now": NOW, **other}
    return lambda: ses.verify(request.body, topic, **asked)


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_amazons_signature_are_accepted(version: str) -> None:
    ses_check(requests.sign_sns(requests.sns_message("Hello", Subject="A subject"), version))()


@pytest.mark.parametrize("sample", params("ses"))
def test_a_flipped_byte_of_amazon_is_refused_or_changes_nothing(sample: Sample) -> None:
    """Not all of a message is signed; what is not, is not read, or leads nowhere else."""
    request = signed("ses", sample.body)
    ses_check(request)()
    meant = ses.parse(request.body)
    unharmed = 0
    for body in flipped(request.body, seed=3):
        try:
            ses_check(Request(body, {}))()
        except (ForgedError, InvalidEventError):
            continue
        unharmed += 1
        assert ses.parse(body) == meant
    assert unharmed < 5


@pytest.mark.parametrize(
    "field", ["Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature", "SigningCertURL"]
)
def test_a_flipped_byte_in_what_amazon_signs_is_refused_wherever_it_is(field: str) -> None:
    message = json.loads(signed("ses", samples("ses")[0].body).body)
    for value in flipped(message[field].encode(), seed=4):
        forged = {**message, field: value.decode("latin-1")}
        assert refused(ses_check(Request(json.dumps(forged).encode(), {})))


def test_nothing_is_fetched_for_a_strangers_topic() -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return requests.certificate(url)

    request = signed("ses", samples("ses")[0].body)
    assert refused(ses_check(request, topic=TOPIC + "2", certificate=fetch)) == "wrong_topic"
    assert fetched == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-a.pem",
        "https://evil.example/sns.us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com@evil.example/SimpleNotificationService-a.pem",
        "https://evil.example#sns.us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com:444/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-a.pem?x=.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-a.txt",
        "https://sns.us-west-2.amazonaws.com/a/SimpleNotificationService-a.pem",
        "https://s3.us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-a.pem\n",
        # A bucket called sns, at an old address of S3's; and other regions than the topic's.
        "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-west-2.amazonaws.com.cn/SimpleNotificationService-a.pem",
        "",
    ],
)
def test_a_certificate_comes_from_amazon_or_not_at_all(url: str) -> None:
    message = json.loads(signed("ses", samples("ses")[0].body).body)
    forged = Request(json.dumps({**message, "SigningCertURL": url}).encode(), {})

    def fetch(url: str) -> bytes:
        pytest.fail(f"{url} was fetched")

    assert refused(ses_check(forged, certificate=fetch)) == "bad_certificate"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-west-2.amazonaws.com@evil.example/?Action=ConfirmSubscription",
        "https://sns.s3-us-west-2.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-west-2.amazonaws.com/elsewhere?Action=ConfirmSubscription",
        "https://sns.us-west-2.amazonaws.com/?Action=Confirm Subscription",
        "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription\n",
        "",
    ],
)
def test_nothing_is_visited_but_where_the_topic_is_at_home(url: str) -> None:
    confirmation = {**requests.sns_message("Hello"), "Type": "SubscriptionConfirmation", "SubscribeURL": url}
    assert refused(lambda: ses.subscription(json.dumps(confirmation).encode(), TOPIC)) == "bad_confirmation"


def test_a_topic_is_at_home_in_its_region_and_in_its_part_of_the_world() -> None:
    assert ses.home("arn:aws:sns:eu-west-1:123456789012:mail") == "https://sns.eu-west-1.amazonaws.com"
    assert ses.home("arn:aws-cn:sns:cn-north-1:123456789012:mail") == "https://sns.cn-north-1.amazonaws.com.cn"
    with pytest.raises(SettingsError, match="ses"):
        ses.home("https://sns.eu-west-1.amazonaws.com/mail")


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_signs_nothing(pem: bytes) -> None:
    request = signed("ses", samples("ses")[0].body)
    assert refused(ses_check(request, certificate=lambda url: pem)) == "bad_certificate"


def test_a_topic_is_confirmed_where_amazon_says_so() -> None:
    """The message is the documented one."""
    text = f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm the subscription, visit the SubscribeURL."
    more = {"Type": "SubscriptionConfirmation", "SubscribeURL": requests.SUBSCRIBE_URL, "Token": "2336412f37"}
    request = requests.sign_sns(requests.sns_message(text, **more), "1")
    ses_check(request)()
    assert ses.subscription(request.body, TOPIC) == requests.SUBSCRIBE_URL
    assert ses.parse(request.body).reports == []
    assert ses.subscription(signed("ses", samples("ses")[0].body).body, TOPIC) == ""


def test_amazons_greeting_to_a_new_topic_says_nothing() -> None:
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert dict(ses.parse(requests.sign_sns(requests.sns_message(text)).body).ignored) == {"text": 1}


# Mailgun


def mailgun_check(body: bytes, **other: Any) -> Callable[[], str]:
    asked = {"key": MAILGUN_KEY, "now": NOW, **other}
    return lambda: mailgun.verify(body, **asked)


@pytest.mark.parametrize("sample", params("mailgun"))
def test_a_flipped_byte_of_mailguns_signature_is_refused(sample: Sample) -> None:
    """Mailgun signs a time and a token, and nothing of the event: `test_hooks_again` has what stands against that."""
    body = signed("mailgun", sample.body).body
    mailgun_check(body)()
    message = json.loads(body)
    for field, value in message["signature"].items():
        for other in flipped(value.encode(), seed=5):
            forged = {**message, "signature": {**message["signature"], field: other.decode("latin-1")}}
            assert refused(mailgun_check(json.dumps(forged).encode())) == "bad_signature"
    assert refused(mailgun_check(body, key="another key")) == "bad_signature"


def test_a_digit_that_wanders_from_time_to_token_is_refused_although_it_is_signed() -> None:
    message = json.loads(signed("mailgun", samples("mailgun")[1].body).body)
    both = message["signature"]["timestamp"] + message["signature"]["token"]
    for length in (*range(10), *range(11, 20)):
        moved = {**message["signature"], "timestamp": both[:length], "token": both[length:]}
        assert refused(mailgun_check(json.dumps({**message, "signature": moved}).encode())) in {
            "bad_signature",
            "too_old",
        }


# Postmark


def test_a_flipped_byte_of_postmarks_credentials_is_refused() -> None:
    """Postmark signs nothing, so nothing else of a request can be checked."""
    postmark.verify(basic(POSTMARK_KEY), POSTMARK_KEY)
    for header in flipped(basic(POSTMARK_KEY).encode()):
        text = header.decode("latin-1")
        if text.lower() != basic(POSTMARK_KEY).lower() or not text.endswith(basic(POSTMARK_KEY)[6:]):
            assert refused(lambda text=text: postmark.verify(text, POSTMARK_KEY)) == "bad_credentials"  # type: ignore[misc]


@pytest.mark.parametrize("header", ["", "Basic", "Basic ", "Bearer x", basic("postmark:"), basic(""), "Basic ünö"])
def test_without_credentials_nobody_is_let_in(header: str) -> None:
    assert refused(lambda: postmark.verify(header, POSTMARK_KEY)) == "bad_credentials"


# Time


@pytest.mark.parametrize("late", [AGE + timedelta(seconds=1), -AHEAD - timedelta(seconds=1)])
def test_what_was_signed_too_long_ago_or_in_the_future_is_refused(late: timedelta) -> None:
    at = NOW - late
    assert refused(sendgrid_check(requests.sign_sendgrid([], at))) == "too_old"
    assert refused(ses_check(requests.sign_ses({}, at))) == "too_old"
    assert refused(mailgun_check(requests.sign_mailgun({}, at).body)) == "too_old"


def test_what_a_provider_has_tried_for_a_day_is_accepted() -> None:
    at = NOW - timedelta(hours=24)
    sendgrid_check(requests.sign_sendgrid([], at))()
    ses_check(requests.sign_ses({}, at))()
    mailgun_check(requests.sign_mailgun({}, at).body)()
