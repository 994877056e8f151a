"""The German messages that ship: the whole mail in German, saying what the English one says."""

import re

import pytest

from tests.templates.test_messages import MESSAGES, example
from tidings.rendering import Rendered, render, variants

IN_GERMAN = [message for message in MESSAGES if "de" in variants(message)]
ENGLISH = re.compile(r"\b(Hello|Unsubscribe|Change|what you get|You|your|pieces|at|and|more|the|because)\b")


def in_german(message: str, **changes: object) -> Rendered:
    facts = example(message)
    facts["person"]["traits"]["locale"] = "de-CH"
    facts["event"]["properties"].pop("name", None)  # products are called what the shop calls them
    facts["events"] = [
        {**event, "properties": {"quantity": 2, "price": 9.9, "currency": "EUR"}} for event in facts["events"]
    ]
    return render(message, {**facts, **changes})


def test_some_messages_are_there_in_german() -> None:
    assert {"cart-abandoned", "confirm-data-request", "confirm-subscription", "welcome"} == set(IN_GERMAN)


@pytest.mark.parametrize("message", IN_GERMAN)
def test_nothing_of_the_mail_is_in_english(message: str) -> None:
    """Neither of the layout's own words, nor a price."""
    mail = in_german(message)
    assert '<html lang="de">' in mail.html
    for part in (mail.subject, mail.text):
        assert not ENGLISH.search(part), part
    assert not re.search(r"€\d", mail.text)


def test_an_erasure_is_asked_for_in_german() -> None:
    """The other half of the message about data."""
    event = example("confirm-data-request")["event"]
    mail = in_german("confirm-data-request", event={**event, "properties": {"what": "erase"}})
    assert "Löschen" in mail.subject
    assert "Ansehen und löschen" in mail.text
    assert not ENGLISH.search(mail.text)


@pytest.mark.parametrize("message", IN_GERMAN)
def test_it_says_who_writes_why_and_how_to_leave(message: str) -> None:
    facts = example(message)
    text = " ".join(in_german(message).text.split())
    assert facts["sender"]["postal_address"] in text
    assert "Sie erhalten diese E-Mail" in text
    assert ("Abbestellen" in text) is (facts["rule"]["kind"] == "marketing")
    assert facts["links"].get("unsubscribe", "") in text


@pytest.mark.parametrize(
    ("count", "subject"),
    [
        (1, "In Ihrem Warenkorb: Lampe 0"),
        (2, "In Ihrem Warenkorb: Lampe 0 und ein weiterer Artikel"),
        (12, "In Ihrem Warenkorb: Lampe 0 und 11 weitere Artikel"),
    ],
)
def test_a_cart_is_counted_as_german_counts(count: int, subject: str) -> None:
    event = example("cart-abandoned")["event"]
    events = [
        {**event, "properties": {"name": f"Lampe {number}", "price": 48.5, "currency": "EUR"}}
        for number in range(count)
    ]
    mail = in_german("cart-abandoned", events=events)
    assert mail.subject == subject
    assert "48,50 €" in mail.text
    assert ("und 2 weitere" in mail.text) is (count == 12)
