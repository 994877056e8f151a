"""No consent, no marketing mail."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import NOON, at
from tidings.consent import (
    SALE_AND_SHARING,
    address_digest,
    erased_marker,
    from_event,
    is_erased,
    permission,
    person_digest,
)
from tidings.errors import InvalidEventError
from tidings.events import Event, decode, encode
from tidings.feedback import Origin
from tidings.settings import SettingsError
from tidings.store import ConsentAction, ConsentRecord

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


def record(category: str, given: bool, seconds: float) -> ConsentRecord:
    name = f"{category}-{given}-{seconds}"
    return ConsentRecord(
        record_id=name,
        person="u:1",
        category=category,
        action="given" if given else "withdrawn",
        at=at(seconds),
        source="event",
    )


YES, NO = True, False
MARKETING, NEWS, OTHER = "marketing", "news", "other"


class TestPermission:
    """May this person get this mail?"""

    @pytest.mark.parametrize(
        ("history", "answer"),
        [
            ([], "no_consent"),
            ([(MARKETING, YES)], None),
            ([(NEWS, YES)], None),
            ([(OTHER, YES)], "no_consent"),
            ([(MARKETING, NO)], "opted_out"),
            ([(NEWS, NO)], "opted_out"),
            ([(OTHER, NO)], "no_consent"),
            ([(MARKETING, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (MARKETING, YES)], None),
            ([(MARKETING, YES), (NEWS, NO)], "opted_out"),
            ([(NEWS, NO), (MARKETING, YES)], "opted_out"),
            ([(NEWS, NO), (MARKETING, YES), (NEWS, YES)], None),
            ([(NEWS, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES)], None),
            ([(MARKETING, NO), (OTHER, YES)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (NEWS, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (MARKETING, YES)], None),
            ([(MARKETING, YES), (OTHER, NO)], None),
            ([(NEWS, YES), (OTHER, NO)], None),
        ],
    )
    def test_the_latest_word_counts(self, history: list[tuple[str, bool]], answer: str | None) -> None:
        """In whatever order the records are handed in."""
        records = [record(category, given, number) for number, (category, given) in enumerate(history)]
        for order in itertools.permutations(records):
            assert permission("marketing", NEWS, order) == answer

    @pytest.mark.parametrize("category", [MARKETING, NEWS])
    def test_at_the_same_instant_no_wins(self, category: str) -> None:
        """In doubt we do not write."""
        records = [record(category, YES, 1), record(category, NO, 1)]
        assert permission("marketing", NEWS, records) == "opted_out"
        assert permission("marketing", NEWS, records[::-1]) == "opted_out"

    def test_a_yes_to_one_category_does_not_undo_a_general_no_of_the_same_instant(self) -> None:
        """It must come after it."""
        assert permission("marketing", NEWS, [record(NEWS, YES, 1), record(MARKETING, NO, 1)]) == "opted_out"

    def test_transactional_mail_needs_no_consent(self) -> None:
        """A receipt goes to those who opted out, too."""
        assert permission("transactional", NEWS, []) is None
        assert permission("transactional", NEWS, [record(MARKETING, NO, 1), record(NEWS, NO, 2)]) is None

    @pytest.mark.parametrize("category", ["", MARKETING])
    def test_mail_without_a_category_goes_by_the_general_word(self, category: str) -> None:
        """Consent to one category is no consent to everything."""
        assert permission("marketing", category, [record(MARKETING, YES, 1), record(NEWS, NO, 2)]) is None
        assert permission("marketing", category, [record(NEWS, YES, 1)]) == "no_consent"

    @given(st.lists(st.builds(record, st.sampled_from([MARKETING, NEWS, OTHER]), st.booleans(), st.integers(0, 3))))
    def test_one_more_no_never_allows_more(self, records: list[ConsentRecord]) -> None:
        """Withdrawing, at any time, of anything, cannot open a door."""
        if permission("marketing", NEWS, records) is not None:
            for category in (MARKETING, NEWS, OTHER):
                more = [*records, record(category, NO, 2)]
                assert permission("marketing", NEWS, more) is not None


def said(action: ConsentAction, seconds: float, category: str = NEWS, **fields: Any) -> ConsentRecord:
    at_ = at(seconds)
    name = f"{category}-{action}-{seconds}"
    return ConsentRecord(
        record_id=name, person="u:1", category=category, action=action, at=at_, source="event", **fields
    )


class TestDoubleOptIn:
    """Where a category asks for it, only what was confirmed from the mailbox itself counts."""

    @pytest.mark.parametrize(
        ("history", "answer"),
        [
            ([], "no_consent"),
            ([("given", NEWS)], "no_consent"),
            ([("given", MARKETING)], "no_consent"),
            ([("confirmed", NEWS)], None),
            ([("given", NEWS), ("confirmed", NEWS)], None),
            ([("confirmed", NEWS), ("given", NEWS)], None),
            ([("confirmed", MARKETING)], "no_consent"),
            ([("given", NEWS), ("confirmed", OTHER)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", NEWS)], "opted_out"),
            ([("confirmed", NEWS), ("withdrawn", MARKETING)], "opted_out"),
            ([("confirmed", NEWS), ("withdrawn", OTHER)], None),
            ([("confirmed", NEWS), ("withdrawn", NEWS), ("given", NEWS)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", MARKETING), ("given", NEWS)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", NEWS), ("given", NEWS), ("confirmed", NEWS)], None),
            ([("withdrawn", MARKETING), ("confirmed", NEWS)], None),
        ],
    )
    def test_only_a_confirmation_that_no_later_no_overturned_lets_mail_out(
        self, history: list[tuple[ConsentAction, str]], answer: str | None
    ) -> None:
        """In whatever order the records are handed in."""
        records = [said(action, number, category) for number, (action, category) in enumerate(history)]
        for order in itertools.permutations(records):
            assert permission("marketing", NEWS, order, double_opt_in=True) == answer

    def test_at_the_same_instant_no_wins(self) -> None:
        """As everywhere."""
        assert permission("marketing", NEWS, [said("confirmed", 1), said("withdrawn", 1)], double_opt_in=True)
        words = [said("confirmed", 1), said("withdrawn", 1), said("given", 2)]
        assert permission("marketing", NEWS, words, double_opt_in=True) == "no_consent"

    def test_transactional_mail_asks_nobody(self) -> None:
        """The mail that asks for the confirmation is one."""
        assert permission("transactional", NEWS, [], double_opt_in=True) is None

    @given(
        st.lists(
            st.builds(
                said,
                st.sampled_from(["given", "confirmed", "withdrawn"]),
                st.integers(0, 4),
                st.sampled_from([MARKETING, NEWS, OTHER]),
            )
        )
    )
    def test_it_never_allows_what_a_single_word_would_not(self, records: list[ConsentRecord]) -> None:
        """It only asks for more, and calls it by the same name."""
        once, twice = (permission("marketing", NEWS, records, double_opt_in=asked) for asked in (False, True))
        assert twice == once or (once is None and twice == "no_consent")


class TestChannels:
    """What is said of text messages is kept, and is no word on mail."""

    def test_another_channel_neither_allows_nor_forbids_mail(self) -> None:
        """Nor confirms it."""
        sms = {"channel": "sms"}
        assert permission("marketing", NEWS, [said("given", 1, **sms)]) == "no_consent"
        assert permission("marketing", NEWS, [said("given", 1), said("withdrawn", 2, **sms)]) is None
        words = [said("given", 1), said("confirmed", 2, **sms)]
        assert permission("marketing", NEWS, words, double_opt_in=True) == "no_consent"
        words = [said("confirmed", 1), said("withdrawn", 2, MARKETING, **sms)]
        assert permission("marketing", NEWS, words, double_opt_in=True) is None

    def test_the_objection_to_sale_and_sharing_says_nothing_about_mail(self) -> None:
        """`Sec-GPC: 1` is no unsubscribe."""
        assert permission("marketing", NEWS, [said("given", 1), said("withdrawn", 2, SALE_AND_SHARING)]) is None
        assert permission("marketing", NEWS, [said("withdrawn", 2, SALE_AND_SHARING)]) == "no_consent"


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


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def event(name: str, properties: Any = None, **fields: Any) -> Event:
    raw = msgspec.Raw(msgspec.json.encode({} if properties is None else properties))
    values: dict[str, Any] = {
        "message_id": "m-1",
        "type": "track",
        "user_id": "1",
        "timestamp": at(1),
        "received_at": at(2),
    } | fields
    return decode(encode(Event(event=name, properties=raw, **values)))


class TestFromEvent:
    """Consent that arrives as events."""

    def test_consent_given_is_recorded_with_the_words_that_were_shown(self) -> None:
        """At the time it happened, not when it arrived."""
        (found,) = from_event(
            event("Consent Given", {"category": "news", "words": "Yes, please", "source": "checkout"})
        )
        assert found == ConsentRecord(
            record_id="m-1:news:given",
            person="u:1",
            category="news",
            action="given",
            at=at(1),
            source="checkout",
            words="Yes, please",
        )

    @pytest.mark.parametrize("properties", [{}, {"category": None, "words": None, "source": None}, {"category": ""}])
    @pytest.mark.parametrize(
        ("name", "given"), [("Consent Given", True), ("Consent Withdrawn", False), ("Unsubscribed", False)]
    )
    def test_what_is_not_said_is_the_general_case(self, name: str, given: bool, properties: dict[str, Any]) -> None:
        """Missing, null and empty are the same: all marketing, from an event, without words."""
        (found,) = from_event(event(name, properties))
        assert (found.category, found.given, found.source, found.words) == ("marketing", given, "event", "")

    def test_unsubscribed_withdraws_its_category(self) -> None:
        """Segment's own properties of the event do no harm."""
        properties = {"category": "news", "email_id": "e", "list_id": 7, "link_url": "https://example.com"}
        (found,) = from_event(event("Unsubscribed", properties))
        assert (found.category, found.given) == ("news", False)

    def test_what_was_shown_where_and_in_which_language_is_kept_for_the_proof(self) -> None:
        """Which edition of the words, and the browser that they were shown in."""
        properties = {"words": "Ja, gern", "words_version": "2026-03", "language": "de", "channel": "sms"}
        context = {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0", "locale": "de-CH", "page": {"url": "/"}}
        (found,) = from_event(event("Consent Confirmed", properties, context=raw(context)))
        assert (found.action, found.words, found.words_version, found.language) == (
            "confirmed",
            "Ja, gern",
            "2026-03",
            "de",
        )
        assert (found.channel, found.origin) == ("sms", Origin(ip="203.0.113.7", user_agent="Mozilla/5.0"))
        assert found.record_id == "m-1:marketing:confirmed:sms"

    def test_the_language_is_the_browsers_when_nobody_says_which(self) -> None:
        """`context.locale`, as SDKs send it."""
        (found,) = from_event(event("Consent Given", context=raw({"locale": "pt-BR"})))
        assert (found.language, found.origin, found.channel) == ("pt-BR", None, "email")

    @pytest.mark.parametrize(
        "context",
        [
            {"ip": 5, "userAgent": ["x"], "locale": {"a": 1}},
            {"ip": None, "userAgent": "", "locale": None},
            msgspec.Raw(b'{"ip": "\xff"}'),
            msgspec.Raw(b'{"ip": "203.0.113.7", "screen": {"density": 1e999}, "locale": 5}'),
        ],
    )
    def test_a_withdrawal_is_not_lost_because_its_context_is_odd(self, context: Any) -> None:
        """It is where the word came from that is unknown, and not the word."""
        odd = context if isinstance(context, msgspec.Raw) else raw(context)
        (found,) = from_event(msgspec.structs.replace(event("Unsubscribed"), context=odd))
        assert (found.action, found.language) == ("withdrawn", "")

    def test_a_visitor_without_a_name_can_consent(self) -> None:
        """The record is kept under the anonymous key."""
        (found,) = from_event(event("Consent Given", user_id=None, anonymous_id="x"))
        assert found.person == "a:x"

    @pytest.mark.parametrize("name", ["Order Completed", "consent given", "Consent", "Email Opened"])
    def test_other_events_carry_no_consent(self, name: str) -> None:
        """Names are Segment's, to the letter; properties that look alike mean nothing."""
        assert from_event(event(name, {"category": 5})) == []

    def test_a_page_of_that_name_is_no_consent(self) -> None:
        """Somebody looked at it."""
        page = msgspec.structs.replace(event("x"), type="page", event=None, name="Consent Given")
        assert from_event(page) == []
        assert from_event(msgspec.structs.replace(event("Consent Given"), type="page")) == []

    @pytest.mark.parametrize("field", ["category", "words", "words_version", "language", "channel", "source"])
    @pytest.mark.parametrize("value", [5, True, ["news"], {"a": 1}])
    def test_a_property_that_is_no_text_is_refused(self, field: str, value: object) -> None:
        """With its path, and without its value."""
        with pytest.raises(InvalidEventError, match=rf"\$\.{field}") as refused:
            from_event(event("Consent Given", {field: value}))
        assert refused.value.reason == "bad_consent"

    def test_properties_that_cannot_be_read_are_refused(self) -> None:
        """The front door looks at their outside only."""
        broken = msgspec.structs.replace(event("Consent Withdrawn"), properties=msgspec.Raw(b'{"category": "\xff"}'))
        with pytest.raises(InvalidEventError) as refused:
            from_event(broken)
        assert refused.value.reason == "bad_consent"

    def test_delivered_again_it_is_the_same_record(self) -> None:
        """Writing twice is writing once."""
        assert from_event(event("Unsubscribed")) == from_event(event("Unsubscribed"))

    def test_a_message_id_used_twice_cannot_hide_a_withdrawal(self) -> None:
        """Each record says in its id what was said."""
        events = [
            event(name, {"category": category}) for name in ("Consent Given", "Consent Withdrawn") for category in "ab"
        ]
        assert len({from_event(each)[0].record_id for each in events}) == 4

    def test_consent_and_its_withdrawal_reach_the_permission(self) -> None:
        """The two halves of this module speak of the same thing."""
        records = from_event(event("Consent Given", timestamp=NOON))
        assert permission("marketing", "news", records) is None
        records += from_event(event("Unsubscribed", {"category": "news"}, timestamp=at(1)))
        assert permission("marketing", "news", records) == "opted_out"
        assert permission("marketing", "other", records) is None
