"""What a mail would have looked like: a decision's template with the event that brought it about, and no address."""

import re
from typing import Any

import msgspec

from tidings.backtest.findings import Example
from tidings.errors import InvalidEventError, TemplateError
from tidings.mailing.facts import mail_facts
from tidings.records.store import Profile
from tidings.rendering import render
from tidings.settings import Settings
from tidings.wire.decisions import Decision, Trigger

_SENDER = Settings(
    secret="no mail of a backtest ever leaves",  # noqa: S106 - signs links that lead nowhere
    public_url="https://mail.example",
    mail_from="Your name <hello@mail.example>",
    postal_address="Your postal address",
)
"""Who sends is a setting of the mailer, and not known here."""

_PRIVATE = ("email", "phone")
_HIDDEN = "hidden"
_ADDRESS = re.compile(r"[^\s@<>\"'/?&=:;,]{1,64}@[^\s@<>\"'/?&=:;,]{1,255}")  # bounded: a text may be of megabytes


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
    decision = _without_addresses_in(example.decision)
    about = {"person": decision.person, "template": decision.template, "at": decision.decided_at.isoformat()}
    profile = Profile(person=decision.person, traits=_without_addresses(example.traits))
    try:
        rendered = render(decision.template, mail_facts(decision, profile, _SENDER), templates)
    except (TemplateError, InvalidEventError) as fault:
        return Shown(**about, fault=str(fault))
    return Shown(**about, subject=rendered.subject, html=rendered.html, text=rendered.text)


def _without_addresses(value: Any) -> Any:
    """A report is passed around, and nobody needs the address of the person in an example, wherever it stands."""
    if isinstance(value, str):
        return _ADDRESS.sub(_HIDDEN, value) if "@" in value else value
    if isinstance(value, list):
        return [_without_addresses(one) for one in value]
    if isinstance(value, dict):
        return {name: _HIDDEN if name in _PRIVATE else _without_addresses(one) for name, one in value.items()}
    return value


def _without_addresses_in(decision: Decision) -> Decision:
    events = tuple(map(_without_addresses_of, decision.events))
    return msgspec.structs.replace(decision, events=events, event=_without_addresses_of(decision.event))


def _without_addresses_of(event: Trigger) -> Trigger:
    try:
        properties = _without_addresses(msgspec.json.decode(event.properties))
    except (msgspec.DecodeError, RecursionError):  # the mail cannot be made either, and its fault quotes nothing
        return event
    return msgspec.structs.replace(event, properties=msgspec.Raw(msgspec.json.encode(properties)))
