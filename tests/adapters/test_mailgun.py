"""Mailgun: our bytes in a form, and its documented errors."""

from collections.abc import Iterator

import pytest

from tests.adapters.provider_senders import DATA, connect, marketing_mail, send
from tests.provider_apis import Answer, ProviderApi, mailgun
from tidings.errors import AddressError, TemporaryError, UnknownOutcomeError


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    with ProviderApi(mailgun) as one:
        yield one


def test_the_mail_arrives_byte_for_byte_and_is_not_tracked(api: ProviderApi) -> None:
    send(connect(api, "mailgun"), marketing_mail())
    assert api.requests[0].form == (
        {
            "to": ["ada@example.com"],
            "o:tag": ["marketing", "reminders", "viewed-three-times"],
            "o:tracking": ["no"],
            "o:tracking-clicks": ["no"],
            "o:tracking-opens": ["no"],
            "v:tidings_send_id": ["0123456789abcdef" * 2],
        },
        {"message": DATA},
    )


def test_an_address_that_is_none_is_the_addresss_fault(api: ProviderApi) -> None:
    with pytest.raises(AddressError, match=r"^mailgun says: 400 to$"):
        send(connect(api, "mailgun"), marketing_mail(recipient="nobody"))


def test_a_sandbox_that_writes_to_nobody_is_the_operators_to_change(api: ProviderApi) -> None:
    message = "Sandbox subdomains are for test purposes only. Please add your own domain or add the address to ..."
    api.answers = [Answer(400, {"message": message})]
    with pytest.raises(TemporaryError, match=r"^mailgun says: 400 sandbox$"):
        send(connect(api, "mailgun"), marketing_mail())


def test_no_5xx_of_theirs_says_that_nothing_was_sent(api: ProviderApi) -> None:
    api.answers = [Answer(503, {"message": "later"})]
    with pytest.raises(UnknownOutcomeError, match=r"^mailgun says: 503 -$"):
        send(connect(api, "mailgun"), marketing_mail())
