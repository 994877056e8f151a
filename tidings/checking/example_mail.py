"""The mail that a message's `example.json` makes, by the same way as a real one: decision, facts, template, mail."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import formataddr
from typing import Any, Literal

import msgspec

from tidings.errors import TemplateError
from tidings.mailing.facts import mail_facts
from tidings.records.store import Activity, Profile
from tidings.rendering import Rendered
from tidings.settings import Settings
from tidings.wire.decisions import PERSON, Decision, MailKind, Trigger, send_id

Render = Callable[[str, Mapping[str, Any]], Rendered]
"""Renders one message with facts; raises `TemplateError`."""

TO_A_ROLE = "support"
"""Whom an example with activity is for: mail to the person has none."""


class _Person(msgspec.Struct):
    id: str
    traits: dict[str, Any]


class _Event(msgspec.Struct):
    name: str
    timestamp: datetime
    properties: dict[str, Any]


class _Rule(msgspec.Struct):
    id: str
    category: str
    kind: MailKind


class _Sender(msgspec.Struct):
    name: str
    postal_address: str = ""


class _Line(msgspec.Struct):
    at: datetime
    kind: Literal["event", "decision"]
    label: str


class Example(msgspec.Struct):
    """`example.json`: see docs/templates.md for what each of its fields is. Its links are made anew."""

    person: _Person
    event: _Event
    rule: _Rule
    sender: _Sender
    events: list[_Event] = []
    activity: list[_Line] = []


def read(data: str, name: str) -> Example:
    """An example.

    Raises:
        TemplateError: it is no JSON, or lacks something that every mail's facts have.
    """
    try:
        return msgspec.json.decode(data.encode(), type=Example)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise TemplateError(f"{name}: {error}") from None


def settings_for(example: Example) -> Settings:
    """Somebody to send it: the example's sender, with links that lead nowhere."""
    return Settings(
        secret="no mail of this secret leaves",  # noqa: S106 - signs links that lead nowhere
        public_url="https://mail.example.com",
        mail_from=formataddr((example.sender.name, "hello@example.com")),
        postal_address=example.sender.postal_address or "12 Quay Street, Galway",
    )


def reader(example: Example) -> str:
    """Whom an example is for: the person, or some role."""
    return TO_A_ROLE if example.activity else PERSON


def decision(template: str, example: Example, kind: MailKind | None = None, to: str | None = None) -> Decision:
    """What a rule would have decided, of this kind and to this role; both are the example's own by default."""
    episode = hashlib.sha256(msgspec.json.encode(example)).hexdigest()[:16]
    at = example.event.timestamp
    return Decision(
        send_id=send_id(example.rule.id, "example", example.person.id, "", episode, 0),
        rule_id=example.rule.id,
        rule_version="example",
        person=example.person.id,
        episode=episode,
        template=template,
        due_at=at,
        decided_at=at,
        evidence=(),
        event=_trigger(example.event),
        events=tuple(map(_trigger, example.events)),
        kind=kind or example.rule.kind,
        category=example.rule.category,
        to=to or reader(example),
    )


def rendered(
    decision: Decision, example: Example, settings: Settings, render: Render, language: str | None = None
) -> tuple[dict[str, Any], Rendered]:
    """The facts of this decision's mail, and what becomes of them.

    Args:
        decision: see `decision`.
        example: what else there is to know.
        settings: who sends it, with which secret.
        render: how to render.
        language: the tag of what the person is taken to read; empty for none. None leaves their traits as they are.

    Raises:
        TemplateError: it cannot be rendered.
        SettingsError: as `tidings.mailing.facts.mail_facts` does.
    """
    traits = dict(example.person.traits)
    if language is not None:
        traits = {name: value for name, value in traits.items() if name not in ("locale", "language")}
        traits |= {"locale": language} if language else {}
    profile = Profile(person=example.person.id, traits=traits)
    activity = [
        Activity(activity_id="", person=example.person.id, at=one.at, kind=one.kind, label=one.label)
        for one in (example.activity if decision.to != "person" else [])
    ]
    facts = mail_facts(decision, profile, settings, activity)
    return facts, render(decision.template, facts)


def _trigger(event: _Event) -> Trigger:
    return Trigger(
        name=event.name, timestamp=event.timestamp, properties=msgspec.Raw(msgspec.json.encode(event.properties))
    )
