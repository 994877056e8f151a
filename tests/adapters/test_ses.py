"""Amazon SES: our bytes in a signed request, where credentials come from, and its documented errors."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.provider_senders import DATA, SEND_ID, connect, marketing_mail, send
from tests.provider_apis import SES_KEY, SES_REGION, SES_SECRET, Answer, ProviderApi, ses
from tidings.adapters.senders import open_sender
from tidings.errors import RefusedError, TemporaryError, UnknownOutcomeError
from tidings.settings import Settings, SettingsError


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    with ProviderApi(ses) as one:
        yield one


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which AWS's tools find none."""
    for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE":
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def test_the_mail_arrives_byte_for_byte_with_tags_for_their_events(api: ProviderApi) -> None:
    """The signature over all of it was checked by the stand-in, or there would be an error."""
    send(connect(api, "ses"), marketing_mail())
    body = api.requests[0].json
    assert base64.b64decode(body["Content"]["Raw"]["Data"]) == DATA
    assert body["Destination"] == {"ToAddresses": ["ada@example.com"]}
    assert body["ConfigurationSetName"] == "events"
    assert {tag["Name"]: tag["Value"] for tag in body["EmailTags"]} == {
        "tidings_send_id": SEND_ID,
        "rule": "viewed-three-times",
        "category": "reminders",
        "kind": "marketing",
        "ses:feedback-id-a": "viewed-three-times",
        "ses:feedback-id-b": "reminders",
    }


@pytest.mark.usefixtures("no_credentials")
def test_credentials_may_come_from_where_awss_tools_look(api: ProviderApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's token of a role goes along."""
    url = f"ses+http://{api.host}?region={SES_REGION}"
    with pytest.raises(SettingsError, match="no AWS key"):
        open_sender(Settings(mail_url=url))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SES_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SES_SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    send(open_sender(Settings(mail_url=url)), marketing_mail())
    assert api.requests[0].headers["X-Amz-Security-Token"] == "a-token"
    assert "ConfigurationSetName" not in api.requests[0].json


@pytest.mark.parametrize(
    ("region", "host"), [("eu-central-1", "email.eu-central-1.amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")]
)
def test_a_region_has_its_endpoint(region: str, host: str) -> None:
    sender = open_sender(Settings(mail_url=f"ses://{SES_KEY}:secret@{region}"))
    assert host in str(sender._api.request("/").url)  # type: ignore[attr-defined]  # nobody there can be asked


ERRORS = [
    (400, "AccountSuspendedException", "your account is suspended", TemporaryError),
    (400, "SendingPausedException", "paused", TemporaryError),
    (400, "MailFromDomainNotVerifiedException", "not verified", TemporaryError),
    (400, "LimitExceededException", "too many", TemporaryError),
    (400, "MessageRejected", "Email address is not verified. The following identities failed: a@b.c", TemporaryError),
    (400, "MessageRejected", "The message contains a virus", RefusedError),
    (400, "BadRequestException", "illegal", RefusedError),
    (400, "Throttling", "Maximum sending rate exceeded", TemporaryError),
    (400, "ThrottlingException", "Daily message quota exceeded", TemporaryError),
    (400, "ExpiredTokenException", "expired", TemporaryError),
    (403, "AccessDeniedException", "not authorized to perform ses:SendEmail", TemporaryError),
    (404, "NotFoundException", "Configuration set <events> does not exist.", TemporaryError),
    (429, "TooManyRequestsException", "too many", TemporaryError),
    (500, "InternalFailure", "unknown", UnknownOutcomeError),
    (503, "ServiceUnavailable", "temporary failure of the server", TemporaryError),
    (503, "SomethingElse", "?", UnknownOutcomeError),
]


@pytest.mark.parametrize("where", ["header", "__type", "code"])
@pytest.mark.parametrize(("status", "name", "message", "fault"), ERRORS, ids=[f"{e[1]}: {e[2]}" for e in ERRORS])
def test_every_documented_error_has_an_owner(
    api: ProviderApi, where: str, status: int, name: str, message: str, fault: type[Exception]
) -> None:
    """Its name may stand in three places, and have things before and after it."""
    answers = {
        "header": Answer(status, {"message": message}, {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/x"}),
        "__type": Answer(status, {"Message": message, "__type": f"com.amazonaws.ses#{name}"}),
        "code": Answer(status, {"message": message, "code": name}),
    }
    api.answers = [answers[where]]
    with pytest.raises(fault, match=f"^ses says: {status} {name}") as raised:
        send(connect(api, "ses"), marketing_mail())
    assert type(raised.value) is fault
