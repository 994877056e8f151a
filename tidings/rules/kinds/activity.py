"""What counts as activity of a person, where a rule does not say which events it means."""

from tidings.rules.conditions import Predicate, Subject
from tidings.rules.own_mail import is_report
from tidings.rules.selectors import Selector
from tidings.wire.events import EVENT_TYPES

_SAY_WHO_IT_IS = ("identify", "group", "alias")
"""Calls that say who somebody is; libraries make them on their own, on every page."""


class Activity(Selector):
    """Any call of a type, except what is only a report about a mail of ours."""

    def predicate(self) -> Predicate | None:
        """See `Selector`."""
        return _is_act if self.type == "track" else None


def _is_act(event: Subject) -> bool:
    return not is_report(event)


ACTIVITY: tuple[Selector, ...] = tuple(
    Activity.model_validate({"type": one}) for one in EVENT_TYPES if one not in _SAY_WHO_IT_IS
)
"""Every track, page and screen call that a person may be behind."""
