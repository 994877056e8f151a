"""Digests of addresses and people: what may be kept of somebody who must not be known by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.permission.consent import address_digest, erased_marker, is_erased, person_digest
from tidings.settings import SettingsError

SECRET = "a secret of the tests"


class TestAddressDigest:
    """The name of an address on the suppression list."""

    @pytest.mark.parametrize(
        "spelling",
        [
            "ann@example.com",
            "  ann@example.com\n",
            "Ann@Example.COM",
            "ANN@EXAMPLE.COM",
        ],
    )
    def test_spellings_of_one_mailbox_have_one_digest(self, spelling: str) -> None:
        """People type their address in many ways."""
        assert address_digest(spelling, SECRET) == address_digest("ann@example.com", SECRET)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@bücher.example"),
            ("zoe\u0308@example.com", "zo\u00eb@example.com"),
            ("ann@shop.test", "ANN@SHOP.TEST"),
            ("ann@localhost", "Ann@LocalHost "),
            ("not an address", " NOT an address"),
        ],
    )
    def test_unicode_and_broken_addresses_have_one_digest_too(self, one: str, other: str) -> None:
        """A provider reports the ASCII form of a domain, or an address that we would refuse."""
        assert address_digest(one, SECRET) == address_digest(other, SECRET)

    def test_different_mailboxes_have_different_digests(self) -> None:
        """Tags and dots are kept: who they belong to is the provider's business."""
        addresses = [
            "ann@example.com",
            "bob@example.com",
            "ann@example.org",
            "ann+news@example.com",
            "a.nn@example.com",
        ]
        assert len({address_digest(address, SECRET) for address in addresses}) == len(addresses)

    def test_the_digest_depends_on_the_secret(self) -> None:
        """64 hexadecimal characters that nobody can look up without it."""
        digest = address_digest("ann@example.com", SECRET)
        assert digest != address_digest("ann@example.com", SECRET + "!")
        assert len(bytes.fromhex(digest)) == 32

    def test_the_digest_never_changes(self) -> None:
        """A list written years ago must still work."""
        assert address_digest("ann@example.com", "0123456789abcdef") == (
            "9f70eb4f1d9f0194d58bc08c41ce2b3b2e4e580a424a246ce2484484122343df"
        )

    def test_without_a_secret_there_is_no_digest(self) -> None:
        """Anybody could make a list of guesses."""
        with pytest.raises(SettingsError, match="TIDINGS_SECRET"):
            address_digest("ann@example.com", "")

    @given(st.text())
    def test_every_text_has_a_digest(self, text: str) -> None:
        """And the spaces around it do not count. Failing here could put an address into a traceback."""
        assert address_digest(text, SECRET) == address_digest(f" {text}\t", SECRET)

    def test_half_a_surrogate_pair_has_a_digest(self) -> None:
        """Python can hold it, UTF-8 cannot."""
        assert address_digest("\ud800@example.com", SECRET)


class TestPersonDigest:
    """The name under which an erasure is remembered."""

    def test_it_takes_an_id_as_it_stands(self) -> None:
        """`u:Ann` and `u:ann` are two people, unlike two spellings of an address."""
        digests = {person_digest(person, SECRET) for person in ("u:ann", "u:Ann", "a:ann", " u:ann")}
        assert len(digests) == 4
        assert person_digest("u:ann", SECRET) != person_digest("u:ann", SECRET + "!")

    def test_it_never_changes(self) -> None:
        """Whoever was erased years ago must be known again."""
        assert person_digest("u:ann", "0123456789abcdef") == (
            "1bf1188a591d90c27dfb442aa2c895d21fdd50e99a76fa1e804414149a6523ee"
        )

    def test_without_a_secret_there_is_none(self) -> None:
        """Ids are guessed even more easily than addresses."""
        with pytest.raises(SettingsError, match="TIDINGS_SECRET"):
            person_digest("u:ann", "")

    @given(st.text(), st.sampled_from(["", "PERSON ", "person "]))
    def test_no_address_has_the_digest_of_a_person(self, text: str, prefix: str) -> None:
        """What looks like one to us must not look like the other."""
        assert address_digest(prefix + text, SECRET) != person_digest(text, SECRET)


class TestErasedMarker:
    """What stands in the place of an erased address."""

    @given(st.emails())
    def test_it_is_known_by_its_looks_and_holds_no_address(self, address: str) -> None:
        """So that nobody mistakes it for something to mail."""
        marker = erased_marker(address_digest(address, SECRET))
        assert is_erased(marker)
        assert "@" not in marker
        assert not is_erased(address)

    @pytest.mark.parametrize("value", [None, 5, "", "suppressed:", "suppressed:" + "g" * 64, " suppressed:" + "0" * 64])
    def test_nothing_else_is_one(self, value: object) -> None:
        """A digest has 64 hexadecimal characters."""
        assert not is_erased(value)
