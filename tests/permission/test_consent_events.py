"""Consent that arrives as events."""

from typing import Any

import msgspec
import pytest

from tests.contracts.samples import NOON, at
from tidings.errors import InvalidEventError
from tidings.permission.consent import from_event, permission
from tidings.records.feedback import Origin
from tidings.records.store import ConsentRecord
from tidings.wire.events import Event, decode, encode


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
