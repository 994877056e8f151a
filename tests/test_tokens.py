"""An unsubscribe link says who, what and which mail, and only we can write one."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.settings import SettingsError
from tidings.tokens import (
    Confirmation,
    Hit,
    Preferences,
    Unsubscribe,
    read_confirmation,
    read_hit,
    read_preferences,
    read_unsubscribe,
    read_unsubscribe_subject,
    sign_confirmation,
    sign_hit,
    sign_preferences,
    sign_unsubscribe,
    unsubscribe_subject,
)

SECRET = "a secret of the right length"
TOKEN = sign_unsubscribe("u:ada", "cart", "0" * 32, SECRET)


@settings(deadline=None)
@given(person=st.text(), category=st.text(), send_id=st.text())
def test_what_is_signed_can_be_read_back(person: str, category: str, send_id: str) -> None:
    """Any person, category and send survive the trip."""
    token = sign_unsubscribe(person, category, send_id, SECRET)
    assert read_unsubscribe(token, SECRET) == Unsubscribe(person, category, send_id)


def test_a_token_fits_into_a_link_without_escaping() -> None:
    """Letters, digits and three marks: no mail client has a reason to change it."""
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(TOKEN) < 200


@settings(deadline=None)
@given(st.text())
def test_what_we_never_signed_is_nobody(garbage: str) -> None:
    """Garbage is answered with None, and never with an exception."""
    assert read_unsubscribe(garbage, SECRET) is None


@settings(deadline=None)
@given(at=st.integers(0, len(TOKEN.rpartition(".")[0]) - 1), letter=st.sampled_from("ABCDabcd0123-_"))
def test_a_changed_payload_is_refused(at: int, letter: str) -> None:
    """Nobody can make a link for somebody else out of their own."""
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    assert changed == TOKEN or read_unsubscribe(changed, SECRET) is None


SIGNED = {
    read_unsubscribe: TOKEN,
    read_preferences: sign_preferences(Preferences("u:ada", "0" * 32), SECRET),
    read_confirmation: sign_confirmation(Confirmation("erase", "u:ada", "", "0" * 32, 1), SECRET),
    read_hit: sign_hit(Hit("0" * 32, 3), SECRET),
}


@pytest.mark.parametrize("read", SIGNED)
def test_a_link_for_one_purpose_is_worth_nothing_for_another(read) -> None:
    """The link at the end of every mail must not be one that erases."""
    assert [other for other, token in SIGNED.items() if read(token, SECRET)] == [read]


@pytest.mark.parametrize("at", range(30))
def test_a_changed_byte_of_a_hit_is_refused(at: int) -> None:
    """Whichever mail, link or signature it says instead."""
    said = bytearray(base64.urlsafe_b64decode(SIGNED[read_hit]))
    said[at] ^= 1
    assert read_hit(base64.urlsafe_b64encode(said).decode(), SECRET) is None


def test_another_secret_reads_nothing() -> None:
    """A link from another installation is not ours."""
    assert read_unsubscribe(TOKEN, "another secret altogether") is None


def test_a_malleable_last_character_changes_nothing() -> None:
    """base64url leaves spare bits in the last character; whoever turns them still says the same thing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    readings = {read_unsubscribe(TOKEN[:-1] + letter, SECRET) for letter in alphabet}
    assert readings == {None, Unsubscribe("u:ada", "cart", "0" * 32)}


def test_without_a_secret_nothing_is_signed() -> None:
    """An empty secret would let anybody forge links, so it is the operator's fault and says so."""
    with pytest.raises(SettingsError, match="TIDINGS_SECRET"):
        sign_unsubscribe("u:ada", "cart", "0" * 32, "")


@settings(deadline=None)
@given(person=st.text(), category=st.text())
@pytest.mark.parametrize("written", ["{}", "Re: {}", "  {}  please", "RE: {}\r\n"])
def test_the_subject_of_a_mail_that_unsubscribes_brings_its_token(person: str, category: str, written: str) -> None:
    """Whatever a mail program puts around it."""
    token = sign_unsubscribe(person, category, "0" * 32, SECRET)
    assert read_unsubscribe_subject(written.format(unsubscribe_subject(token))) == token


def test_a_subject_typed_by_hand_is_read_and_any_other_is_not() -> None:
    """`unsubscribe` alone says nothing about whom."""
    assert read_unsubscribe_subject(f"Unsubscribe: {TOKEN}") == TOKEN
    for subject in ("", "unsubscribe", "unsubscribe:", "Please unsubscribe me", TOKEN):
        assert read_unsubscribe_subject(subject) is None
