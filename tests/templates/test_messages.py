"""Every message that ships: it renders, it fits, it says who writes and how to leave, and it forgives missing facts."""

import json
import re
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from tests.sends import NOW, SETTINGS, a_decision
from tidings.mailing.facts import mail_facts
from tidings.mailing.message import build
from tidings.records.store import Profile
from tidings.rendering import GMAIL_CLIPS_AT, render, template_names
from tidings.wire.decisions import Decision, Trigger

MESSAGES = template_names()
LINKS = ("url", "cart_url", "image_url", "category_url", "form_url")


def example(message: str) -> dict[str, Any]:
    """The facts that the author of the message wrote to try it on."""
    text = files("templates").joinpath(message, "example.json").read_text("utf-8")
    facts = json.loads(text)
    assert isinstance(facts, dict)
    return facts


TO_A_ROLE = [message for message in MESSAGES if example(message)["activity"]]
TO_A_PERSON = [message for message in MESSAGES if message not in TO_A_ROLE]
ASKING = [message for message in MESSAGES if "confirm" in example(message)["links"]]


def decision_of(message: str) -> Decision:
    """A decision that leads to this message."""
    facts = example(message)
    properties = msgspec.Raw(msgspec.json.encode(facts["event"]["properties"]))
    event = Trigger(name=facts["event"]["name"], timestamp=NOW, properties=properties)
    to = "support" if facts["activity"] else "person"
    return a_decision(template=message, kind=facts["rule"]["kind"], event=event, to=to)


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
    real = mail_facts(decision_of(message), Profile(person="u:ada"), SETTINGS)
    assert facts.keys() == real.keys()
    for name in ("event", "rule", "sender", "links"):
        assert facts[name].keys() == real[name].keys()
    assert set(facts["person"]) == set(real["person"])


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
    assert ("Hello" in text) is (message in TO_A_PERSON)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_html_is_made_for_mail_clients(message: str) -> None:
    """Styles inlined, screen readers skip tables that are layout, a language, nothing fetched, nothing run."""
    html = render(message, example(message)).html
    assert '<html lang="en"' in html
    assert re.search(r'<div [^>]*lang="en"', html), "Gmail takes <html> away, and the language with it"
    assert "prefers-color-scheme: dark" in html
    assert re.search(r'class="card"[^>]* style="', html)
    tables = re.findall(r"<table[^>]*>", html)
    assert [table for table in tables if ('role="presentation"' in table) is ('class="data"' in table)] == []
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
    facts["activity"] = []
    mail = render(message, facts)
    assert bool(re.search(r"^Hello,$", mail.text, re.M)) is (message in TO_A_PERSON)
    assert "None" not in mail.html
    assert ('class="button"' in mail.html) is (message in ASKING)


@pytest.mark.parametrize("message", [message for message in TO_A_PERSON if message not in ASKING])
@pytest.mark.parametrize("link", LINKS)
def test_a_link_to_what_it_is_about_becomes_a_button(message: str, link: str) -> None:
    """Whichever link an event brings, the one button of the mail leads to it or is not there."""
    facts = example(message)
    facts["event"]["properties"] = {"name": "Harbour desk lamp", link: "https://shop.example.com/x"}
    facts["events"] = []
    html = render(message, facts).html
    leads_there = 'href="https://shop.example.com/x"' in html
    assert leads_there is ('class="button"' in html)
    assert leads_there or link != "url"


@pytest.mark.parametrize("message", MESSAGES)
def test_what_an_event_brings_stays_text(message: str) -> None:
    """Markup in a product's name is shown and not obeyed, and a link that is no web address is no link."""
    facts = example(message)
    hostile = {"name": "<img src=x onerror=alert(1)>", "price": "<b>free</b>", "currency": "<i>", "quantity": "many"}
    words = dict.fromkeys(("category", "form_name", "step", "steps", "title", "reason"), "<s>")
    links = dict.fromkeys(LINKS, "javascript:alert(1)")
    facts["event"]["properties"] = {**hostile, **words, **links}
    facts["events"] = [facts["event"]]
    facts["person"] = {"id": "u:<b>", "traits": {"name": "<u>Ada</u>", "email": "<i>"}}
    facts["activity"] = [{"at": "2026-03-02T12:00:00+00:00", "kind": "event", "label": "<b>Login Failed</b>"}]
    html = render(message, facts).html
    assert not re.search(r"<img|<b>|<i>|<u>|<s>|javascript:", html)


@pytest.mark.parametrize("what", ["export", "erase"])
@pytest.mark.parametrize("message", ASKING)
def test_mail_that_asks_shows_the_link_and_no_name_and_sells_nothing(message: str, what: str) -> None:
    """Whoever typed the address may be a stranger to it, and may have typed an advertisement for a name."""
    facts = example(message)
    facts["person"]["traits"]["first_name"] = "Buy this"
    facts["event"]["properties"]["what"] = what
    mail = render(message, facts)
    for body in (mail.html, mail.text):
        assert facts["links"]["confirm"] in body
        assert "Buy this" not in body
    assert facts["rule"]["kind"] == "transactional"
    assert [link for link in re.findall(r'href="([^"]*)"', mail.html) if link not in facts["links"].values()] == []
    assert ("rase" in mail.text) is (message == "confirm-data-request" and what == "erase")


@pytest.mark.parametrize(
    "name", ["Win a phone: evil.example", "evil.example", "Ada\n\nYou are locked out", "x" * 61, 5]
)
@pytest.mark.parametrize("trait", ["firstName", "first_name", "name"])
def test_an_advertisement_is_nobodys_name(trait: str, name: object) -> None:
    """Whoever signs a stranger up must not be able to have us write to them what they like."""
    for message in ("welcome", "we-miss-you"):
        facts = example(message)
        for language in ("en", "de"):
            facts["person"]["traits"] = {"locale": language, trait: name}
            mail = render(message, facts)
            assert re.search(r"^H[ae]llo,$", mail.text, re.M)
            assert re.search(r">H[ae]llo,<", mail.html)


@pytest.mark.parametrize("name", ["Ada", "Zoë-Mæ", "J.R. O'Neill", "محمد", "Dr. Ada Lovelace, PhD", "M\u200dx"])
def test_every_real_name_is_greeted(name: str) -> None:
    """Dots, hyphens, other scripts."""
    facts = example("welcome")
    facts["person"]["traits"] = {"name": f" {name} "}
    mail = render("welcome", facts)
    assert f"Hello {name}," in mail.text
    assert f">Hello {name},<" in mail.html


@pytest.mark.parametrize("message", TO_A_PERSON)
def test_every_mail_to_a_person_leads_to_their_choices(message: str) -> None:
    """Receipts too: what we keep about somebody is not a matter of marketing."""
    facts = example(message)
    assert f'<a href="{facts["links"]["preferences"]}"' in render(message, facts).html


@pytest.mark.parametrize("message", TO_A_ROLE)
def test_mail_to_a_role_says_who_it_is_about_and_tells_what_they_did_line_by_line(message: str) -> None:
    """In the text as well as in the table, so that it can be read in any help desk."""
    facts = example(message)
    text = render(message, facts).text
    assert facts["person"]["id"][2:] in text
    for line in facts["activity"]:
        day, time = line["at"][:10], line["at"][11:19]
        assert re.search(rf"^{day} {time} +(Rule: )?{re.escape(line['label'])}$", text, re.M)


def test_who_browsed_is_shown_what_they_saw_last_and_where() -> None:
    """A product without a name is not shown at all, and neither is a category that nobody named."""
    facts = example("still-looking")
    text = render("still-looking", facts).text
    assert re.search(r"^Brass reading lamp with a shade of pleated linen +€164\.00\nin Lighting$", text, re.M)
    facts["event"]["properties"] = {"name": "Brass reading lamp"}
    assert "in Lighting" not in render("still-looking", facts).text
    facts["event"]["properties"] = {}
    assert "saw last" not in render("still-looking", facts).text


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
    decision = decision_of(message)
    rendered = render(message, mail_facts(decision, Profile(person="u:ada"), SETTINGS))
    mail = build(decision, rendered, "ada@example.com", SETTINGS, decision.decided_at)
    assert len(mail.data) < GMAIL_CLIPS_AT
