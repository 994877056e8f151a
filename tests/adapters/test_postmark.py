"""Postmark: the JSON of a mail, its streams, and its documented errors."""

from collections.abc import Iterator

import pytest

from tests.adapters.provider_senders import HEADERS, URLS, connect, marketing_mail, send
from tests.provider_apis import Answer, ProviderApi, postmark
from tidings.adapters.senders import open_sender
from tidings.errors import AddressError, RefusedError, TemporaryError
from tidings.settings import Settings


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    with ProviderApi(postmark) as one:
        yield one


def test_the_mail_is_what_it_is_with_all_its_headers_and_none_of_their_tracking(api: ProviderApi) -> None:
    send(connect(api, "postmark"), marketing_mail())
    assert api.requests[0].json == {
        "From": '"Café \\"Northwind\\", Ltd" <hello@shop.example>',
        "To": "ada@example.com",
        "Subject": "Your lamp ✓",
        "TextBody": "Grüße\n",
        "HtmlBody": "<p>Grüße</p>",
        "Headers": [{"Name": name, "Value": value} for name, value in HEADERS.items()],
        "Tag": "viewed-three-times",
        "Metadata": {"tidings_send_id": "0123456789abcdef" * 2},
        "MessageStream": "broadcast",
        "TrackOpens": False,
        "TrackLinks": "None",
    }


@pytest.mark.parametrize(
    ("path", "kind", "stream"),
    [
        ("/outbound/broadcast", "transactional", "outbound"),
        ("/outbound/broadcast", "marketing", "broadcast"),
        ("/broadcast", "transactional", "broadcast"),
        ("/broadcast", "marketing", "broadcast"),
        ("", "marketing", "outbound"),
    ],
)
def test_a_mail_goes_by_the_stream_of_its_kind(api: ProviderApi, path: str, kind: str, stream: str) -> None:
    url = URLS["postmark"].format(host=api.host).replace("/outbound/broadcast", path)
    send(open_sender(Settings(mail_url=url)), marketing_mail(tags={"rule": "r", "category": "c", "kind": kind}))
    assert api.requests[0].json["MessageStream"] == stream


def test_an_address_that_is_none_is_the_addresss_fault_and_any_other_field_the_mails(api: ProviderApi) -> None:
    with pytest.raises(AddressError, match=r"^postmark says: 422 300\.To$"):
        send(connect(api, "postmark"), marketing_mail(recipient="nobody"))
    with pytest.raises(RefusedError, match=r"^postmark says: 422 300$"):
        send(connect(api, "postmark"), marketing_mail(from_address="nobody"))


def test_an_inactive_recipient_is_not_written_to_and_not_buried_either(api: ProviderApi) -> None:
    """Postmark can activate it again, and its reason may have been one that we do not share: no DeadAddressError."""
    api.answers = [
        Answer(
            422,
            {
                "ErrorCode": 406,
                "Message": "You tried to send to recipient(s) that have been marked as inactive. Found inactive "
                "addresses: ada@example.com. Inactive recipients are ones that have generated a hard bounce, a spam "
                "complaint, or a manual suppression.",
            },
        )
    ]
    with pytest.raises(AddressError, match=r"^postmark says: 422 406$") as raised:
        send(connect(api, "postmark"), marketing_mail())
    assert type(raised.value) is AddressError


@pytest.mark.parametrize("code", [400, 401, 405, 412, 413, 1235, 1236, 1480])
def test_an_account_or_stream_that_may_not_send_is_the_operators_to_mend(api: ProviderApi, code: int) -> None:
    api.answers = [Answer(422, {"ErrorCode": code, "Message": "not now"})]
    with pytest.raises(TemporaryError, match=f"^postmark says: 422 {code}$") as raised:
        send(connect(api, "postmark"), marketing_mail())
    assert type(raised.value) is TemporaryError


def test_maintenance_has_taken_nothing(api: ProviderApi) -> None:
    api.answers = [Answer(503, {"ErrorCode": 100, "Message": "Maintenance"})]
    with pytest.raises(TemporaryError) as raised:
        send(connect(api, "postmark"), marketing_mail())
    assert type(raised.value) is TemporaryError


def test_an_error_inside_a_success_is_an_error(api: ProviderApi) -> None:
    """As in the answers to batches."""
    api.answers = [Answer(200, {"ErrorCode": 406, "Message": "inactive"})]
    with pytest.raises(TemporaryError, match=r"^postmark says: 200 406$"):
        send(connect(api, "postmark"), marketing_mail())
