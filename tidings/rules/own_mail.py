"""Reports about our own mail must not make us write the next one.

What becomes of a mail re-enters the stream as events (`tidings.feedback.email_events`). A rule that begins with any
track call would begin again with the report that its mail was sent, or with the report that it was not, and so on for
ever.
"""

from tidings.feedback.email_events import NAMES, SENT, SUPPRESSED
from tidings.rules.conditions import Predicate, Subject
from tidings.rules.selectors import ANY
from tidings.wire.events import Event

REPORTS = frozenset({SENT, SUPPRESSED, *NAMES.values()}) - {NAMES["clicked"]}
"""Tracks that nobody need have done, for mail programs open mail on their own, or by which somebody turns away from us.
A click is something that a person does; one that is taken for a machine's never becomes an event."""


def is_report(event: Subject) -> bool:
    """Whether it says what became of a mail."""
    return isinstance(event, Event) and event.event in REPORTS


def beginning(subject: tuple[str, str], predicate: Predicate | None, rule_id: str) -> Predicate | None:
    """The condition under which an event of this type and name may begin something for a rule.

    "Any track call" means no report: who means one says its name. And a rule that does never means those about mail
    of its own.
    """
    kind, name = subject
    if kind != "track" or name not in (ANY, *REPORTS):
        return predicate

    def may_begin(event: Subject) -> bool:
        if is_report(event) and (name == ANY or _campaign(event) == rule_id):
            return False
        return predicate is None or predicate(event)

    return may_begin


def _campaign(event: Subject) -> object:
    return event.read("properties").get("campaign_id") if isinstance(event, Event) else None
