"""What a mail would have looked like: a decision's template with the event that brought it about, and no address."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidings.backtest.findings import Example
from tidings.errors import InvalidEventError, TemplateError
from tidings.facts import mail_facts
from tidings.rendering import render
from tidings.settings import Settings
from tidings.store import Profile

_SENDER = Settings(
    secret="no mail of a backtest ever leaves",  # noqa: S106 - signs links that lead nowhere
    public_url="https://mail.example",
    mail_from="Your name <hello@mail.example>",
    postal_address="Your postal address",
)
"""Who sends is a setting of the mailer, and not known here."""

_PRIVATE = ("email", "phone")


class Shown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One mail. `fault` says why it could not be made, and would have become a dead letter; the rest is empty then."""

    person: str
    template: str
    at: str
    subject: str = ""
    html: str = ""
    text: str = ""
    fault: str = ""


def show(example: Example, templates: str) -> Shown:
    """Render it."""
    decision = example.decision
    about = {"person": decision.person, "template": decision.template, "at": decision.decided_at.isoformat()}
    profile = Profile(person=decision.person, traits=_without_addresses(example.traits))
    try:
        rendered = render(decision.template, mail_facts(decision, profile, _SENDER), templates)
    except (TemplateError, InvalidEventError) as fault:
        return Shown(**about, fault=str(fault))
    return Shown(**about, subject=rendered.subject, html=rendered.html, text=rendered.text)


def _without_addresses(traits: Mapping[str, Any]) -> dict[str, Any]:
    """A report is passed around, and nobody needs the address of the person in an example."""
    return {name: "hidden" if name in _PRIVATE else value for name, value in traits.items()}
