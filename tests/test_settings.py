"""The environment, turned into settings."""

import pytest

from tidings import settings
from tidings.settings import Settings, SettingsError


def test_without_an_environment_everything_has_a_default() -> None:
    assert settings.load({}) == Settings()


def test_keys_are_separated_by_commas() -> None:
    assert settings.load({"TIDINGS_WRITE_KEYS": " web, app ,,"}).write_keys == ("web", "app")


@pytest.mark.parametrize(
    ("written", "roles"),
    [
        ("", {}),
        ("support=help@example.com", {"support": "help@example.com"}),
        (
            " support = help@example.com , sales=sales@example.com,",
            {"support": "help@example.com", "sales": "sales@example.com"},
        ),
    ],
)
def test_roles_are_names_with_addresses(written: str, roles: dict[str, str]) -> None:
    assert settings.load({"TIDINGS_ROLES": written}).roles == roles


@pytest.mark.parametrize("written", ["ann@shop.example", "desk=", "=ann@shop.example", "desk=ann@shop.example,sales"])
def test_a_role_without_a_name_or_an_address_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_ROLES must look like") as refused:
        settings.load({"TIDINGS_ROLES": written})
    assert written not in str(refused.value)


@pytest.mark.parametrize("written", ["10", "100"])
def test_deliveries_are_counted_in_whole_numbers(written: str) -> None:
    assert settings.load({"TIDINGS_DELIVERY_ATTEMPTS": written}).delivery_attempts == int(written)


@pytest.mark.parametrize("written", ["", "9", "101", "-20", "20.5", "many", "\u0665\u0665"])
def test_what_pubsub_would_not_take_as_a_number_of_deliveries_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_DELIVERY_ATTEMPTS must be a whole number from 10 to 100"):
        settings.load({"TIDINGS_DELIVERY_ATTEMPTS": written})


@pytest.mark.parametrize("written", ["9", "601", "1e2"])
def test_a_lease_is_as_long_as_pubsub_may_wait_for_an_answer(written: str) -> None:
    assert settings.load({"TIDINGS_LEASE_SECONDS": "600"}).lease_seconds == 600
    with pytest.raises(SettingsError, match="TIDINGS_LEASE_SECONDS must be a whole number from 10 to 600"):
        settings.load({"TIDINGS_LEASE_SECONDS": written})


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="TIDINGS_SECRET"):
        settings.load({"TIDINGS_SECRET": "too short"})
