"""What holds for every provider's API: a mail leaves once, and what became of it is told precisely."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.adapters.provider_senders import APIS, DATA, SEND_ID, URLS, connect, marketing_mail, send
from tests.provider_apis import VANISH, Answer, ProviderApi
from tidings.adapters.senders import open_sender
from tidings.errors import (
    AddressError,
    RefusedError,
    StoreError,
    TemporaryError,
    UnknownOutcomeError,
)
from tidings.settings import Settings

pytestmark = pytest.mark.parametrize("provider", APIS)


@pytest.fixture
def api(provider: str) -> Iterator[ProviderApi]:
    with ProviderApi(APIS[provider]) as one:
        yield one


def test_a_mail_is_announced_once_and_leaves_once(api: ProviderApi, provider: str) -> None:
    """And it is announced before the request is made."""
    seen: list[int] = []

    def leave() -> float:
        seen.append(len(api.requests))
        return 5.0

    sender = connect(api, provider)
    sender.send(marketing_mail(), leave)
    assert (sender.provider, seen, len(api.requests)) == (provider, [0], 1)


def test_who_cannot_announce_does_not_send(api: ProviderApi, provider: str) -> None:
    def fail() -> float:
        raise StoreError("no store")

    with pytest.raises(StoreError):
        connect(api, provider).send(marketing_mail(), fail)
    assert api.requests == []


def test_mails_share_a_connection(api: ProviderApi, provider: str) -> None:
    """After a refusal too."""
    sender = connect(api, provider)
    send(sender, marketing_mail())
    with pytest.raises((AddressError, RefusedError)):
        send(sender, marketing_mail(recipient="nobody"))
    send(sender, marketing_mail())
    assert (len(api.requests), api.connections) == (3, 1)


def test_the_send_id_goes_along_under_the_name_that_webhooks_bring_back(api: ProviderApi, provider: str) -> None:
    """Once as that name's value."""
    send(connect(api, provider), marketing_mail())
    [request] = api.requests
    brought_back = {
        "sendgrid": lambda: request.json["custom_args"]["tidings_send_id"],
        "postmark": lambda: request.json["Metadata"]["tidings_send_id"],
        "mailgun": lambda: request.form[0]["v:tidings_send_id"][0],
        "ses": lambda: {tag["Name"]: tag["Value"] for tag in request.json["EmailTags"]}["tidings_send_id"],
    }
    assert brought_back[provider]() == SEND_ID


@pytest.mark.parametrize("status", [401, 402, 403, 404, 407, 408, 409, 429])
def test_keys_accounts_and_limits_are_not_the_mails_fault(api: ProviderApi, provider: str, status: int) -> None:
    """The operator can mend them, or time does; the mail waits."""
    api.answers = [Answer(status, "a page for people", {"Retry-After": "30"})]
    with pytest.raises(TemporaryError, match=f"^{provider} says: {status} -$") as raised:
        send(connect(api, provider), marketing_mail())
    assert type(raised.value) is TemporaryError


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_a_provider_wants_to_be_left_alone_is_known(api: ProviderApi, provider: str, status: int) -> None:
    """In seconds, or until a date by its own clock; also where a 503 says nothing about the mail itself."""

    def told(value: str) -> timedelta | None:
        api.answers = [Answer(status, "a page for people", {"Retry-After": value})]
        with pytest.raises(TemporaryError) as raised:
            send(connect(api, provider), marketing_mail())
        return raised.value.retry_after

    assert told("30") == timedelta(seconds=30)
    by_date = told(format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True))
    assert by_date
    assert timedelta(minutes=29) < by_date <= timedelta(minutes=30)
    assert told("soon") is None


@pytest.mark.parametrize("status", [401, 409, 500])
def test_with_any_other_answer_it_is_not_about_everybody(api: ProviderApi, provider: str, status: int) -> None:
    api.answers = [Answer(status, None, {"Retry-After": "30"})]
    with pytest.raises(TemporaryError) as raised:
        send(connect(api, provider), marketing_mail())
    assert raised.value.retry_after is None


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_request_that_can_never_pass_is_refused_for_good(api: ProviderApi, provider: str, status: int) -> None:
    api.answers = [Answer(status, {"message": "too large"})]
    with pytest.raises(RefusedError, match=f"^{provider} says: {status} -$"):
        send(connect(api, provider), marketing_mail())


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_of_the_providers_own_leaves_the_outcome_unknown(api: ProviderApi, provider: str, status: int) -> None:
    """It may have happened after the mail was taken; it is not asked again."""
    api.answers = [Answer(status, "<html>Bad Gateway</html>")]
    with pytest.raises(UnknownOutcomeError, match=f"^{provider} says: {status} -$"):
        send(connect(api, provider), marketing_mail())
    assert len(api.requests) == 1


@pytest.mark.parametrize("body", ["<html>Sign in to this network</html>", {}, [], None])
def test_a_success_that_is_not_the_providers_own_is_none(api: ProviderApi, provider: str, body: object) -> None:
    """A proxy's page, or the sandbox's answer."""
    api.answers = [Answer(200, body)]
    with pytest.raises(UnknownOutcomeError, match=f"^{provider} says: 200 -$"):
        send(connect(api, provider), marketing_mail())


def test_a_redirect_is_not_followed(api: ProviderApi, provider: str) -> None:
    """The key and the mail are for the host that the operator has named."""
    api.answers = [Answer(307, None, {"Location": f"http://{api.host}/elsewhere"})]
    with pytest.raises(TemporaryError, match="307") as raised:
        send(connect(api, provider), marketing_mail())
    assert type(raised.value) is TemporaryError
    assert len(api.requests) == 1


def test_a_connection_that_breaks_before_the_answer_leaves_the_outcome_unknown(api: ProviderApi, provider: str) -> None:
    api.answers = [VANISH]
    with pytest.raises(UnknownOutcomeError, match=f"no answer from {provider}: RemoteProtocolError"):
        send(connect(api, provider), marketing_mail())
    assert len(api.requests) == 1


def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(api: ProviderApi, provider: str) -> None:
    api.pause = 1
    with pytest.raises(UnknownOutcomeError, match=f"no answer from {provider}: ReadTimeout"):
        send(connect(api, provider), marketing_mail(), patience=0.2)


def test_a_provider_that_cannot_be_reached_has_certainly_not_taken_it(provider: str) -> None:
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        sender = open_sender(Settings(mail_url=URLS[provider].format(host=f"127.0.0.1:{bound.getsockname()[1]}")))
        with pytest.raises(TemporaryError, match=f"cannot reach {provider}: ConnectError") as raised:
            send(sender, marketing_mail())
    assert type(raised.value) is TemporaryError


def test_without_tls_nothing_leaves_unless_the_scheme_says_so(api: ProviderApi, provider: str) -> None:
    """A handshake that fails is known to have come before the mail."""
    url = URLS[provider].format(host=api.host).replace("+http", "")
    with pytest.raises(TemporaryError, match=f"cannot reach {provider}: ConnectError") as raised:
        send(open_sender(Settings(mail_url=url)), marketing_mail())
    assert (type(raised.value), api.requests) == (TemporaryError, [])


def test_a_wrong_key_is_found_out_and_not_repeated_in_the_error(api: ProviderApi, provider: str) -> None:
    url = URLS[provider].format(host=api.host).replace("@", "x@", 1)
    with pytest.raises(TemporaryError, match=r"40[13]") as raised:
        send(open_sender(Settings(mail_url=url)), marketing_mail())
    assert type(raised.value) is TemporaryError
    assert len(str(raised.value)) < 60


def test_what_a_provider_says_about_an_address_is_in_no_error(api: ProviderApi, provider: str) -> None:
    """Errors end up in logs."""
    said = "ada@example.com does not exist"
    api.answers = [
        Answer(400, {"message": said, "errors": [{"field": said, "message": said}], "ErrorCode": said, "__type": said})
    ]
    with pytest.raises(RefusedError) as raised:
        send(connect(api, provider), marketing_mail())
    assert "ada" not in str(raised.value)


def test_a_closed_sender_has_let_go_of_its_connections(api: ProviderApi, provider: str) -> None:
    sender = connect(api, provider)
    send(sender, marketing_mail())
    sender.close()
    with pytest.raises(RuntimeError, match="closed"):
        send(sender, marketing_mail())


def test_the_mail_that_is_tried_here_is_worth_trying(provider: str) -> None:
    """It has lines that a careless form or a mail server would change."""
    assert b"\r\n.a dot\r\n--a line" in DATA
    assert DATA.endswith(b"trailing \r\n\r\n")
