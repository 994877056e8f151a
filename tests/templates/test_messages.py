"""Every message that ships: it renders, it fits, it says who writes and how to leave, and it forgives missing facts."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from tests.sends import SETTINGS, a_decision
from tidings.facts import mail_facts
from tidings.message import build
from tidings.rendering import GMAIL_CLIPS_AT, render, template_names
from tidings.store import Profile

MESSAGES = template_names()


def example(message: str) -> dict[str, Any]:
    """The facts that the author of the message wrote to try it on."""
    text = files("templates").joinpath(message, "example.json").read_text("utf-8")
    facts = json.loads(text)
    assert isinstance(facts, dict)
    return facts


@pytest.mark.parametrize("message", MESSAGES)
def test_the_example_renders_into_a_mail_that_fits(message: str) -> None:
    """No name is missing, nothing looks like a template any more, and Gmail shows it whole."""
    mail = render(message, example(message))
    for part in (mail.subject, mail.html, mail.text):
        assert not re.search(r"\{\{|\}\}|\{%|%\}|Undefined|undefined|None|<function", part)
    assert len(mail.html.encode()) < GMAIL_CLIPS_AT / 4
    assert 10 < len(mail.subject) < 70


@pytest.mark.parametrize("message", MESSAGES)
def test_the_example_has_the_shape_of_real_facts(message: str) -> None:
    """What an author tries the message on is what the mailer will give it."""
    facts = example(message)
    real = mail_facts(a_decision(kind=facts["rule"]["kind"]), Profile(person="u:ada"), SETTINGS)
    assert facts.keys() == real.keys()
    for name in ("event", "rule", "sender", "links"):
        assert facts[name].keys() == real[name].keys()
    assert set(facts["person"]) == {"traits"}


@pytest.mark.parametrize("message", MESSAGES)
def test_the_mail_says_who_writes_why_and_how_to_leave(message: str) -> None:
    """Postal address and reason in every mail; the way out in both bodies of marketing mail, and in no other."""
    facts = example(message)
    mail = render(message, facts)
    html = " ".join(mail.html.split())
    for body in (html, " ".join(mail.text.split())):
        assert facts["sender"]["postal_address"] in body
        assert facts["sender"]["name"] in body
        assert "You get this email" in body
        marketing = facts["rule"]["kind"] == "marketing"
        assert ("nsubscribe" in body) is marketing
        assert (facts["links"].get("unsubscribe", "https://mail.example.com/u/") in body) is marketing


@pytest.mark.parametrize("message", MESSAGES)
def test_the_text_is_made_for_reading(message: str) -> None:
    """No markup, no entities, no invisible padding, no gaps, and no line that begins with layout."""
    text = render(message, example(message)).text
    assert len(text) > 200
    assert not re.search(r"<[a-z/!]|&[a-z#0-9]+;|[\u200b-\u200f\u2007\ufeff\u034f]|\n\n\n|^[ \t|]|[ \t]$", text, re.M)
    assert "Hello" in text


@pytest.mark.parametrize("message", MESSAGES)
def test_the_html_is_made_for_mail_clients(message: str) -> None:
    """Styles inlined, layout tables that screen readers skip, a language, nothing fetched, nothing run."""
    html = render(message, example(message)).html
    assert '<html lang="en">' in html
    assert "prefers-color-scheme: dark" in html
    assert '<td class="card" align="left" style="' in html
    assert all('role="presentation"' in table for table in re.findall(r"<table[^>]*>", html))
    assert not re.search(r"<img|<script|<link|<iframe|<form|javascript:|url\(|@import", html)
    assert all(link.startswith("https://") for link in re.findall(r'(?:href|src)="([^"]*)"', html))


@pytest.mark.parametrize("message", MESSAGES)
def test_the_least_that_an_event_can_bring_is_enough(message: str) -> None:
    """Optional properties and traits may be absent, and the mail is whole without them."""
    facts = example(message)
    facts["person"]["traits"] = {}
    facts["event"]["properties"] = {"name": "Harbour desk lamp"}
    facts["events"] = [{**facts["event"], "properties": {}} for _ in facts["events"]]
    facts["sender"]["postal_address"] = ""
    mail = render(message, facts)
    assert re.search(r"^Hello,$", mail.text, re.M)
    assert "None" not in mail.html
    assert 'class="button"' not in mail.html


@pytest.mark.parametrize("message", MESSAGES)
def test_what_an_event_brings_stays_text(message: str) -> None:
    """Markup in a product's name is shown and not obeyed, and a link that is no web address is no link."""
    facts = example(message)
    hostile = {"name": "<img src=x onerror=alert(1)>", "price": "<b>free</b>", "currency": "<i>", "quantity": "many"}
    links = dict.fromkeys(("url", "cart_url", "image_url"), "javascript:alert(1)")
    facts["event"]["properties"] = {**hostile, **links}
    facts["events"] = [facts["event"]]
    facts["person"]["traits"] = {"name": "<u>Ada</u>"}
    html = render(message, facts).html
    assert not re.search(r"<img|<b>|<i>|<u>|javascript:", html)


def test_a_product_with_a_picture_shows_it() -> None:
    """The only thing that a mail may fetch is the picture that the shop itself sent along."""
    facts = example("product-reminder")
    facts["event"]["properties"]["image_url"] = "https://shop.example.com/lamp.jpg"
    html = render("product-reminder", facts).html
    assert re.findall(r'<img src="([^"]*)"[^>]* alt="([^"]*)"', html) == [
        ("https://shop.example.com/lamp.jpg", "Harbour desk lamp")
    ]


def test_a_cart_lists_each_product_once_with_what_it_costs() -> None:
    """Adding a product twice is two of it; without a price there is none to show; a long cart is cut short."""
    facts = example("cart-abandoned")
    cup = {**facts["event"], "properties": {"name": "Cup", "price": 7.5, "currency": "EUR"}}
    facts["events"] = [cup, cup, {**cup, "properties": {"name": "Saucer"}}]
    mail = render("cart-abandoned", facts)
    assert mail.subject == "You left Cup and 1 more in your cart"
    assert re.search(r"^Cup +€15\.00\n2 pieces at €7\.50\nSaucer$", mail.text, re.M)
    facts["events"] = [{**cup, "properties": {"name": f"Cup {number:02}"}} for number in range(13)]
    text = render("cart-abandoned", facts).text
    assert "Cup 09\nand 3 more" in text
    assert "Cup 10" not in text


def test_a_cart_without_a_list_shows_the_one_product_that_it_knows() -> None:
    """The completing event stands in for the list."""
    facts = example("cart-abandoned")
    facts["events"] = []
    mail = render("cart-abandoned", facts)
    assert mail.subject == "You left Enamel coffee pot in your cart"
    assert "Enamel coffee pot" in mail.text


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_can_be_sent_for_a_real_decision(message: str) -> None:
    """From decision to bytes with nothing but what the mailer has."""
    facts = example(message)
    decision = a_decision(
        template=message, kind=facts["rule"]["kind"], properties=facts["event"]["properties"], events=()
    )
    rendered = render(message, mail_facts(decision, Profile(person="u:ada"), SETTINGS))
    mail = build(decision, rendered, "ada@example.com", SETTINGS, decision.decided_at)
    assert len(mail.data) < GMAIL_CLIPS_AT
