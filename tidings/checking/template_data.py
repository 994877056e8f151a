"""Templates that need what the trigger does not give: mails that would end as `render_failed`.

What a template is shown depends on the kind of trigger (see `tidings.deciding.turn`): the event at hand, those that the
rule has kept, or one that stands for time that has passed. A property counts as promised when the past has it in every
event; without a past, when a condition asks for it, or a spec says that every such event has it. Of an event that no
spec knows, `example.json` is all that there is to go by.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tidings.checking.contradictions import is_implied
from tidings.checking.expressions import Needs, Place
from tidings.checking.findings import Remark
from tidings.checking.observed import Observed, Question
from tidings.checking.places import Placed, counted_by, starts_of
from tidings.documents import nearest
from tidings.ingest.event_names import OF_PAGES, nearly, promised
from tidings.mailing.links import CONFIRMED_EVENTS
from tidings.rules.conditions import Condition
from tidings.rules.rule import Rule
from tidings.rules.segments import Segment
from tidings.rules.selectors import Selector
from tidings.rules.surroundings import Send

_FACTS: Mapping[str, set[str] | None] = {
    "person": {"id", "traits"},
    "event": {"name", "timestamp", "properties"},
    "events": None,
    "rule": {"id", "category", "kind"},
    "sender": {"name", "postal_address"},
    "links": {"unsubscribe", "preferences", "confirm"},
    "activity": None,
    "language": None,
}
"""What `mailing.facts` gives, and `tidings.rendering`, two levels deep; None where there is nothing to look into."""


class Message(NamedTuple):
    """What there is to know of a template.

    Attributes:
        needs: what it shows.
        example: its `example.json`; empty when it has none.
    """

    needs: Needs
    example: Mapping[str, Any]


class Shown(NamedTuple):
    """An event that a template may be shown.

    Attributes:
        selector: which events; None for one that the engine makes.
        name: for people.
        properties: all that an event of the engine's own has.
        has: a property that it has in any case, because it is counted by it.
    """

    selector: Selector | None
    name: str
    properties: frozenset[str] = frozenset()
    has: str | None = None


def shown_by(rule: Rule, segments: Mapping[str, Segment]) -> list[Shown]:
    """What may be the `event` of a template of this rule."""
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    starts = starts_of(rule)
    by = getattr(document, "by", None)
    if kind == "not_performed":
        return [_shown(one) for one in (document.after, *document.reset_on)]
    if kind == "sequence":
        return [_shown(document.steps[-1], by)]
    if kind == "session_ended":
        counted = [one for one in document.having if one.bounds[0]]
        return [_shown(one, one.by) for one in counted] or [_shown(one.selector) for one in starts]
    if kind == "score":
        lifts = [one for one in document.features if one.weight > 0]
        falls = len(lifts) < len(document.features)
        risen = [Shown(None, "Score Risen", frozenset({"score"}))] if falls else []
        return [*(_shown(one, by) for one in lifts), *risen]
    if kind == "segment":
        name = "Segment Entered" if document.on == "enter" else "Segment Left"
        counted_there = _counted(document.id, segments, set())
        return [*(_shown(one.selector) for one in counted_there), Shown(None, name, frozenset({"segment"}))]
    return [_shown(one.selector, by) for one in starts]


def _shown(selector: Selector, by: str | None = None) -> Shown:
    event_type, name = selector.subject
    return Shown(selector, f"any {event_type}" if name == "*" else name, has=by)


def _counted(name: str, segments: Mapping[str, Segment], seen: set[str]) -> list[Placed]:
    """The events whose count may change who is in a segment."""
    if name in seen or name not in segments:
        return []
    seen.add(name)
    mine = segments[name]
    return [*counted_by(mine), *(one for _, other in mine.asks for one in _counted(other, segments, seen))]


def questions(rule: Rule, messages: Mapping[str, Message], segments: Mapping[str, Segment]) -> Iterator[Question]:
    """What the past should be asked about the templates of a rule."""
    for send in rule.sends:
        if send.template in messages:
            for path in messages[send.template].needs.needed:
                if path.startswith("event.properties."):
                    for one in shown_by(rule, segments):
                        if one.selector is not None:
                            yield Question(one.selector, path.removeprefix("event."))


def remarks(
    rule: Rule, messages: Mapping[str, Message], segments: Mapping[str, Segment], observed: Observed | None
) -> Iterator[Remark]:
    """What the templates of a rule would not find."""
    events = shown_by(rule, segments)
    for path, send in rule.placed_sends:
        message = messages.get(send.template)
        if message is None:
            continue
        for reason in _reasons(rule, send, message, events, observed):
            yield Remark(f"{path}.template", send.template, reason)


def _reasons(
    rule: Rule, send: Send, message: Message, events: Iterable[Shown], observed: Observed | None
) -> Iterator[str]:
    for path, place in message.needs.needed.items():
        reason = never_there(path) or _lacks(rule, send, path, message, events, observed)
        if reason:
            yield f"shows {path} ({_told(place)}), {reason}"
    if "activity" in message.needs.used and send.to == "person":
        where = _told(message.needs.used["activity"])
        yield f"shows activity ({where}), which is empty in mail to the person; only mail to a role has it"


def _told(place: Place) -> str:
    return f"{place.file}, line {place.line}"


def never_there(path: str) -> str:
    """Why a name can never be there, in any mail."""
    root, *rest = path.split(".")
    if root not in _FACTS:
        return f"which no mail has; {nearest(root, _FACTS)}".rstrip("; ") + f"; there are: {', '.join(_FACTS)}"
    names = _FACTS[root]
    if names is None or not rest or rest[0] in names:
        return ""
    inside = {"person": "person.traits", "event": "event.properties"}.get(root)
    hint = f"did you mean {inside}.{rest[0]}?" if inside else f"there are: {', '.join(sorted(names))}"
    return f"which no mail has; {hint}"


def _asks(rule: Rule, send: Send, events: Iterable[Shown]) -> bool:
    """Whether every mail of this rule is about something that is confirmed by a link, see `tidings.mailing.links`."""
    names = {one.selector.event if one.selector else None for one in events}
    return rule.kind == "transactional" and send.to == "person" and names <= set(CONFIRMED_EVENTS)


def _lacks(
    rule: Rule, send: Send, path: str, message: Message, events: Iterable[Shown], observed: Observed | None
) -> str:
    """Why a name may be missing in a mail of this rule; empty when it is always there."""
    if path == "links.unsubscribe" and rule.kind == "transactional":
        return "which transactional mail does not have; say: if links.unsubscribe is defined"
    if path == "links.preferences" and send.to != "person":
        return "which mail to a role does not have; say: if links.preferences is defined"
    if path == "links.confirm" and not _asks(rule, send, events):
        return f"which only transactional mail has that answers {' or '.join(CONFIRMED_EVENTS)}"
    if path.startswith("person.traits."):
        trait = path.removeprefix("person.")
        if trait == "traits.email" and send.to == "person":  # without it no mail is made
            return ""
        exists = Condition.model_validate({"path": trait, "exists": True})
        if rule.audience is not None and is_implied(exists, rule.audience):
            return ""
        return "which not everybody has; give a default, or ask for it in the audience with exists: true"
    if not path.startswith("event.properties."):
        return ""
    asked = path.removeprefix("event.")
    for one in events:
        if reason := _not_promised(one, asked, message.example, observed):
            return f"{reason}; such a mail would end as render_failed: give a default, or ask for it with exists: true"
    return ""


def _not_promised(event: Shown, path: str, example: Mapping[str, Any], observed: Observed | None) -> str:
    """Why an event may lack a property; empty when it is promised."""
    name = path.split(".")[1]
    if event.selector is None:
        return "" if name in event.properties else f"which {event.name}, an event of the engine's own, does not have"
    exists = Condition.model_validate({"path": path, "exists": True})
    if event.has == path or (event.selector.where is not None and is_implied(exists, event.selector.where)):
        return ""
    if observed is not None:
        answer = observed.answer(Question(event.selector, path))
        if answer.events:
            return f"which is missing in {answer} {event.name}" if answer.missing else ""
    event_type, label = event.selector.subject
    # A misspelt name is told elsewhere; what matters here is the event that was meant.
    known = OF_PAGES if event_type == "page" else promised(nearly(label) or label) if event_type == "track" else None
    if known is not None and name in known:
        return ""
    if known is None and label != "*" and _in_example(example, label, name):
        return ""
    return f"which not every {event.name} has" if label != "*" else f"which {event.name} event need not have"


def _in_example(example: Mapping[str, Any], label: str, name: str) -> bool:
    event = example.get("event")
    if not isinstance(event, dict) or event.get("name") != label:
        return False
    properties = event.get("properties")
    return isinstance(properties, dict) and name in properties
