"""What a template may know, gathered from the decision, the profile and the settings."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tests.sends import NOW, SETTINGS, a_decision
from tidings.errors import InvalidEventError
from tidings.mailing.facts import mail_facts
from tidings.mailing.links import preferences_url, unsubscribe_url
from tidings.records.store import Activity, Profile
from tidings.rendering import render
from tidings.tokens import Confirmation, read_confirmation
from tidings.wire.decisions import Decision, Trigger

ADA = Profile(person="u:ada", traits={"email": "ada@example.com", "first_name": "Ada"})


def test_a_template_is_given_plain_data_and_nothing_that_it_could_call() -> None:
    """Times are text, properties are decoded, and the unsubscribe link is ready to use."""
    earlier = Trigger(name="Product Viewed", timestamp=NOW - timedelta(minutes=5), properties=msgspec.Raw(b'{"n":1}'))
    decision = a_decision(events=(earlier,))
    assert mail_facts(decision, ADA, SETTINGS) == {
        "person": {"id": "u:ada", "traits": {"email": "ada@example.com", "first_name": "Ada"}},
        "event": {
            "name": "Product Viewed",
            "timestamp": "2026-03-02T12:00:00+00:00",
            "properties": {"name": "Harbour desk lamp"},
        },
        "events": [{"name": "Product Viewed", "timestamp": "2026-03-02T11:55:00+00:00", "properties": {"n": 1}}],
        "rule": {"id": "viewed-three-times", "category": "reminders", "kind": "marketing"},
        "sender": {"name": "Northwind Living", "postal_address": "12 Quay Street, Galway"},
        "links": {
            "unsubscribe": unsubscribe_url(decision, SETTINGS),
            "preferences": preferences_url(decision, SETTINGS),
        },
        "activity": [],
    }


def test_null_is_nothing() -> None:
    """A template that asks whether there is a price is told no."""
    nameless = Profile(person="u:ada", traits={"email": "ada@example.com", "first_name": None})
    facts = mail_facts(a_decision(properties={"name": "Lamp", "price": None}), nameless, SETTINGS)
    assert facts["event"]["properties"] == {"name": "Lamp"}
    assert facts["person"]["traits"] == {"email": "ada@example.com"}


@pytest.mark.parametrize(
    "properties",
    [
        b'{"price":1e999}',
        b'{"name":"half a pair: \\ud800, and more"}',
        b'{"name":"\xff"}',
        b'{"a":' * 5000,
        b"[1]",
        b"null",
    ],
)
def test_properties_that_nobody_can_read_are_the_fault_of_the_event(properties: bytes) -> None:
    """They travel through the pipeline unread, so the mailer may be the first to look. It says where, and not what."""
    odd = Trigger(name="Cart Viewed", timestamp=NOW, properties=msgspec.Raw(properties))
    fine = Trigger(name="Cart Viewed", timestamp=NOW)
    for decision, path in ((a_decision(event=odd), "event"), (a_decision(events=(fine, odd)), "events[1]")):
        with pytest.raises(InvalidEventError) as refused:
            mail_facts(decision, ADA, SETTINGS)
        assert refused.value.reason == "unreadable"
        assert refused.value.detail.startswith(f"{path}.properties: ")
        assert "half" not in refused.value.detail


def test_activity_is_told_in_utc_and_without_its_details() -> None:
    """Who reads it for support compares times; what was decided about whom stays in the system."""
    at = datetime(2026, 3, 2, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    line = Activity(
        activity_id="e-1", person="u:ada", at=at, kind="event", label="Login Failed", detail={"type": "track"}
    )
    assert mail_facts(a_decision(kind="transactional"), ADA, SETTINGS, [line])["activity"] == [
        {"at": "2026-03-02T12:30:00+00:00", "kind": "event", "label": "Login Failed"}
    ]


def test_transactional_mail_has_no_way_out_to_offer() -> None:
    """A template that asks for the link in a receipt is told that there is none."""
    assert mail_facts(a_decision(kind="transactional"), ADA, SETTINGS)["links"].keys() == {"preferences"}


def test_mail_to_a_role_leads_to_nobodys_preferences() -> None:
    """The support desk may read about a person, and not choose for them."""
    assert mail_facts(a_decision(kind="transactional", to="support"), ADA, SETTINGS)["links"] == {}


def asking(name: str, said: Any, **fields: Any) -> Decision:
    """A decision about an event that may ask for a confirmation."""
    event = Trigger(name=name, timestamp=NOW, properties=msgspec.Raw(msgspec.json.encode(said)))
    return a_decision(**{"kind": "transactional", "category": "account", "event": event, **fields})


@pytest.mark.parametrize(
    ("name", "said", "purpose", "category", "days"),
    [
        ("Consent Given", {"category": "news"}, "subscribe", "news", 7),
        ("Consent Given", {"words": "Yes"}, "subscribe", "marketing", 7),
        ("Consent Given", {"category": ""}, "subscribe", "marketing", 7),
        ("Data Requested", {"what": "export"}, "export", "", 2),
        ("Data Requested", {"what": "erase"}, "erase", "", 2),
    ],
)
def test_mail_that_asks_for_a_confirmation_has_its_link(
    name: str, said: Any, purpose: Any, category: str, days: int
) -> None:
    """What is confirmed, by whom, from which mail, and until when; counted from the decision, not from a clock."""
    decision = asking(name, said)
    link = mail_facts(decision, ADA, SETTINGS)["links"]["confirm"]
    token = link.removeprefix(f"{SETTINGS.public_url}/c/")
    expires_at = int((decision.decided_at + timedelta(days=days)).timestamp())
    expected = Confirmation(purpose, "u:ada", category, decision.send_id, expires_at)
    assert read_confirmation(token, SETTINGS.secret) == expected


@pytest.mark.parametrize(
    ("name", "said", "fields"),
    [
        ("Consent Given", {"category": "news"}, {"kind": "marketing"}),
        ("Consent Given", {"category": "news"}, {"to": "support"}),
        ("Consent Given", {"category": 7}, {}),
        ("Consent Withdrawn", {"category": "news"}, {}),
        ("Signed Up", {"what": "erase"}, {}),
        ("Data Requested", {}, {}),
        ("Data Requested", {"what": "subscribe"}, {}),
        ("Data Requested", {"what": ["erase"]}, {}),
    ],
)
def test_no_other_mail_confirms_anything(name: str, said: Any, fields: Any) -> None:
    """An event may say what it likes: browsers send them."""
    assert "confirm" not in mail_facts(asking(name, said, **fields), ADA, SETTINGS)["links"]


def test_facts_fit_the_templates_that_ship() -> None:
    """Decision, profile and settings are all that a message needs."""
    mail = render("product-reminder", mail_facts(a_decision(), ADA, SETTINGS))
    assert mail.subject == "Still thinking about Harbour desk lamp?"
    assert "Hello Ada," in mail.text
