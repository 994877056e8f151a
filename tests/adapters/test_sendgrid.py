"""SendGrid: the JSON of a mail, and its documented errors."""

from collections.abc import Iterator

import pytest

from tests.adapters.provider_senders import HEADERS, connect, marketing_mail, send
from tests.provider_apis import Answer, ProviderApi, sendgrid
from tidings.errors import AddressError, RefusedError, TemporaryError, UnknownOutcomeError


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    with ProviderApi(sendgrid) as one:
        yield one


def test_the_mail_is_what_it_is_with_all_its_headers_and_none_of_their_tracking(api: ProviderApi) -> None:
    send(connect(api, "sendgrid"), marketing_mail())
    assert api.requests[0].json == {
        "personalizations": [{"to": [{"email": "ada@example.com"}]}],
        "from": {"email": "hello@shop.example", "name": 'Café "Northwind", Ltd'},
        "subject": "Your lamp ✓",
        "content": [{"type": "text/plain", "value": "Grüße\n"}, {"type": "text/html", "value": "<p>Grüße</p>"}],
        "headers": HEADERS,
        "categories": ["marketing", "reminders", "viewed-three-times"],
        "custom_args": {"tidings_send_id": "0123456789abcdef" * 2},
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
            "ganalytics": {"enable": False},
        },
    }


def test_a_sender_without_a_name_has_none(api: ProviderApi) -> None:
    send(connect(api, "sendgrid"), marketing_mail(from_name=""))
    assert api.requests[0].json["from"] == {"email": "hello@shop.example"}


def test_an_address_that_is_none_is_the_addresss_fault(api: ProviderApi) -> None:
    with pytest.raises(AddressError, match=r"^sendgrid says: 400 personalizations\.0\.to\.0\.email$"):
        send(connect(api, "sendgrid"), marketing_mail(recipient="nobody"))


def test_any_other_field_at_fault_is_the_mails(api: ProviderApi) -> None:
    with pytest.raises(RefusedError, match=r"^sendgrid says: 400 subject$"):
        send(connect(api, "sendgrid"), marketing_mail(subject=""))


def test_an_api_that_is_not_available_has_taken_nothing(api: ProviderApi) -> None:
    api.answers = [Answer(503, {"errors": [{"message": "Service Unavailable", "field": None}]})]
    with pytest.raises(TemporaryError, match="503") as raised:
        send(connect(api, "sendgrid"), marketing_mail())
    assert type(raised.value) is TemporaryError


def test_the_sandboxs_success_is_none(api: ProviderApi) -> None:
    """200 is documented as: valid, and not queued."""
    api.answers = [Answer(200)]
    with pytest.raises(UnknownOutcomeError):
        send(connect(api, "sendgrid"), marketing_mail())
